// The report page: asks the reports' API, shows the answer, leads from each number to the calls behind it.

import { $, chooseTenant, element, elsewhere, write } from "./dom.js";
import { columns as drawColumns } from "./draw.js";
import { asked, formats, groupName, prepare, read } from "./question.js";
import { changed, fillHead, fillRows, shown, wordsOfCell } from "./tables.js";
import { clockTime, count, date, language, say, writeWords } from "./words.js";

const PAGE = 100;
const MOST_BARS = 60;
let tenant = { id: "", name: "" }, order = "", offset = 0, latest = 0;

class Refused extends Error {}

/** Ask the API; the sentence of a problem is the error's. */
async function ask(path, parameters, body) {
  parameters.set("lang", language);
  if (tenant.id) parameters.set("tenant", tenant.id);
  const options = body ? { method: "POST", headers: { "Content-Type": "application/json" }, body: JSON.stringify(body) } : {};
  const answer = await fetch(`${path}?${parameters}`, options);
  if (answer.status === 401) location.assign("/login");
  const said = await answer.json().catch(() => ({}));
  if (!answer.ok) throw new Refused(said.detail ?? say("noAnswer"));
  return said;
}

function tell(error) {
  write($("notice"), say("failed", { why: error instanceof Refused ? error.message : say("noAnswer") }));
  $("notice").hidden = false;
}

/** Do something that asks the server; whatever goes wrong is told. Only the newest question's answer is shown. */
async function busily(section, work) {
  const mine = ++latest;
  $("notice").hidden = true;
  section.setAttribute("aria-busy", "true");
  try {
    const found = await work();
    return mine === latest ? found : null;
  } catch (error) {
    if (mine === latest) tell(error);
    return null;
  } finally {
    section.setAttribute("aria-busy", "false");
  }
}

/** Split the form's parameters into the report and what is asked of it. */
function question() {
  const parameters = asked(), id = parameters.get("report");
  parameters.delete("report");
  if (order) parameters.set("order", order);
  return [`/v1/reports/${encodeURIComponent(id)}`, parameters];
}

async function run() {
  const [path, parameters] = question();
  parameters.set("limit", PAGE);
  parameters.set("offset", offset);
  $("drill").hidden = $("why").hidden = true;
  if (!$("result-title").textContent) write($("result-title"), say("asking"));
  const answer = await busily($("result"), () => ask(path, parameters));
  if (answer) show(answer);
  else if ($("result-title").textContent === say("asking")) write($("result-title"), "");
}

function show(answer) {
  write($("result-title"), answer.name);
  document.title = `${answer.name} · ${tenant.name || "Ringmaster"}`;
  write($("result-period"), `${minute(answer.from)} – ${minute(answer.until)} · ${answer.tz}`);
  if (answer.before) $("result-period").append(` · ${say("comparedWith", { from: minute(answer.before.from), until: minute(answer.before.until) })}`);
  showMarks(answer);
  showTotals(answer);
  fillHead($("columns"), answer.columns, order, (next) => go({ nextOrder: next }));
  fillRows($("rows"), answer.columns, answer.rows, (row, column) => openDrill(answer, row, column, 0), openWhy);
  $("nothing").hidden = answer.rows.length > 0;
  document.querySelector("#result .scroll").hidden = !answer.rows.length;
  showPages("", answer, (next) => go({ nextOffset: next, nextOrder: order }));
  showExports();
  showChart(answer);
}

/** Return a moment of a period; periods rarely begin within a minute. */
const minute = (moment) => shown(moment, "moment").replace(/(:\d\d):00$/, "$1");

function showMarks({ completeness, before, tz }) {
  const at = (ms) => (ms ? `${date(ms, tz)} ${clockTime(ms, tz, true)}` : "…");
  const marks = [...completeness.marks, ...(before?.completeness.marks ?? [])];
  const told = marks.map((mark) => say(mark.kind, { node: mark.node, from: at(mark.from_ms), until: at(mark.until_ms) }));
  $("marks").hidden = !told.length;
  write($("marks"), [...new Set(told)].join(" "));
}

function showTotals(answer) {
  const metrics = answer.totals ? answer.columns.filter((column) => column.role === "metric") : [];
  $("totals").replaceChildren(...metrics.map((column) => {
    const pair = element("div");
    const value = element("dd", "", shown(answer.totals[column.id], column.unit));
    if (answer.before) value.append(changed(answer.totals[column.id], answer.before.totals[column.id], column));
    pair.append(element("dt", "", column.name), value);
    return pair;
  }));
}

function showPages(prefix, answer, turn) {
  const id = (name) => $(prefix + name);
  const first = answer.offset + 1, last = answer.offset + answer.rows.length;
  id("pages").hidden = answer.offset === 0 && answer.next_offset === null;
  write(id("place"), say("place", { first: count(first), last: count(last), all: count(answer.row_total) }));
  id("former").disabled = answer.offset === 0;
  id("next").disabled = answer.next_offset === null;
  id("former").onclick = () => turn(Math.max(0, answer.offset - PAGE));
  id("next").onclick = () => turn(answer.next_offset);
}

