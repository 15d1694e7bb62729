// Finds recordings, plays one and follows its words. Whatever somebody named or said is written as text, never as markup.

import { Feeling, marks } from "./feeling.js";
import { Player } from "./player.js";
import { duration, language, moment, say, writeWords } from "./words.js";

const $ = (id) => document.getElementById(id);
const address = new URL(location.href);
const form = $("search");
const LAST_COMPANY = "ringmaster-recordings-company";
let rows = [], following = null, chosen = null, words = [], heardWord = null, part = [null, null], asked = 0;

function element(name, className, text) {
  const made = document.createElement(name);
  if (className) made.className = className;
  if (text !== undefined) made.textContent = text;
  return made;
}

function notice(text) {
  $("notice").textContent = text;
  $("notice").hidden = !text;
}

/** Return an address of the API with the company, where the token is good for all. */
function api(path, parameters = {}) {
  const made = new URL(`/v1/recordings${path}`, location.origin);
  const tenant = form.elements.tenant.value.trim();
  if (tenant) made.searchParams.set("tenant", tenant);
  for (const [name, value] of Object.entries(parameters)) if (value) made.searchParams.set(name, value);
  return made;
}

async function ask(path, parameters, options) {
  const answer = await fetch(api(path, parameters), { cache: "no-store", ...options });
  if (answer.status === 401) location.assign(`/login${address.search}`);
  const body = answer.status === 204 ? {} : await answer.json();
  if (!answer.ok) throw Object.assign(new Error(body.detail ?? answer.statusText), { status: answer.status });
  return body;
}

function wanted() {
  const value = (name) => form.elements[name].value.trim();
  const moments = Object.fromEntries(["from", "until"].map((name) => [name, value(name) && new Date(value(name)).toISOString()]));
  return { caller: value("caller"), queue_id: value("queue_id"), agent_id: value("agent_id"), said: value("said"), feeling: value("feeling"), ...moments, silent: form.elements.with_silent.checked ? "" : "no" };
}

async function find(more = false) {
  try {
    const answer = await ask("", { ...wanted(), before: more ? following : "" });
    rows = more ? rows.concat(answer.recordings) : answer.recordings;
    following = answer.next;
    notice("");
  } catch (error) {
    notice(say("failed", { reason: error.message }));
    return;
  }
  list();
}

/** Offer the companies that one may listen to; the one of the last time first, so that nobody is asked before he sees. */
async function companies() {
  const wished = address.searchParams.get("tenant") ?? localStorage.getItem(LAST_COMPANY);
  try {
    const names = (await ask("/companies")).companies;
    if (wished && !names.includes(wished) && address.searchParams.has("tenant")) names.push(wished);
    form.elements.tenant.replaceChildren(...names.map((name) => new Option(name, name, name === wished, name === wished)));
    $("company").hidden = names.length < 2;
  } catch (error) {
    notice(say("failed", { reason: error.message }));
  }
}

function list() {
  $("rows").replaceChildren(...rows.map(row));
  $("none").textContent = say("none");
  $("none").hidden = rows.length > 0;
  $("more").hidden = !following;
}

function row(recording) {
  const made = element("li", "row");
  made.id = `row-${recording.recording_id}`;
  made.dataset.id = recording.recording_id;
  made.setAttribute("role", "option");
  made.setAttribute("aria-selected", String(recording.recording_id === chosen?.recording_id));
  const names = element("div");
  names.append(element("b", "", recording.caller || say("withheld")), element("span", "", [recording.queue_id, recording.agent_id].filter(Boolean).join(" · ") || recording.call_id));
  const when = element("div", "when");
  when.append(element("time", "", moment(recording.recorded_at)), element("span", "", duration(recording.duration_ms)));
  const marks = element("div", "marks");
  for (const [name, is] of [["silent", recording.silent], ["repaired", recording.repaired], ["held", recording.legal_hold]]) if (is) marks.append(element("i", name, say(name)));
  made.append(names, marks, when);
  made.addEventListener("click", () => choose(recording));
  return made;
}

/** Close what is heard: it belongs to another company. */
function leave() {
  player.audio.pause();
  chosen = null;
  $("choose").hidden = false;
  $("player").hidden = true;
}

const player = new Player($("player"), heard);
const feeling = new Feeling($("feeling"), (ms) => player.seek(ms));

