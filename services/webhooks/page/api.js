// Asks the service. Every refusal is an Error whose message is one sentence in the page's language: that of the problem's
// kind where it is known, else the service's own.

import { sayProblem } from "./faults.js";

/** Ask for something; `tenant` goes along where a token is of all companies. */
export async function ask(path, { tenant, method = "GET", body, headers = {} } = {}) {
  const address = new URL(path, location.origin);
  if (tenant) address.searchParams.set("tenant", tenant);
  const options = { method, headers: { Accept: "application/json", ...headers } };
  if (body !== undefined) {
    options.headers["Content-Type"] = "application/json";
    options.body = JSON.stringify(body);
  }
  const answer = await fetch(address, options);
  const document = await answer.json().catch(() => ({}));
  if (!answer.ok) throw Object.assign(new Error(sayProblem(document, answer.status)), { status: answer.status, faults: document.faults });
  return document;
}

/** Follow the log: `onRows` gets deliveries, `onContact` gets live or away. Return what ends it. */
export function follow(query, onRows, onContact) {
  const source = new EventSource(`/v1/deliveries/stream?${query}`);
  source.onopen = () => onContact("live");
  source.onerror = () => onContact("away");
  source.onmessage = (message) => onRows(JSON.parse(message.data).deliveries);
  return () => source.close();
}
