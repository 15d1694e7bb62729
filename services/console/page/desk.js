// An agent's desk: what the service tells is shown, what is pressed is asked for. Nothing here is the truth about a call,
// so no button changes what is shown: the service's next word does. What a caller wrote is put in as text, never as markup.

import { kindOf, language, say, sayProblem, writeWords } from "./words.js";

const $ = (id) => document.getElementById(id);
const AGAIN_MS = 3000;
let desk = null;
let colleagues = [];
// Of the call in which somebody was asked: no event tells of that, and a page that is opened again must know it.
const ASKED = "asked-in";

async function ask(path, method = "POST", body = undefined) {
  const headers = { Accept: "application/json" };
  if (method === "POST") headers["Idempotency-Key"] = crypto.randomUUID();
  if (body !== undefined) headers["Content-Type"] = "application/json";
  const answer = await fetch(path, { method, headers, body: body === undefined ? undefined : JSON.stringify(body) });
  const told = await answer.json().catch(() => ({}));
  if (!answer.ok) {
    const why = answer.status === 401 ? say("refused") : sayProblem(told, answer.status);
    throw Object.assign(new Error(why), { kind: kindOf(told) });
  }
  return told;
}

/** Do something; say how it went where everybody sees it. */
async function run(act, word = "") {
  $("done").hidden = true;
  try {
    await act();
    $("notice").hidden = true;
    $("done").textContent = word ? say(word) : "";
    $("done").hidden = !word;
  } catch (error) {
    $("notice").textContent = say("failed", { why: error.message });
    $("notice").hidden = false;
  }
}

const ofAgent = (what) => `/v1/tenants/${desk.tenant_id}/agents/${encodeURIComponent(desk.agent.agent_id)}/${what}`;
const ofCall = (what) => `/v1/tenants/${desk.tenant_id}/calls/${encodeURIComponent(desk.call.call_id)}/${what}`;

// -- what is shown -----------------------------------------------------------------------------------------------------

function elapsed(ms) {
  const seconds = Math.max(0, Math.floor((Date.now() - ms) / 1000));
  return `${Math.floor(seconds / 60)}:${String(seconds % 60).padStart(2, "0")}`;
}

function showTimes() {
  if (!desk) return;
  $("since").textContent = desk.agent.since_ms ? elapsed(desk.agent.since_ms) : "";
  $("call-since").textContent = desk.call?.started_ms && desk.call.state !== "over" ? elapsed(desk.call.started_ms) : "";
}

/** Put options into a select where they differ, and keep what is chosen. */
function fill(select, groups) {
  const known = JSON.stringify(groups);
  if (select.dataset.known === known) return;
  const chosen = select.value;
  select.replaceChildren(...groups.flatMap(([label, options]) => {
    const made = options.map(([value, text]) => new Option(text, value));
    if (!label) return made;
    const group = document.createElement("optgroup");
    group.label = label;
    group.append(...made);
    return [group];
  }));
  select.dataset.known = known;
  select.value = chosen;
}

function show(told) {
  desk = told;
  const former = $("call").dataset.state;
  const { agent, call } = desk, isOffered = Boolean(agent.offer_id), isOver = call?.state === "over";
  $("who").textContent = agent.name || agent.agent_id;
  $("company").textContent = desk.company;
  $("state").textContent = say(`state_${agent.state}`) + (agent.reason ? ` (${agent.reason})` : "");
  $("phone-gone").hidden = agent.is_registered || agent.status !== "ready" || agent.state !== "unreachable";
  for (const button of $("statuses").children) button.setAttribute("aria-pressed", String(button.dataset.status === agent.status));
  $("nobody").hidden = Boolean(call);
  $("caller").hidden = !call;
  $("call").dataset.state = !call ? "none" : isOffered ? "offered" : isOver ? "over" : "talking";
  $("offered").hidden = !isOffered;
  $("controls").hidden = !call || isOffered || isOver;
  $("write-card").hidden = $("outcome-card").hidden = !call || isOffered;
  $("wrap-up").hidden = agent.state !== "wrap_up";
  $("dial-card").hidden = Boolean(call);
  if (call) showCall(call, isOffered);
  if (former !== "talking" && $("call").dataset.state === "talking") run(askColleagues);
  fill($("outcome-form").disposition, [["", [["", say("choose")], ...desk.dispositions.map((one) => [one, one])]]]);
  showTargets();
  showTimes();
}

function showTargets() {
  fill($("transfer-form").target, [
    ["", [["", say("choose")]]],
    [say("agents"), colleagues.map((one) => [`agent_id ${one.agent_id}`, `${one.name || one.agent_id} · ${say(`state_${one.state}`)}`])],
    [say("queues"), desk.queues.map((one) => [`queue_id ${one}`, one])],
    [say("outside"), [["number", say("outside")]]],
  ]);
}

/** Ask how colleagues are: when a talk begins, and when somebody is about to choose. They are not followed. */
async function askColleagues() {
  colleagues = (await ask(ofAgent("colleagues"), "GET")).colleagues;
  showTargets();
}

