// Puts the live numbers on the page. Whatever somebody named is written as text, never as markup.

import { bar, day, gauge, spark } from "./draw.js";
import { $, chooseTenant, element, elsewhere, keep, write } from "./dom.js";
import { follow } from "./stream.js";
import { fit, turnPages } from "./wall.js";
import { clockTime, count, duration, language, percent, say, writeWords } from "./words.js";

const GOAL = 0.8;
const LOW = 0.6;
const MANY_QUEUES = 5;
const STATES = ["talking", "holding", "ringing", "reserved", "wrap_up", "idle", "away", "unreachable", "offline"];
const AT_WORK = new Set(["talking", "holding", "ringing", "reserved", "wrap_up", "idle", "away", "unreachable"]);
const ON_CALL = new Set(["talking", "holding"]);

const address = new URL(location.href);
const isWall = address.searchParams.has("wall");
let view = null, receivedAt = 0, contact = "connecting";

/** Platform time now: the server's, counted on by our own clock at the platform's speed. */
const now = () => view.now_ms + (performance.now() - receivedAt) * view.speed;
const since = (ms) => (ms === null ? null : now() - ms);
const zone = () => view.tenant.time_zone;

/** Judge the figure that is shown: what reads as 80 % is 80 %. */
function judgeLevel(ratio) {
  if (ratio === null) return "none";
  const shown = Math.round(100 * ratio) / 100;
  return shown >= GOAL ? "good" : shown >= LOW ? "fair" : "bad";
}

function judgeWait(ms, thresholdSeconds) {
  if (ms === null) return "none";
  return ms <= thresholdSeconds * 1000 ? "good" : ms <= 3 * thresholdSeconds * 1000 ? "fair" : "bad";
}

/** The worst of all queues: each is measured by its own threshold. */
function worstWait() {
  const order = ["none", "good", "fair", "bad"];
  const judged = view.queues.map((queue) => judgeWait(since(queue.longest_waiting_since_ms), queue.threshold_seconds));
  return judged.reduce((worst, each) => (order.indexOf(each) > order.indexOf(worst) ? each : worst), "none");
}

function showTiles() {
  const recent = view.queue_totals.last_15_min, whole = view.queue_totals.today, calls = view.today.calls;
  write($("waiting"), count(view.calls.waiting));
  const trend = view.series.waiting_by_minute;
  spark($("waiting-trend"), trend, say("waitingTrend", { most: count(Math.max(...trend)) }));
  write($("level"), percent(recent.service_level));
  write($("level-today"), percent(whole.service_level));
  const judged = judgeLevel(recent.service_level);
  $("tile-level").dataset.judged = judged;
  gauge($("level-gauge"), recent.service_level, GOAL, judged, `${percent(recent.service_level)}, ${say("goal", { goal: percent(GOAL) })}`);
  write($("calls"), count(calls.started));
  write($("in-progress"), count(view.calls.in_progress));
  const split = ["answered", "abandoned", "other"].map((name) => ({ className: name, value: calls[name] }));
  bar($("calls-bar"), split, split.map((part) => `${say(part.className)} ${part.value}`).join(", "));
  legend($("calls-split"), split.map((part) => [part.className, `${say(part.className)} ${count(part.value)}`]));
  write($("mean-wait"), duration(recent.mean_wait_ms));
  write($("mean-wait-today"), duration(whole.mean_wait_ms));
  write($("mean-handle"), duration(recent.mean_handle_ms));
  write($("mean-handle-today"), duration(whole.mean_handle_ms));
}

function showAgentsTile() {
  const states = view.agents_by_state;
  const sum = (wanted) => Object.entries(states).reduce((all, [state, n]) => all + (wanted.has(state) ? n : 0), 0);
  write($("free"), count(states.idle ?? 0));
  write($("on-call"), count(sum(ON_CALL)));
  write($("present"), count(sum(AT_WORK)));
  write($("occupancy"), percent(view.agents_time.last_15_min.occupancy));
  const parts = STATES.map((state) => ({ className: `state-${state}`, value: states[state] ?? 0 }));
  const spoken = STATES.filter((state) => states[state]).map((state) => `${say(`state_${state}`)} ${states[state]}`);
  bar($("agents-bar"), parts, spoken.join(", ") || say("none"));
}

function legend(list, entries) {
  keep(list, entries, (entry) => entry[0], (entry) => element("li", entry[0]), (child, entry) => write(child, entry[1]));
}

function makeQueueRow() {
  const row = element("tr");
  const head = element("th");
  head.scope = "row";
  head.append(element("span", "name"), element("small"));
  row.append(head);
  for (let i = 0; i < 8; i += 1) row.append(element("td", "number"));
  for (const place of [2, 7]) row.children[place].append(element("span"), element("small"));
  const level = row.children[3];
  level.className = "level";
  const meter = element("span", "meter");
  meter.append(element("i"));
  level.append(element("b"), meter);
  return labelled(row, "queue-rows");
}