function showExports() {
  const [path, parameters] = question();
  parameters.delete("compare"); // a file has one period
  parameters.set("lang", language);
  if (tenant.id) parameters.set("tenant", tenant.id);
  $("exports").setAttribute("aria-label", say("exports"));
  $("exports").replaceChildren(...formats().map((format) => {
    const link = element("a", "", format.name);
    parameters.set("format", format.id);
    link.href = `${path}/export?${parameters}`;
    link.setAttribute("download", "");
    return link;
  }));
}

function showChart(answer) {
  const group = answer.columns.find((column) => column.role === "group");
  const metric = answer.columns.find((column) => column.role === "metric");
  const rows = answer.rows.filter((row) => typeof row.values[metric?.id] === "number").slice(0, MOST_BARS);
  const isDrawn = Boolean(group && metric && rows.length > 1);
  $("chart").toggleAttribute("hidden", !isDrawn);
  if (!isDrawn) return;
  const bars = rows.map((row) => {
    const value = row.values[metric.id], before = row.before?.[metric.id] ?? null;
    const text = shown(value, metric.unit) + (answer.before ? ` (${say("beforeIt", { value: shown(before, metric.unit) })})` : "");
    return { value, before, name: wordsOfCell(answer.columns, row), text };
  });
  drawColumns($("chart"), bars, (value) => shown(value, metric.unit), say("chartOf", { metric: metric.name, group: groupName(group.id) }), metric.unit === "count");
}

async function openDrill(answer, row, column, from) {
  const [path, parameters] = question();
  parameters.delete("order");
  parameters.delete("compare");
  parameters.set("limit", PAGE);
  parameters.set("offset", from);
  const body = { cell: row.cell ?? {}, metric: column.id };
  const found = await busily($("drill"), () => ask(`${path}/drill`, parameters, body));
  if (!found) return;
  write($("drill-title"), say("behind", { metric: column.name, cell: wordsOfCell(answer.columns, row) }));
  fillHead($("drill-columns"), found.columns);
  fillRows($("drill-rows"), found.columns, found.rows, null, openWhy);
  showPages("drill-", found, (next) => openDrill(answer, row, column, next));
  reveal("drill");
}

async function openWhy(callId) {
  const found = await busily($("why"), () => ask(`/v1/calls/${encodeURIComponent(callId)}/why`, new URLSearchParams()));
  if (!found) return;
  write($("why-title"), say("whyTitle", { call: callId }));
  $("why-steps").replaceChildren(...found.why.map((step) => {
    const line = element("li");
    line.append(element("small", "", `+${(step.after_ms / 1000).toFixed(1)} s`), element("span", "", step.text));
    return line;
  }));
  reveal("why");
}

/** Show a section and bring the reader there; closing it brings him back to where he was. */
function reveal(name) {
  const opener = document.activeElement;
  $(name).hidden = false;
  $(`${name}-title`).focus();
  $(name).scrollIntoView({ block: "nearest" });
  $(`${name}-close`).onclick = () => {
    $(name).hidden = true;
    if (opener?.isConnected) opener.focus();
  };
}

/** Ask what the form says, and keep it in the address, so that it can be sent on and gone back to. */
function go({ nextOffset = 0, nextOrder = "" } = {}) {
  [offset, order] = [nextOffset, nextOrder];
  const parameters = asked();
  if (tenant.id) parameters.set("tenant", tenant.id);
  if (order) parameters.set("order", order);
  if (offset) parameters.set("offset", offset);
  parameters.set("lang", language);
  history.pushState(null, "", `/reports?${parameters}`);
  showLanguage();
  return run();
}

function restore() {
  const parameters = new URL(location.href).searchParams;
  read(parameters);
  order = parameters.get("order") ?? "";
  offset = Number(parameters.get("offset") ?? 0) || 0;
  return run();
}

function showLanguage() {
  const other = language === "uk" ? "en" : "uk";
  $("language").href = elsewhere(new URL(location.href), { lang: other });
  $("language").textContent = say("otherLanguage");
  $("language").lang = other;
}

async function start() {
  writeWords();
  showLanguage();
  const address = new URL(location.href);
  try {
    tenant = await chooseTenant(address, say("company"), (id) => location.assign(elsewhere(address, { tenant: id })));
    write($("tenant"), [tenant.name, say("reports")].filter(Boolean).join(" · "));
    $("to-live").href = `/?${new URLSearchParams({ ...(tenant.id && { tenant: tenant.id }), lang: language })}`;
    prepare(await ask("/v1/reports", new URLSearchParams()), address.searchParams);
  } catch (error) {
    tell(error);
    return;
  }
  $("question").addEventListener("submit", (event) => {
    event.preventDefault();
    go();
  });
  $("report").addEventListener("change", () => go());
  addEventListener("popstate", restore);
  addEventListener("keydown", (event) => {
    const open = ["why", "drill"].find((name) => !$(name).hidden);
    if (event.key === "Escape" && open) $(`${open}-close`).click();
  });
  await restore();
}

start();
