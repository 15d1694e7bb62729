// An endpoint of the company's document: made, changed, taken out. A new one's secret is shown once.

import { Editor, Saving } from "./editor.js";
import { say } from "./words.js";

const $ = (id) => document.getElementById(id);
const DRAFT = { endpoint_id: "crm-2", url: "https://", events: ["call.*"], secret_ref: "crm-2" };
let asks, editor, saving;

/** Open an endpoint as the document has it now, a new one without an id. Raises what the service says. */
export async function openEndpoint(endpointId) {
  const document = await asks("/v1/document"), form = $("endpoint-form"), isNew = endpointId === undefined;
  const now = document.webhooks.find((one) => one.endpoint_id === endpointId) ?? DRAFT;
  $("endpoint-title").textContent = isNew ? say("newEndpoint") : endpointId;
  form.querySelector("[data-path=endpoint_id]").readOnly = !isNew;
  $("known-types").replaceChildren(...document.events.map((id) => new Option(id)));
  editor.open(now);
  saving.begin(editor, "endpoint", document, { isNew, may: true });
  $("endpoint").showModal();
}

/** Let the dialog do what it says. `saved` is told of a change, `secret` is given a new one to show. */
export function wireEndpoints(call, saved, secret) {
  asks = call;
  const form = $("endpoint-form");
  editor = new Editor(form, () => saving?.touched());
  saving = new Saving({
    form, call, path: (endpoint) => `/v1/endpoints/${encodeURIComponent(endpoint.endpoint_id ?? "")}`,
    saved: (told, draft) => {
      $("endpoint").close();
      if (told.secret || told.no_secret) secret(draft, told);
      saved(told);
    },
  });
  form.addEventListener("submit", (event) => (event.preventDefault(), saving.check()));
}