/** Name each cell as its column is named: on a phone a row is a card, without a head above it. */
function labelled(row, body) {
  const heads = $(body).closest("table").tHead.rows[0].cells;
  for (const [place, cell] of [...row.cells].entries()) cell.dataset.label = heads[place].textContent;
  return row;
}

function fillQueueRow(row, queue) {
  const cells = row.children, recent = queue.last_15_min, whole = queue.today;
  write(cells[0].firstChild, queue.id);
  cells[0].firstChild.title = queue.id;
  write(cells[0].lastChild, say("threshold", { seconds: queue.threshold_seconds }));
  write(cells[1], count(queue.waiting));
  cells[3].dataset.judged = judgeLevel(recent.service_level);
  write(cells[3].firstChild, percent(recent.service_level));
  cells[3].lastChild.firstChild.style.width = `${Math.round(100 * (recent.service_level ?? 0))}%`;
  write(cells[4], percent(whole.service_level));
  write(cells[5], count(whole.answered));
  write(cells[6], count(whole.abandoned));
  const isEstimated = queue.estimated_wait_ms !== null, isHandled = recent.mean_handle_ms !== null;
  write(cells[2].lastChild, isEstimated ? say("estimate", { time: duration(queue.estimated_wait_ms) }) : "");
  write(cells[7].firstChild, duration(recent.mean_wait_ms));
  write(cells[7].lastChild, isHandled ? say("handling", { time: duration(recent.mean_handle_ms) }) : "");
  const served = Object.values(queue.agents_by_state).reduce((sum, n) => sum + n, 0);
  write(cells[8], say("of", { part: count(queue.agents_by_state.idle ?? 0), whole: count(served) }));
}

function makeAgentCard() {
  const card = element("li");
  const words = element("div");
  words.append(element("b"), element("span"), element("span", "of-day"));
  card.append(element("i"), words, element("time"));
  return card;
}

function fillAgentCard(card, agent) {
  card.className = `person state-${agent.state}`;
  const [name, doing, day] = card.children[1].children;
  write(name, agent.name);
  name.title = agent.name;
  const reason = agent.state === "away" ? agent.reason : agent.queue_id;
  write(doing, [say(`state_${agent.state}`), reason].filter(Boolean).join(" · "));
  const today = agent.today;
  const told = today.answered || today.logged_in_ms;
  write(day, told ? say("agentDay", { answered: count(today.answered), occupancy: percent(today.occupancy) }) : "");
}

function showQueues() {
  keep($("queue-rows"), view.queues, (queue) => queue.id, makeQueueRow, fillQueueRow);
  $("no-queues").hidden = view.queues.length > 0;
  document.querySelector("#queues .scroll").hidden = !view.queues.length;
  document.querySelector("main").classList.toggle("many", view.queues.length > MANY_QUEUES);
}

function showAgents() {
  const rank = (agent) => STATES.indexOf(agent.state) * 2;
  const sorted = [...view.agents].sort((a, b) => rank(a) - rank(b) || a.name.localeCompare(b.name, language));
  keep($("agent-cards"), sorted, (agent) => agent.id, makeAgentCard, fillAgentCard);
  $("no-agents").hidden = view.agents.length > 0;
}

function makeCallRow() {
  const row = element("tr");
  const head = element("th");
  head.scope = "row";
  head.append(element("span", "name"), element("small"));
  row.append(head, element("td"), element("td"), element("td", "number"));
  return labelled(row, "call-rows");
}

/** On a wall everybody reads: there a number keeps its last digits only, and a name is not shown. */
function shownCaller(call) {
  if (!isWall) return [call.number || say("unknownCaller"), call.name === call.number ? "" : call.name];
  return [call.number ? `… ${call.number.slice(-3)}` : say("unknownCaller"), ""];
}

function fillCallRow(row, call) {
  const [number, name] = shownCaller(call), cells = row.children;
  write(cells[0].firstChild, number);
  write(cells[0].lastChild, name);
  cells[1].className = `stage stage-${call.stage}`;
  write(cells[1], say(`stage_${call.stage}`));
  const agent = view.agents.find((each) => each.id === call.agent_id);
  write(cells[2], [call.queue_id || call.line, agent?.name ?? call.agent_id].filter(Boolean).join(" · "));
}

function showCalls() {
  keep($("call-rows"), view.calls_now, (call) => call.id, makeCallRow, fillCallRow);
  $("no-calls-now").hidden = view.calls_now.length > 0;
  document.querySelector("#calls-now .scroll").hidden = !view.calls_now.length;
  const more = view.calls.in_progress - view.calls_now.length;
  write($("more-calls"), more > 0 ? say("moreCalls", { count: count(more) }) : "");
}

