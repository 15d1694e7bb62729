// Puts endpoints and the delivery log on the page. Whatever somebody named is written as text, never as markup.

import { ask, follow } from "./api.js";
import { times, tries } from "./draw.js";
import { openEndpoint, wireEndpoints } from "./endpoints.js";
import { showRules, wireRules } from "./rules.js";
import { clock, count, language, milliseconds, moment, percent, say, span, writeWords } from "./words.js";

const REFRESH_MS = 5000, MOST_ROWS = 400;
const SPANS = [[60, "hour"], [360, "sixHours"], [1440, "day"]];
const STATES = ["delivered", "waiting", "dead"];
// Who needs somebody comes first: the list is long, and one that fails must not be below its end.
const URGENCY = ["closed", "failing", "resting", "open", "disabled"];
// How a receiver verifies what it gets (https://www.standardwebhooks.com; there is a library for most languages).
const SAMPLE = `# pip install standardwebhooks flask
from flask import Flask, request
from standardwebhooks import Webhook, WebhookVerificationError

app = Flask(__name__)
webhook = Webhook("SECRET")

@app.post("/events")
def events():
    try:
        event = webhook.verify(request.get_data(), dict(request.headers))
    except WebhookVerificationError:
        return "", 400
    # Keep the webhook-id: what comes twice has the same one.
    print(request.headers["webhook-id"], event["type"])
    return "", 204
`;
const $ = (id) => document.getElementById(id);
const address = new URL(location.href);
let tenant = address.searchParams.get("tenant") ?? "", may = new Set(), minutes = 60;
let rows = new Map(), cursor = "", hangUp = () => {}, shown = null, chosen = null, loads = 0, examples = new Map();

function element(name, className, text) {
  const made = document.createElement(name);
  if (className) made.className = className;
  if (text !== undefined) made.textContent = text;
  return made;
}

/** Return what something has met, in the reader's language; the log's own sentence where it says no more. */
const spoken = ({ trouble }, plain = "") => trouble?.[language] ?? plain;
const capital = (text) => text.charAt(0).toUpperCase() + text.slice(1);

function button(word, act) {
  const made = element("button", "", say(word));
  made.type = "button";
  made.addEventListener("click", () => run(act));
  return made;
}

function stateBadge(state) {
  const made = element("span", "badge", say(`state_${state}`));
  made.setAttribute("data-state", state);
  return made;
}

/** Do something; say what went wrong where everybody sees it. */
async function run(act) {
  try {
    await act();
    $("notice").hidden = true;
  } catch (error) {
    const known = { 401: "refused", 403: "forbidden" }[error.status];
    $("notice").textContent = known && !error.message ? say(known) : say("failed", { why: error.message });
    $("notice").hidden = false;
  }
}

const call = (path, options = {}) => ask(path, { tenant, ...options });

// -- endpoints and figures ---------------------------------------------------------------------------------------------

async function showEndpoints() {
  const view = await call(`/v1/endpoints?minutes=${minutes}`);
  const totals = view.totals;
  $("success").textContent = percent(totals.success);
  const share = totals.success;
  $("tile-success").setAttribute("data-judged", share === null ? "none" : share >= 0.99 ? "good" : share >= 0.9 ? "fair" : "bad");
  $("delivered").textContent = count(totals.delivered);
  $("failed").textContent = count(totals.failed);
  $("p50").textContent = milliseconds(totals.p50_ms);
  $("p99").textContent = milliseconds(totals.p99_ms);
  $("dead").textContent = count(totals.dead);
  $("tile-dead").setAttribute("data-judged", totals.dead ? "bad" : "none");
  tries($("tries-chart"), view.points, count, clock, say("triesLabel", { delivered: totals.delivered, failed: totals.failed }));
  times($("times-chart"), view.points, span, clock, (most) => say("timesLabel", { most }));
  $("no-endpoints").hidden = view.endpoints.length > 0;
  const open = document.activeElement?.closest?.(".endpoint");
  const urgent = [...view.endpoints].sort((a, b) => URGENCY.indexOf(a.state) - URGENCY.indexOf(b.state));
  if (!open) $("endpoints").replaceChildren(...urgent.map(endpointCard));
  fillChoice($("by-endpoint"), view.endpoints.map((one) => [one.endpoint_id, one.endpoint_id]));
}