function showCall(call, isOffered) {
  $("number").textContent = call.caller || say("hidden");
  $("name").textContent = call.caller_name && call.caller_name !== call.caller ? call.caller_name : "";
  $("vip").hidden = !call.is_vip;
  $("line").textContent = [call.line_label, call.line].filter(Boolean).join(" · ") || "–";
  $("queue").textContent = call.queue_id || "–";
  $("call-state").textContent = say(isOffered ? "call_waiting" : `call_${call.state}`);
  const isHeld = call.state === "held";
  document.querySelector('[data-ask="hold"]').hidden = isHeld;
  document.querySelector('[data-ask="resume"]').hidden = !isHeld;
  showAsked();
}

function showAsked() {
  const isAsked = sessionStorage.getItem(ASKED) === desk.call?.call_id;
  $("asked").hidden = !isAsked;
  $("transfer-form").hidden = isAsked;
}

// -- what is asked -----------------------------------------------------------------------------------------------------

/** Send a form's fields once; it is emptied when it was taken. */
function onSubmit(id, send, word) {
  const form = $(id);
  form.addEventListener("submit", (event) => {
    event.preventDefault();
    const buttons = form.querySelectorAll("button"), how = event.submitter?.value;
    for (const one of buttons) one.disabled = true;
    run(async () => { await send(form.elements, how); form.reset(); form.dispatchEvent(new Event("change")); }, word).finally(() => {
      for (const one of buttons) one.disabled = false;
    });
  });
}

/** Go on with somebody who was asked. Who has not answered, or is gone, is none to speak with; to go back then is no fault. */
async function goOn(how) {
  const isEnd = how === "complete" || how === "cancel";
  try {
    await ask(ofCall(`consult/${how}`));
    if (isEnd) sessionStorage.removeItem(ASKED);
  } catch (error) {
    if (error.kind !== "not-consulting" || !isEnd) throw error;
    sessionStorage.removeItem(ASKED);
    if (how === "complete") throw error;
  } finally {
    showAsked();
  }
}

function wire() {
  for (const button of $("statuses").children) {
    button.addEventListener("click", () => run(() => ask(ofAgent("status"), "PUT", { status: button.dataset.status })));
  }
  for (const button of document.querySelectorAll("[data-ask]")) {
    button.addEventListener("click", () => run(() => ask(ofCall(button.dataset.ask))));
  }
  $("reject").addEventListener("click", () => run(() => ask(ofAgent(`offers/${encodeURIComponent(desk.agent.offer_id)}/reject`))));
  $("next").addEventListener("click", () => run(() => ask(ofAgent("wrap-up/end"))));
  $("longer").addEventListener("click", () => run(() => ask(ofAgent("wrap-up/extend"), "POST", { seconds: 30 })));
  onSubmit("keys-form", ({ digits }) => ask(ofCall("digits"), "POST", { digits: digits.value }), "pressed");
  onSubmit("dial-form", ({ number }) => ask(ofAgent("dial"), "POST", { number: number.value }), "dialled");
  onSubmit("outcome-form", ({ disposition, notes }) => ask(ofCall("disposition"), "PUT", { disposition: disposition.value, notes: notes.value }), "saved");
  for (const button of document.querySelectorAll("[data-consult]")) {
    button.addEventListener("click", () => run(() => goOn(button.dataset.consult)));
  }
  onSubmit("transfer-form", async ({ target, number }, how) => {
    const [kind, id] = target.value.split(" "), callId = desk.call.call_id;
    await ask(ofCall(how), "POST", { [kind]: id ?? number.value });
    if (how === "consult") sessionStorage.setItem(ASKED, callId);
    showAsked();
  });
  onSubmit("write-form", ({ channel, email, text }) => {
    const address = channel.value === "email" && email.value ? { email: email.value } : {};
    return ask(ofCall("message"), "POST", { text: text.value, channel: channel.value, ...address });
  }, "sent");
  $("write-form").addEventListener("change", () => ($("address").hidden = $("write-form").channel.value !== "email"));
  $("transfer-form").target.addEventListener("focus", () => run(askColleagues));
  $("transfer-form").addEventListener("change", () => {
    const isOutside = $("transfer-form").target.value === "number";
    $("outside-number").hidden = !isOutside;
    $("transfer-form").number.required = isOutside;
  });
}

function contact(state) {
  $("contact").dataset.state = state;
  $("contact").textContent = say(state);
}

/** Follow the desk; a browser tries again by itself where the connection breaks, but not where it was refused. */
async function follow() {
  const holder = await ask("/v1/holder", "GET");
  const own = `/v1/tenants/${holder.tenant_id}/agents/${encodeURIComponent(holder.actor)}/desk`;
  const source = new EventSource(`${own}/stream`);
  source.onopen = () => contact("live");
  source.onmessage = (message) => show(JSON.parse(message.data));
  source.onerror = () => {
    contact("away");
    if (source.readyState !== EventSource.CLOSED) return;
    run(() => ask(own, "GET").then(show));
    setTimeout(() => run(follow), AGAIN_MS);
  };
}

writeWords();
document.title = `${say("title")} · Ringmaster`;
const other = new URL(location.href);
other.searchParams.set("lang", language === "uk" ? "en" : "uk");
$("language").textContent = say("otherLanguage");
$("language").href = other.href;
contact("connecting");
wire();
setInterval(showTimes, 1000);
run(follow);
