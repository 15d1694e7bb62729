// The company's rules: what is in force, what one would have done in the last hours, and changes of them.

import { Editor, Saving, button, element, fill, versionLine } from "./editor.js";
import { count, moment, say } from "./words.js";

const $ = (id) => document.getElementById(id);
const DRAFT = {
  rule_id: "new-rule", events: ["call.started"], window: { count: 3, seconds: 3600, per: "caller" },
  actions: [{ to: "crm", text: "{time} {caller} ({count})" }],
};
// What a rule of each kind begins with.
const TRIGGERS = {
  event: {}, window: { count: 3, seconds: 3600, per: "caller" }, wait: { seconds: 120 },
  kpi: { measure: "service_level", at_least: 80, seconds: 900 },
};
const PEOPLE = ["telegram", "slack", "email", "sms"];
let asks, mayChange = false, whole = null, editor, saving;

/** Put the rules into their card. A token that may not see documents has no card. */
export async function showRules(call, may) {
  asks = call;
  mayChange = may;
  const view = await call("/v1/rules").catch((error) => {
    if (error.status === 403) return null;
    throw error;
  });
  $("rules-card").hidden = view === null;
  if (view === null) return;
  $("draft-rule").textContent = say(may ? "newRule" : "draftRule");
  draw(view.rules, []);
  // What is switched off, and who changed what last, only the document knows. Nobody waits for that.
  call("/v1/document").then((found) => {
    const inForce = new Set(view.rules.map((one) => one.rule_id));
    draw(view.rules, found.rules.filter((one) => !inForce.has(one.rule_id)));
    $("rules-version").textContent = versionLine(found);
  }, () => ($("rules-version").textContent = ""));
}

function draw(inForce, off) {
  $("rules").replaceChildren(...inForce.map(ruleCard), ...off.map(offCard));
  $("no-rules").hidden = inForce.length + off.length > 0;
}

function ruleCard(rule) {
  const card = element("li", "endpoint");
  const head = element("div", "row");
  head.append(element("b", "", rule.words.name || rule.rule_id), element("span", "badge", say(`trigger_${rule.trigger}`)));
  card.append(head, element("span", "url", `${rule.events.join(", ") || watched(rule.words)} → ${rule.to.join(", ")}`));
  if (rule.condition) card.append(element("code", "", rule.condition));
  return withButton(card, rule.words);
}

/** Say what a rule without events of its own looks at. */
function watched({ wait, kpi }) {
  if (wait) return say("waitLine", { seconds: count(wait.seconds), queue: wait.queue_id ?? say("everyQueue") });
  if (!kpi) return "";
  const norm = `${say(kpi.at_least === undefined ? "atMost" : "atLeast")} ${count(kpi.at_least ?? kpi.at_most)}`;
  return `${say(`measure_${kpi.measure}`)} ${norm}`;
}

function offCard(words) {
  const card = element("li", "endpoint");
  card.setAttribute("data-state", "disabled");
  const head = element("div", "row");
  head.append(element("b", "", words.name || words.rule_id), element("span", "badge", say("state_disabled")));
  card.append(head);
  return withButton(card, words);
}

function withButton(card, words) {
  const acts = element("div", "row");
  acts.append(button(mayChange ? "change" : "rehearse", () => openRule(words, false)));
  card.append(acts);
  return card;
}

/** Open a rule as the document has it now; while the console does not answer it can be tried, not changed. */
async function openRule(words, isNew) {
  $("rehearsed").textContent = "";
  $("firings").replaceChildren();
  $("rule-title").textContent = isNew ? say("newRule") : words.name || words.rule_id;
  whole = mayChange ? await asks("/v1/document").catch(() => null) : null;
  const form = $("rule-form"), now = isNew ? undefined : whole?.rules.find((one) => one.rule_id === words.rule_id);
  const targets = [...(whole?.channels.map((one) => one.channel_id) ?? []), ...(whole?.webhooks.map((one) => one.endpoint_id) ?? [])];
  form.dataset.targets = JSON.stringify(targets);
  $("known-events").replaceChildren(...(whole?.events ?? []).map((id) => new Option(id)));
  fill(form.querySelector("[data-path=schedule_id]"), whole?.schedules ?? [], say("always"));
  for (const each of form.querySelectorAll("[data-path$=queue_id]")) fill(each, whole?.queues ?? [], say("everyQueue"));
  form.querySelector("[data-path=rule_id]").readOnly = !isNew;
  const draft = structuredClone(now ?? words);
  if (isNew && targets.length && !targets.includes(draft.actions[0].to)) draft.actions[0].to = targets[0];
  if (isNew && !wantsText(draft.actions[0].to)) delete draft.actions[0].text;
  editor.open(draft);
  saving.begin(editor, "rule", whole, { isNew, may: mayChange && whole !== null });
  $("rule").showModal();
}