function endpointCard(one) {
  const card = element("li", "endpoint");
  card.setAttribute("data-state", one.state);
  const head = element("div", "row");
  head.append(element("b", "", one.endpoint_id), stateBadge(one.state));
  const nothing = say(one.kind === "feed" ? "feedAlone" : "nothingYet");
  const figures = one.success === null ? nothing : say("figures", { success: percent(one.success), delivered: count(one.delivered), failed: count(one.failed), p50: milliseconds(one.p50_ms) });
  card.append(head, element("span", "url", one.kind === "webhook" ? one.url : say("kindLine", one)), element("span", "under", figures));
  const since = one.failing_since_ms ? say("failingSince", { time: moment(one.failing_since_ms) }) : "";
  const why = [since, spoken(one, one.reason)].filter(Boolean).join(": ");
  if (why) card.append(element("span", "why", capital(why)));
  if (one.trouble?.do) card.append(element("span", "under", one.trouble.do[language]));
  const path = `/v1/endpoints/${encodeURIComponent(one.endpoint_id)}`;
  const acts = element("div", "row");
  if (may.has("manage_deliveries")) {
    if (one.state === "closed") acts.append(button("open", () => call(`${path}/open`, { method: "POST" }).then(showEndpoints)));
    else if (one.state !== "disabled") {
      acts.append(button("ping", () => call(`${path}/ping`, { method: "POST" }).then(() => done("pinged"))));
      if (one.kind === "webhook") acts.append(button("example", () => openExample(one)));
      acts.append(button("replay", () => openReplay(one)));
    }
  }
  // Channels' secrets and settings are the document's alone.
  if (may.has("change_document") && one.kind === "webhook") {
    acts.append(button("newSecret", () => openSecret(one)));
    acts.append(button("change", () => openEndpoint(one.endpoint_id)));
  }
  if (acts.children.length) card.append(acts);
  return card;
}

function fillChoice(select, entries) {
  const wanted = ["", ...entries.map(([value]) => value)].join("\n");
  if (select.dataset.filled === wanted) return;
  const former = select.value;
  select.replaceChildren(new Option(say("all"), ""), ...entries.map(([value, text]) => new Option(text, value)));
  select.value = former;
  select.dataset.filled = wanted;
}

// -- the log -----------------------------------------------------------------------------------------------------------

function query(more = {}) {
  const asked = new URLSearchParams();
  for (const [name, value] of new FormData($("filters"))) if (name && value.trim()) asked.set(name, value.trim());
  for (const [name, value] of Object.entries(more)) if (value) asked.set(name, value);
  if (tenant) asked.set("tenant", tenant);
  return asked;
}

async function search() {
  const load = ++loads;
  hangUp();
  const found = await ask(`/v1/deliveries?${query()}`);
  if (load !== loads) return;
  rows = new Map(found.deliveries.map((one) => [one.delivery_id, one]));
  cursor = found.cursor ?? "";
  draw(new Set());
  hangUp = follow(query(), take, contact);
}

/** Search, or open the one delivery whose webhook-id somebody was told. */
async function find() {
  const id = $("by-id").value.trim();
  await (id ? openDetails(id) : search());
}

async function older() {
  const found = await ask(`/v1/deliveries?${query({ cursor })}`);
  for (const one of found.deliveries) if (!rows.has(one.delivery_id)) rows.set(one.delivery_id, one);
  cursor = found.cursor ?? "";
  draw(new Set());
}

/** Take what changed: the newest comes first, what is too much falls off the end. */
function take(deliveries) {
  const fresh = new Set();
  for (const one of deliveries) {
    const known = rows.get(one.delivery_id);
    if (!known || known.updated_ms < one.updated_ms) fresh.add(one.delivery_id);
    rows.set(one.delivery_id, one);
  }
  const sorted = [...rows.values()].sort((a, b) => b.updated_ms - a.updated_ms);
  rows = new Map(sorted.slice(0, MOST_ROWS).map((one) => [one.delivery_id, one]));
  draw(fresh);
}

function draw(fresh) {
  const known = new Map([...$("rows").children].map((row) => [row.dataset.key, row]));
  const wanted = [...rows.values()].map((one) => {
    const mark = `${one.updated_ms} ${one.state}`, former = known.get(one.delivery_id);
    if (former?.dataset.mark === mark) return former;
    const made = row(one);
    Object.assign(made.dataset, { key: one.delivery_id, mark });
    if (fresh.has(one.delivery_id)) made.classList.add("fresh");
    return made;
  });
  $("rows").replaceChildren(...wanted);
  $("no-rows").hidden = wanted.length > 0;
  $("more").hidden = !cursor;
}

function row(one) {
  const made = element("tr");
  const state = element("td");
  state.append(stateBadge(one.state));
  const act = element("td", "act");
  act.append(button("details", () => openDetails(one.delivery_id)));
  made.append(
    element("td", "time", moment(one.updated_ms)), state, element("td", "name", one.endpoint_id), typeCell(one),
    element("td", "call", one.call_id), element("td", "number", count(one.tries)), element("td", "error", one.state === "delivered" ? "" : spoken(one, one.error)), act,
  );
  return made;
}

/** Return the cell of an event's type; an example is called one. */
function typeCell(one) {
  const cell = element("td", "type", one.event_type);
  if (one.delivery_id.startsWith("example-")) cell.append(" ", element("span", "badge", say("isExample")));
  return cell;
}

