// What a report may be told beside groups and metrics: threshold, FCR, tariff, staffing, time zone, comparison.

import { $ } from "./dom.js";

const NAMES = ["tz", "threshold_seconds", "fcr_hours", "fcr_queues", "resolved", "unresolved", "tariff", "agents", "target_percent", "patience_seconds"];

/** Fill the list of time zones that this browser knows; any other may be typed. */
export function prepareOptions() {
  const zones = Intl.supportedValuesOf ? Intl.supportedValuesOf("timeZone") : [];
  $("zones").replaceChildren(...zones.map((zone) => new Option(zone, zone)));
}

/** Read an address into the form; open the options where it has any. */
export function readOptions(parameters) {
  for (const name of NAMES) $(name).value = parameters.get(name) ?? "";
  $("compare").checked = parameters.get("compare") === "before";
  $("options").open ||= NAMES.some((name) => parameters.has(name)) || $("compare").checked;
}

/** Write what is given into parameters; what the report has no use for is left out. */
export function writeOptions(parameters) {
  for (const name of NAMES) {
    const field = $(name), value = field.value.trim();
    if (value && !field.closest("label").hidden) parameters.set(name, value);
  }
  if ($("compare").checked && !$("compare-box").hidden) parameters.set("compare", "before");
}

/** Show the options that a report of this kind, of these sources and metrics, has a use for. */
export function offerOptions(kind, sources, metrics) {
  const has = new Set([...sources, ...metrics, kind]);
  if (kind === "staffing") has.add("visits");
  for (const label of document.querySelectorAll("#options [data-needs]")) {
    label.hidden = !has.has(label.dataset.needs);
    label.querySelector("input").disabled = label.hidden;
  }
  $("compare-box").hidden = kind === "list";
}