async function choose(recording) {
  const mine = ++asked;
  if (matchMedia("(max-width: 900px)").matches) requestAnimationFrame(() => $("heard").scrollIntoView());
  chosen = recording;
  for (const each of $("rows").children) each.setAttribute("aria-selected", String(each.dataset.id === recording.recording_id));
  $("rows").setAttribute("aria-activedescendant", `row-${recording.recording_id}`);
  document.getElementById(`row-${recording.recording_id}`)?.scrollIntoView({ block: "nearest" });
  $("choose").hidden = true;
  $("player").hidden = false;
  $("who").textContent = recording.caller || say("withheld");
  $("what").textContent = [moment(recording.recorded_at), duration(recording.duration_ms), recording.queue_id, recording.agent_id].filter(Boolean).join(" · ");
  $("download").href = api(`/${recording.recording_id}/audio`, { download: "1" });
  for (const name of ["share", "journal"]) $(name).open = false;
  $("share-made").hidden = true;
  $("shares").replaceChildren();
  show([], null);
  player.open(api(`/${recording.recording_id}/audio`), recording.duration_ms, null);
  setPart([null, null]);
  const [waveform, transcript] = await Promise.allSettled([ask(`/${recording.recording_id}/waveform`), ask(`/${recording.recording_id}/transcript`)]);
  if (mine !== asked) return;
  if (waveform.status === "fulfilled") player.waveform = waveform.value;
  const told = transcript.status === "fulfilled" ? transcript.value : {};
  show(told.turns ?? [], told.analysis?.sentiment ?? null);
  player.show();
}

/** Write what was said, and how it sounded; each word knows when. */
function show(turns, sentiment) {
  feeling.show(sentiment, player.lengthMs);
  words = [];
  heardWord = null;
  $("said").replaceChildren(...turns.map((turn) => {
    const line = element("li", turn.speaker === "agent" ? "agent" : "customer");
    const said = element("p");
    for (const word of turn.words) {
      const button = element("span", "word", word.text);
      if (word.personal) button.classList.add("personal");
      button.addEventListener("click", () => player.seek(word.start_ms));
      words.push({ start: word.start_ms, end: word.end_ms, button });
      said.append(button, " ");
    }
    said.append(...marks(turn, sentiment));
    line.append(element("time", "", duration(turn.start_ms)), element("b", "", say(turn.speaker === "agent" ? "agentVoice" : "customer")), said);
    return line;
  }));
  words.sort((one, other) => one.start - other.start);
  $("unsaid").hidden = turns.length > 0;
}

/** Mark the last word that has begun, by halving: an hour has ten thousand. */
function heard(nowMs) {
  let low = 0, high = words.length;
  while (low < high) {
    const middle = (low + high) >> 1;
    if (words[middle].start <= nowMs) low = middle + 1; else high = middle;
  }
  const word = words[low - 1] ?? null;
  const now = word && nowMs < word.end + 1500 ? word : null;
  if (now === heardWord) return;
  heardWord?.button.classList.remove("is-heard");
  heardWord = now;
  if (!now) return;
  now.button.classList.add("is-heard");
  if ($("follow").checked) {
    const box = $("said");
    const at = now.button.offsetTop - box.offsetTop;
    if (at < box.scrollTop + 20 || at > box.scrollTop + box.clientHeight - 60) box.scrollTop = at - box.clientHeight / 3;
  }
}

function setPart(next) {
  part = next;
  const [from, to] = [part[0] ?? 0, part[1] ?? player.lengthMs];
  $("part-from").textContent = duration(from);
  $("part-to").textContent = duration(to);
  player.part = part.some((at) => at !== null) ? [Math.min(from, to), Math.max(from, to)] : null;
  player.draw();
}

async function share(event) {
  event.preventDefault();
  const ends = [part[0] ?? 0, part[1] ?? player.lengthMs].map(Math.round).sort((one, other) => one - other);
  const body = JSON.stringify({ from_ms: ends[0], to_ms: ends[1], hours: Number($("part").elements.hours.value) });
  try {
    const made = await ask(`/${chosen.recording_id}/shares`, {}, { method: "POST", body, headers: { "Content-Type": "application/json" } });
    $("share-address").value = new URL(made.path, location.origin);
    $("share-says").textContent = say("shareMade", { length: duration(made.to_ms - made.from_ms), time: moment(made.expires_at) });
    $("copy").textContent = say("copy");
    $("share-made").hidden = false;
    notice("");
    await shares();
  } catch (error) {
    notice(say("failed", { reason: error.message }));
  }
}