function contact(state) {
  $("contact").setAttribute("data-state", state);
  $("contact").textContent = say(state);
}

// -- dialogs -----------------------------------------------------------------------------------------------------------

async function openDetails(id) {
  const path = `/v1/deliveries/${encodeURIComponent(id)}`, one = await call(path);
  shown = id;
  $("details-title").textContent = one.event_type;
  const facts = [["id", id], ["endpoint", one.endpoint_id], ["call", one.call_id], ["state", say(`state_${one.state}`)], ...(one.state === "delivered" ? [] : [["error", spoken(one, one.error)], ["advice", one.trouble?.do?.[language] ?? ""]])];
  $("facts").replaceChildren(...facts.filter(([, value]) => value).flatMap(([name, value]) => [element("dt", "", say(name)), element("dd", "", value)]));
  $("attempts").replaceChildren(...(one.attempts ?? []).map(attempt));
  $("tries-title").hidden = !one.attempts?.length;
  $("body").textContent = "…";
  $("body-note").textContent = "";
  $("redelivered").textContent = "";
  $("redeliver").hidden = !may.has("manage_deliveries");
  if (!$("details").open) $("details").showModal();
  const sent = await call(`${path}/body`).catch((error) => ({ fault: error.message }));
  if (shown !== id) return;
  $("body").textContent = sent.fault ?? JSON.stringify(sent.body, null, 2);
  $("body-note").textContent = sent.policy ? say(sent.policy) : "";
}

function attempt(one) {
  const places = { time: moment(one.at_ms), status: one.status || say("noAnswer"), ms: count(one.ms) };
  const made = element("li", "", `${say("tryLine", places)}${one.error ? ` · ${spoken(one, one.error)}` : ""}`);
  made.value = one.number;
  if (one.answer) made.append(element("small", "", one.answer));
  return made;
}

async function redeliver() {
  $("redeliver").disabled = true;
  try {
    await call(`/v1/deliveries/${encodeURIComponent(shown)}/redeliver`, { method: "POST" });
    $("redelivered").textContent = say("redelivered");
  } catch (error) {
    $("redelivered").textContent = say("failed", { why: error.message });
  } finally {
    $("redeliver").disabled = false;
  }
}

async function openExample(endpoint) {
  chosen = endpoint;
  $("example-sent").textContent = "";
  examples = new Map((await call("/v1/examples")).examples.map((one) => [one.event_type, one.body]));
  const type = $("example-type"), former = type.value;
  type.replaceChildren(...[...examples.keys()].map((name) => new Option(name, name)));
  type.value = examples.has(former) ? former : "call.ended";
  showExample();
  $("example").showModal();
}

const showExample = () => ($("example-body").textContent = JSON.stringify(examples.get($("example-type").value), null, 2));

async function sendExample(event) {
  event.preventDefault();
  const path = `/v1/endpoints/${encodeURIComponent(chosen.endpoint_id)}/example`;
  try {
    const { delivery_id } = await call(path, { method: "POST", body: { event_type: $("example-type").value } });
    $("example-sent").textContent = say("exampleSent", { id: delivery_id });
  } catch (error) {
    $("example-sent").textContent = say("failed", { why: error.message });
  }
}

async function openReplay(endpoint) {
  chosen = endpoint;
  $("replayed").textContent = "";
  const form = $("replay-form");
  form.since.value = local(Date.now() - 3600000);
  form.until.value = "";
  await showReplays();
  $("replay").showModal();
}

async function showReplays() {
  const { replays } = await call("/v1/replays");
  const own = replays.filter((one) => one.endpoint_id === chosen.endpoint_id).slice(0, 5);
  const line = (one) => say("replayLine", { time: moment(one.asked_ms), state: say(`state_${one.state}`), count: count(one.sent) }) + (one.error ? ` · ${spoken(one, one.error)}` : "");
  $("replays").replaceChildren(...own.map((one) => element("li", "", line(one))));
}

async function replay(event) {
  event.preventDefault();
  const form = $("replay-form"), body = { endpoint_id: chosen.endpoint_id, since_ms: new Date(form.since.value).getTime() };
  if (form.until.value) body.until_ms = new Date(form.until.value).getTime();
  if (form.type.value.trim()) body.event_types = form.type.value.trim().split(/[\s,]+/);
  if (form.call.value.trim()) body.call_id = form.call.value.trim();
  if (form.failed.checked) body.failed_only = true;
  try {
    await call("/v1/replays", { method: "POST", body });
    $("replayed").textContent = say("replayed");
    await showReplays();
  } catch (error) {
    $("replayed").textContent = say("failed", { why: error.message });
  }
}

/** Return a moment as a datetime-local field wants it. */
function local(ms) {
  const at = new Date(ms - new Date(ms).getTimezoneOffset() * 60000);
  return at.toISOString().slice(0, 16);
}