function showDay() {
  const calls = view.today.calls;
  const isEmpty = !calls.started && !view.queue_totals.today.offered;
  $("no-calls").hidden = !isEmpty;
  $("day-chart").toggleAttribute("hidden", isEmpty);
  $("day-legend").hidden = isEmpty;
  const names = [...["answered", "abandoned", "other"].map((name) => [name, say(name)]), ["level-key", say("levelLine")]];
  legend($("day-legend"), names);
  if (!isEmpty) day($("day-chart"), view, (ms) => clockTime(ms, zone()), percent, say("perQuarter", calls));
}

/** Everything that moves with time alone. */
function showTimes() {
  if (!view) return;
  write($("clock"), clockTime(now(), zone(), true));
  write($("longest"), duration(since(view.calls.longest_waiting_since_ms)));
  $("tile-waiting").dataset.judged = worstWait();
  for (const [i, queue] of view.queues.entries()) {
    const cells = $("queue-rows").children[i]?.children;
    if (!cells) continue;
    write(cells[2].firstChild, duration(since(queue.longest_waiting_since_ms)));
    cells[1].dataset.judged = cells[2].dataset.judged = judgeWait(since(queue.longest_waiting_since_ms), queue.threshold_seconds);
  }
  for (const [i, call] of view.calls_now.entries()) {
    const cell = $("call-rows").children[i]?.lastChild;
    if (cell) write(cell, duration(since(call.since_ms)));
  }
  const agents = new Map(view.agents.map((agent) => [agent.id, agent]));
  for (const card of $("agent-cards").children) {
    const agent = agents.get(card.dataset.key);
    write(card.lastChild, agent && agent.state !== "offline" ? duration(since(agent.since_ms)) : "");
  }
}

function showNotice() {
  const told = [];
  if (contact === "stale") told.push(say("stale", { time: view ? clockTime(view.now_ms, zone(), true) : "–" }));
  if (["refused", "forbidden", "busy"].includes(contact)) told.push(say(contact));
  for (const mark of view?.completeness.marks ?? []) {
    const at = (ms) => (ms === null ? "…" : clockTime(ms, zone(), true));
    told.push(say(mark.kind, { node: mark.node, from: at(mark.from_ms), until: at(mark.until_ms) }));
  }
  $("notice").hidden = !told.length;
  write($("notice"), told.join(" "));
}

function showContact(state) {
  contact = state;
  $("contact").dataset.state = state;
  document.body.classList.toggle("is-stale", !["live", "connecting"].includes(state));
  write($("contact-text"), state === "live" || state === "connecting" ? say(state) : say(state, { time: "" }).split(/[:.]/)[0]);
  showNotice();
}

function fitWall() {
  if (isWall) fit([view.queues.length, $("notice").textContent, ...view.agents.map((agent) => agent.state)].join());
}

function show(next) {
  view = next;
  receivedAt = performance.now();
  write($("tenant"), view.tenant.name);
  document.title = `${view.calls.waiting ? `(${view.calls.waiting}) ` : ""}${view.tenant.name} · Ringmaster`;
  showTiles();
  showAgentsTile();
  showQueues();
  showAgents();
  showCalls();
  showDay();
  showTimes();
  showNotice();
  fitWall();
  write($("formula"), say("formula", view.service_level));
  dispatchEvent(new CustomEvent("ringmaster:shown", { detail: { lastEventMs: view.last_event_ms, nowMs: view.now_ms } }));
  write($("last-event"), view.last_event_ms ? say("lastEvent", { time: clockTime(view.last_event_ms, zone(), true) }) : say("noEvent"));
}

async function start() {
  writeWords();
  document.body.classList.toggle("wall", isWall);
  $("language").href = elsewhere(address, { lang: language === "uk" ? "en" : "uk" });
  $("language").textContent = say("otherLanguage");
  $("language").lang = language === "uk" ? "en" : "uk";
  $("wall").href = elsewhere(address, { wall: isWall ? null : "" });
  $("to-reports").href = elsewhere(address, { wall: null }, "/reports");
  $("wall").textContent = say(isWall ? "wallOff" : "wallOn");
  showContact("connecting");
  let tenantId = null;
  while (tenantId === null) {
    try {
      tenantId = (await chooseTenant(address, say("company"), (tenant) => location.assign(elsewhere(address, { tenant })))).id;
    } catch {
      await new Promise((resolve) => setTimeout(resolve, 1000));
    }
  }
  setInterval(showTimes, 250);
  addEventListener("resize", () => {
    if (!view) return;
    showDay();
    fitWall();
  });
  if (isWall) turnPages();
  follow(tenantId, show, showContact);
}

start();