/** Show what of the recording is shared now, each with a way to end it. */
async function shares() {
  if (!$("share").open) return;
  const of = chosen;
  try {
    const found = (await ask(`/${of.recording_id}/shares`)).shares;
    if (of === chosen) $("shares").replaceChildren(...found.map(shareLine));
  } catch (error) {
    notice(say("failed", { reason: error.message }));
  }
}

function shareLine(share) {
  const line = element("li");
  const ends = { from: duration(share.from_ms), to: duration(share.to_ms) };
  const button = element("button", "", say("endShare"));
  button.type = "button";
  button.addEventListener("click", () => endShare(share));
  line.append(element("span", "", say("sharedPart", { ...ends, time: moment(share.expires_at), actor: share.actor })), button);
  return line;
}

async function endShare(share) {
  try {
    await ask(`/${chosen.recording_id}/shares/${share.share_id}`, {}, { method: "DELETE" });
    $("share-made").hidden = true;
    notice("");
  } catch (error) {
    notice(say("failed", { reason: error.message }));
  }
  await shares();
}

async function journal() {
  if (!$("journal").open) return;
  $("hold").textContent = say(chosen.legal_hold ? "release" : "hold");
  try {
    const { access } = await ask(`/${chosen.recording_id}/access`);
    const did = { held: "holding" };
    $("listeners").replaceChildren(...access.map((each) => {
      const line = element("li");
      line.append(element("time", "", moment(each.first_at)), element("b", "", each.actor), element("span", "", say(did[each.what] ?? each.what)));
      return line;
    }));
    if (!access.length) $("listeners").append(element("li", "", say("nobody")));
  } catch (error) {
    $("listeners").replaceChildren(element("li", "", say("failed", { reason: error.message })));
  }
}

async function hold() {
  try {
    const answer = await ask(`/${chosen.recording_id}/hold`, {}, { method: chosen.legal_hold ? "DELETE" : "PUT" });
    chosen.legal_hold = answer.legal_hold;
    list();
    await journal();
  } catch (error) {
    notice(say("failed", { reason: error.message }));
  }
}

function step(by) {
  const at = rows.findIndex((each) => each.recording_id === chosen?.recording_id);
  const next = rows[at < 0 ? 0 : Math.min(rows.length - 1, Math.max(0, at + by))];
  if (next && next !== chosen) choose(next);
}

const KEYS = {
  " ": () => player.toggle(), ArrowLeft: () => player.jump(-10), ArrowRight: () => player.jump(10),
  ArrowUp: () => step(-1), ArrowDown: () => step(1), ",": () => player.hurry(-1), ".": () => player.hurry(1),
};

document.addEventListener("keydown", (event) => {
  const inField = event.target.closest("input, select, textarea, button, a, summary");
  if (inField || event.ctrlKey || event.metaKey || event.altKey || !KEYS[event.key]) return;
  event.preventDefault();
  KEYS[event.key]();
});

form.addEventListener("submit", (event) => { event.preventDefault(); find(); });
form.elements.tenant.addEventListener("change", () => { localStorage.setItem(LAST_COMPANY, form.elements.tenant.value); leave(); find(); });
form.addEventListener("reset", () => setTimeout(find));
$("more").addEventListener("click", () => find(true));
$("set-from").addEventListener("click", () => setPart([player.nowMs, part[1]]));
$("set-to").addEventListener("click", () => setPart([part[0], player.nowMs]));
$("part").addEventListener("submit", share);
$("share").addEventListener("toggle", shares);
$("copy").addEventListener("click", async () => {
  $("share-address").select();
  await navigator.clipboard?.writeText($("share-address").value).catch(() => document.execCommand("copy"));
  $("copy").textContent = say("copied");
});
$("journal").addEventListener("toggle", journal);
$("hold").addEventListener("click", hold);

writeWords();
document.title = `${say("title")} · Ringmaster`;
const other = new URL(location.href);
other.searchParams.set("lang", language === "uk" ? "en" : "uk");
$("language").href = other;
form.elements.caller.placeholder = say("callerHint");
await companies();
find();