function openSecret(endpoint) {
  chosen = endpoint;
  $("secret-use").hidden = true;
  $("secret-means").textContent = say("secretMeans");
  $("secret-text").textContent = "";
  $("secret-text").hidden = true;
  $("make-secret").hidden = false;
  $("secret").showModal();
}

/** Show the secret of an endpoint that was just made; where none could be made, say why. */
function showFirstSecret(endpoint, told) {
  openSecret(endpoint);
  $("make-secret").hidden = true;
  $("secret-means").textContent = told.secret ? say("firstSecret") : say("noSecret", { why: told.no_secret });
  if (told.secret) showSecret(told.secret);
}

/** Show a secret, and how its receiver verifies what is signed with it. */
function showSecret(secret) {
  $("secret-text").textContent = secret;
  $("secret-text").hidden = $("secret-use").hidden = false;
  $("copied").textContent = "";
  $("sample").textContent = SAMPLE.replace("SECRET", secret);
}

/** Copy the secret; where the browser forbids it, mark it to be copied by hand. */
async function copySecret() {
  try {
    await navigator.clipboard.writeText($("secret-text").textContent);
    $("copied").textContent = say("copied");
  } catch {
    getSelection().selectAllChildren($("secret-text"));
    $("copied").textContent = say("copyByHand");
  }
}

/** Say what was done. */
function done(word, places) {
  $("changed").textContent = say(word, places);
  $("changed").hidden = false;
}

/** Show what a change of the document has brought. */
async function documentChanged(told) {
  done(told.is_published ? "savedVersion" : "savedLater", { version: told.version });
  await run(() => Promise.all([showEndpoints(), showRules(call, may.has("change_rules"))]));
}

async function makeSecret() {
  try {
    const made = await call(`/v1/endpoints/${encodeURIComponent(chosen.endpoint_id)}/secret`, { method: "POST", body: {} });
    showSecret(made.secret);
    $("make-secret").hidden = true;
    $("secret-means").textContent = say("secretShown", { time: moment(made.former_until_ms) });
  } catch (error) {
    $("secret-means").textContent = say("failed", { why: error.message });
  }
}

// -- the beginning -----------------------------------------------------------------------------------------------------

function showSpans() {
  $("span").replaceChildren(...SPANS.map(([length, word]) => {
    const made = button(word, async () => {
      minutes = length;
      showSpans();
      await showEndpoints();
    });
    made.setAttribute("aria-pressed", String(length === minutes));
    return made;
  }));
}

async function begin() {
  const view = await ask("/v1/tenants", { tenant });
  may = new Set(view.may);
  if (!view.tenants.includes(tenant)) tenant = view.tenants[0] ?? "";
  $("tenants").hidden = view.tenants.length < 2;
  $("tenants").setAttribute("aria-label", say("company"));
  $("tenants").replaceChildren(...view.tenants.map((id) => new Option(id, id, false, id === tenant)));
  await Promise.all([showEndpoints(), showRules(call, may.has("change_rules")), search()]);
  $("new-endpoint").hidden = !may.has("change_document");
}

writeWords();
showSpans();
contact("connecting");
fillChoice($("by-state"), STATES.map((state) => [state, say(`state_${state}`)]));
address.searchParams.set("lang", language === "uk" ? "en" : "uk");
Object.assign($("language"), { href: address.href, textContent: say("otherLanguage"), lang: language === "uk" ? "en" : "uk" });
$("filters").addEventListener("submit", (event) => (event.preventDefault(), run(find)));
$("filters").addEventListener("change", () => run(search));
$("clear").addEventListener("click", () => ($("filters").reset(), run(search)));
$("more").addEventListener("click", () => run(older));
$("redeliver").addEventListener("click", redeliver);
$("replay-form").addEventListener("submit", replay);
$("example-form").addEventListener("submit", sendExample);
$("example-type").addEventListener("change", showExample);
wireRules(call, documentChanged);
wireEndpoints(call, documentChanged, showFirstSecret);
$("new-endpoint").addEventListener("click", () => run(() => openEndpoint()));
$("make-secret").addEventListener("click", makeSecret);
$("copy-secret").addEventListener("click", copySecret);
for (const each of document.querySelectorAll(".close")) each.addEventListener("click", () => each.closest("dialog").close());
$("secret").addEventListener("close", () => ($("secret-text").textContent = $("sample").textContent = ""));
$("tenants").addEventListener("change", () => {
  tenant = $("tenants").value;
  run(() => Promise.all([showEndpoints(), showRules(call, may.has("change_rules")), search()]));
});
addEventListener("resize", () => run(showEndpoints));
setInterval(() => document.visibilityState === "visible" && run(showEndpoints), REFRESH_MS);
run(begin);