/** Show what belongs to the draft's kind, and its actions; forget what was checked. */
function redraw() {
  const draft = editor.draft, kind = Object.keys(TRIGGERS).find((one) => draft[one]) ?? "event", form = $("rule-form");
  form.elements.trigger.value = kind;
  for (const each of form.querySelectorAll("[data-trigger]")) each.hidden = !each.dataset.trigger.split(" ").includes(kind);
  form.elements.bound.value = draft.kpi?.at_most !== undefined ? "at_most" : "at_least";
  form.elements.bounding.value = draft.kpi?.at_most ?? draft.kpi?.at_least ?? "";
  // Another receiver may want other fields.
  const wanted = JSON.stringify((draft.actions ?? []).map((one) => [kindOf(one.to), "text" in one]));
  if (wanted !== $("actions").dataset.shown) {
    const focused = document.activeElement?.dataset?.path;
    $("actions").dataset.shown = wanted;
    $("actions").replaceChildren(...(draft.actions ?? []).map((_, index) => actionRow(index)));
    editor.show();
    if (focused) form.querySelector(`[data-path="${focused}"]`)?.focus();
    return;
  }
  saving?.touched();
}

const kindOf = (id) => whole?.channels.find((one) => one.channel_id === id)?.kind ?? (whole?.webhooks.some((one) => one.endpoint_id === id) ? "webhook" : undefined);
/** Say whether a receiver is a person, as far as that is known: the others get the event itself. */
const wantsText = (id) => kindOf(id) === undefined || PEOPLE.includes(kindOf(id));

function actionRow(index) {
  const made = element("fieldset", "action"), targets = JSON.parse($("rule-form").dataset.targets ?? "[]");
  const to = field("to", targets.length ? "select" : "input", `actions.${index}.to`);
  const own = editor.draft.actions[index]?.to;
  if (targets.length) fill(to.lastChild, targets.includes(own) || !own ? targets : [own, ...targets]);
  made.append(to);
  if (kindOf(own) === "email") made.append(field("subject", "input", `actions.${index}.subject`));
  // A CRM makes a task of a text; without one it gets the event.
  if (wantsText(own) || kindOf(own) === "crm" || editor.draft.actions[index]?.text) {
    const text = field("text", "textarea", `actions.${index}.text`);
    text.lastChild.rows = 2;
    made.append(text);
  }
  const away = button("takeAway", () => editor.change((draft) => draft.actions.splice(index, 1)));
  made.append(away);
  return made;
}

function field(word, name, path) {
  const label = element("label"), made = element(name);
  made.dataset.path = path;
  label.append(element("span", "", say(word)), made);
  return label;
}

/** Try the draft on the past and ask what saving it would change. */
async function rehearse() {
  const form = $("rule-form");
  $("rehearse").disabled = true;
  $("rehearsed").textContent = say("reading");
  $("firings").replaceChildren();
  try {
    const rule = editor.read();
    if (!(await saving.check())) {
      $("rehearsed").textContent = "";
      return;
    }
    const found = await asks("/v1/rules/dry-run", { method: "POST", body: { rule, hours: Number(form.hours.value) } });
    const partly = found.is_whole ? "" : ` ${say("partly", { time: moment(found.until_ms) })}`;
    $("rehearsed").textContent = say("rehearsed", { fired: count(found.fired), events: count(found.events) }) + partly;
    $("firings").replaceChildren(...found.firings.map(firing));
  } catch (error) {
    $("rehearsed").textContent = say("failed", { why: error.message });
  } finally {
    $("rehearse").disabled = false;
  }
}

function firing(one) {
  const made = element("li", "", say("firingLine", { time: moment(one.at_ms), type: one.event_type, call: one.call_id }));
  for (const message of one.messages) made.append(element("small", "", `${message.to}: ${[message.subject, message.text].filter(Boolean).join(" · ")}`));
  return made;
}

function chooseTrigger(kind) {
  editor.change((draft) => {
    for (const one of Object.keys(TRIGGERS)) if (one !== kind) delete draft[one];
    if (kind !== "event") draft[kind] ??= structuredClone(TRIGGERS[kind]);
    // A rule that waits or measures chooses its events itself.
    if (kind === "wait" || kind === "kpi") delete draft.events;
    else draft.events ??= ["call.started"];
  });
}

function bound() {
  const form = $("rule-form"), value = form.elements.bounding.value;
  editor.change((draft) => {
    if (!draft.kpi) return;
    delete draft.kpi.at_least;
    delete draft.kpi.at_most;
    if (value !== "") draft.kpi[form.elements.bound.value] = Number(value);
  });
}

/** Let the card's button and the dialog do what they say. `saved` is told of a change. */
export function wireRules(call, saved) {
  asks = call;
  const form = $("rule-form");
  editor = new Editor(form, redraw);
  saving = new Saving({
    form, call, path: (rule) => `/v1/rules/${encodeURIComponent(rule.rule_id ?? "")}`,
    saved: (told) => ($("rule").close(), saved(told)),
  });
  $("draft-rule").addEventListener("click", () => openRule(DRAFT, true));
  form.addEventListener("submit", (event) => (event.preventDefault(), rehearse()));
  form.elements.trigger.addEventListener("change", () => chooseTrigger(form.elements.trigger.value));
  for (const name of ["bound", "bounding"]) form.elements[name].addEventListener("change", bound);
  $("add-action").addEventListener("click", () => editor.change((draft) => {
    const targets = JSON.parse(form.dataset.targets ?? "[]");
    (draft.actions ??= []).push({ to: targets[0] ?? "", ...(wantsText(targets[0]) ? { text: "{time} {caller}" } : {}) });
  }));
}
