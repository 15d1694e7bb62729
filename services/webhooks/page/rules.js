// The company's rules: what is in force, and what one would have done in the last hours. Written as text, never as markup.

import { count, moment, say } from "./words.js";

const $ = (id) => document.getElementById(id);
const DRAFT = {
  events: ["call.started"], condition: "event.direction == \"inbound\"", window: { count: 3, seconds: 3600, per: "caller" },
  actions: [{ to: "crm", text: "{time} {caller} ({count})" }],
};

function element(name, className, text) {
  const made = document.createElement(name);
  if (className) made.className = className;
  if (text !== undefined) made.textContent = text;
  return made;
}

/** Put the rules into their card; `call` asks the service. A token that may not see documents has no card. */
export async function showRules(call) {
  const view = await call("/v1/rules").catch((error) => {
    if (error.status === 403) return null;
    throw error;
  });
  $("rules-card").hidden = view === null;
  if (view === null) return;
  $("rules").replaceChildren(...view.rules.map(ruleCard));
  $("no-rules").hidden = view.rules.length > 0;
}

function ruleCard(rule) {
  const card = element("li", "endpoint");
  const head = element("div", "row");
  head.append(element("b", "", rule.words.name || rule.rule_id), element("span", "badge", say(`trigger_${rule.trigger}`)));
  card.append(head, element("span", "url", `${rule.events.join(", ")} → ${rule.to.join(", ")}`));
  if (rule.condition) card.append(element("code", "", rule.condition));
  const act = element("button", "", say("rehearse"));
  act.type = "button";
  act.addEventListener("click", () => openRule(rule.words));
  const acts = element("div", "row");
  acts.append(act);
  card.append(acts);
  return card;
}

function openRule(words) {
  $("rule-form").words.value = JSON.stringify(words, null, 2);
  $("rehearsed").textContent = "";
  $("firings").replaceChildren();
  $("rule").showModal();
}

async function rehearse(call) {
  const form = $("rule-form");
  let rule;
  try {
    rule = JSON.parse(form.words.value);
  } catch (error) {
    $("rehearsed").textContent = say("notJson", { why: error.message });
    return;
  }
  $("rehearsed").textContent = say("reading");
  $("rehearse").disabled = true;
  try {
    const found = await call("/v1/rules/dry-run", { method: "POST", body: { rule, hours: Number(form.hours.value) } });
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

/** Let the card's button and the dialog do what they say. */
export function wireRules(call) {
  $("draft-rule").addEventListener("click", () => openRule(DRAFT));
  $("rule-form").addEventListener("submit", (event) => (event.preventDefault(), rehearse(call)));
}
