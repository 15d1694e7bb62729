// The report builder's form: what can be asked, what is asked, and the same as an address that can be sent to somebody.

import { $, element } from "./dom.js";
import { offerOptions, prepareOptions, readOptions, writeOptions } from "./options.js";
import { language, say } from "./words.js";

const PERIODS = ["today", "yesterday", "this_week", "last_week", "this_month", "last_month", "last_7_days", "last_30_days"];
const DATES = "dates";
const FIRST = "summary";
const DAY_MS = 86400000;
let catalogue = null;

const report = () => catalogue.reports.find((each) => each.id === $("report").value);
const chosen = (box) => [...$(box).querySelectorAll("input:checked")].map((input) => input.value);
const nameOf = (list, id) => catalogue[list].find((each) => each.id === id)?.name ?? id;
export const groupName = (id) => nameOf("groups", id);
export const formats = () => catalogue.formats;

/** Fill the form by what the server can answer and by what the address asks. */
export function prepare(found, parameters) {
  catalogue = found;
  const sections = Map.groupBy ? Map.groupBy(found.reports, (each) => each.section) : grouped(found.reports);
  $("report").replaceChildren(...[...sections].map(([section, reports]) => {
    const group = element("optgroup");
    group.label = section;
    group.append(...reports.map((each) => new Option(each.name, each.id)));
    return group;
  }));
  $("period").replaceChildren(...[...PERIODS, DATES].map((each) => new Option(say(`period_${each}`), each)));
  $("report").addEventListener("change", () => choose(report().groups, report().metrics));
  $("period").addEventListener("change", showDates);
  $("metrics").addEventListener("change", () => offer(chosen("groups"), chosen("metrics")));
  $("add-filter").addEventListener("click", () => addFilter().querySelector("select").focus());
  prepareOptions();
  read(parameters);
}

function grouped(reports) {
  const found = new Map();
  for (const each of reports) found.set(each.section, [...(found.get(each.section) ?? []), each]);
  return found;
}

/** Read an address into the form. */
export function read(parameters) {
  const asked = parameters.get("report");
  const wanted = [asked, FIRST].find((id) => catalogue.reports.some((each) => each.id === id));
  $("report").value = wanted ?? catalogue.reports[0].id;
  const from = parameters.get("from"), until = parameters.get("until");
  $("period").value = from ? DATES : PERIODS.includes(parameters.get("period")) ? parameters.get("period") : "today";
  $("from").value = from ?? "";
  $("last").value = until ? new Date(Date.parse(until) - DAY_MS).toISOString().slice(0, 10) : "";
  showDates();
  const list = (name, usual) => (parameters.has(name) ? parameters.get(name).split(",").filter(Boolean) : usual);
  $("filters").replaceChildren();
  choose(list("groups", report().groups), list("metrics", report().metrics));
  for (const filter of parameters.getAll("filter")) addFilter(...splitOnce(filter));
  readOptions(parameters);
}

function splitOnce(text) {
  const at = text.indexOf(":");
  return [text.slice(0, at), text.slice(at + 1)];
}

/** Return the form as parameters of the address and of the API; they are the same but for `report`. */
export function asked() {
  const parameters = new URLSearchParams({ report: report().id });
  if ($("period").value === DATES) {
    parameters.set("from", $("from").value);
    parameters.set("until", new Date(Date.parse($("last").value) + DAY_MS).toISOString().slice(0, 10));
  } else parameters.set("period", $("period").value);
  if (report().kind !== "list") {
    parameters.set("groups", chosen("groups").join(","));
    parameters.set("metrics", chosen("metrics").join(","));
  }
  for (const row of $("filters").children) {
    const [group, value] = row.querySelectorAll("select, input");
    if (value.value) parameters.append("filter", `${group.value}:${value.value}`);
  }
  writeOptions(parameters);
  return parameters;
}

function showDates() {
  const isOpen = $("period").value === DATES;
  $("dates").hidden = !isOpen;
  for (const id of ["from", "last"]) $(id).disabled = !isOpen;
}

function choose(groups, metrics) {
  const isList = report().kind === "list";
  $("groups-box").hidden = $("metrics-box").hidden = isList;
  offer(groups, metrics);
}

/** Offer the groups that every chosen metric's source has, and the metrics beside them. */
function offer(groups, metrics) {
  const metricSources = catalogue.metrics.filter((each) => metrics.includes(each.id)).flatMap((each) => each.sources);
  const sources = new Set(report().kind === "list" ? report().sources : metricSources);
  offerOptions(report().kind, sources, metrics);
  const fits = (group) => [...sources].every((source) => group.sources.includes(source));
  fill("groups", catalogue.groups.filter((group) => fits(group) || groups.includes(group.id)), groups);
  const near = new Set([...report().sources, ...sources]);
  const offered = catalogue.metrics.filter((each) => metrics.includes(each.id) || each.sources.every((source) => near.has(source)));
  fill("metrics", offered, metrics);
}

function fill(box, items, chosenIds) {
  const focused = document.activeElement?.value, hadFocus = $(box).contains(document.activeElement);
  const rank = (item) => (chosenIds.includes(item.id) ? chosenIds.indexOf(item.id) : 1000);
  const sorted = [...items].sort((a, b) => rank(a) - rank(b) || a.name.localeCompare(b.name, language));
  $(box).replaceChildren(...sorted.map((item) => {
    const label = element("label"), input = element("input");
    input.type = "checkbox";
    input.value = item.id;
    input.checked = chosenIds.includes(item.id);
    label.append(input, element("span", "", item.name));
    return label;
  }));
  if (hadFocus) [...$(box).querySelectorAll("input")].find((input) => input.value === focused)?.focus();
}

function addFilter(group = "", value = "") {
  const row = element("li"), select = element("select"), remove = element("button", "", "×");
  const sources = report().sources;
  const groups = catalogue.groups.filter((each) => each.id === group || sources.every((source) => each.sources.includes(source)));
  select.append(...groups.map((each) => new Option(each.name, each.id, false, each.id === group)));
  select.setAttribute("aria-label", say("onlyWhere"));
  select.addEventListener("change", () => row.children[1].replaceWith(valueField(select.value, "")));
  remove.type = "button";
  remove.setAttribute("aria-label", say("remove"));
  remove.addEventListener("click", () => {
    row.remove();
    $("add-filter").focus();
  });
  row.append(select, valueField(select.value, value), remove);
  $("filters").append(row);
  return row;
}

/** Return the field for a condition's value: a choice where the values are a fixed list, else a text. */
function valueField(group, value) {
  const words = catalogue.groups.find((each) => each.id === group)?.words ?? {};
  const isList = Object.keys(words).length > 0, field = element(isList ? "select" : "input");
  if (isList) {
    if (value && !(value in words)) field.append(new Option(value, value));
    field.append(...Object.entries(words).map(([each, name]) => new Option(name, each)));
  } else {
    field.maxLength = 200;
    field.placeholder = say("value");
  }
  if (value || !isList) field.value = value;
  field.setAttribute("aria-label", say("value"));
  return field;
}
