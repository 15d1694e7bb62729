// Answers of the reports' API as tables. Every cell is text; a number leads to the calls behind it.

import { element } from "./dom.js";
import { count, duration, exactPercent, points, say } from "./words.js";

const NUMBERS = new Set(["count", "number", "ratio", "seconds", "bytes"]);

// What is longer may be cut on the page; a pointer over it shows all.
const LONG = 24;

/** Return a value as people read it. */
export function shown(value, unit) {
  if (value === null || value === undefined || value === "") return say("empty");
  if (unit === "ratio") return exactPercent(value);
  if (unit === "seconds") return duration(value * 1000);
  if (unit === "flag" || typeof value === "boolean") return say(value ? "yes" : "no");
  if (typeof value === "number") return count(value);
  if (unit === "moment" || unit === "time") return String(value).replace(/^(\d{4}-\d\d-\d\d)T(\d\d:\d\d(:\d\d)?).*$/, "$1 $2");
  return String(value);
}

/** Return a cell's value as people read it: of a fixed list the word, which comes with the column. */
export const cellText = (column, value) => column.words?.[value] ?? shown(value, column.unit);

export const isNumber = (column) => NUMBERS.has(column.unit);

/** Fill a table's head; with `onSort(order)` its names sort, `order` being the column and its way now. */
export function fillHead(row, columns, order = "", onSort = null) {
  row.replaceChildren(...columns.map((column) => {
    const cell = element("th", isNumber(column) ? "number" : "");
    cell.scope = "col";
    if (!onSort) {
      cell.textContent = column.name;
      return cell;
    }
    const isChosen = order.replace("-", "") === column.id, isDown = order.startsWith("-");
    const button = element("button", "", column.name + (isChosen ? (isDown ? " ▾" : " ▴") : ""));
    button.type = "button";
    cell.setAttribute("aria-sort", isChosen ? (isDown ? "descending" : "ascending") : "none");
    button.addEventListener("click", () => onSort(isChosen && isDown ? column.id : `-${column.id}`));
    cell.append(button);
    return cell;
  }));
}

/** Fill a table's body. `onCell(row, column)` opens what is behind a number, `onCall(id)` a call. */
export function fillRows(body, columns, rows, onCell, onCall) {
  body.replaceChildren(...rows.map((row) => {
    const line = element("tr");
    line.append(...columns.map((column, place) => {
      const value = row.values[column.id], text = cellText(column, value);
      const cell = element(place ? "td" : "th", isNumber(column) ? "number" : "");
      if (!place) cell.scope = "row";
      const opens = column.role === "metric" && value !== null && row.cell !== undefined && onCell;
      if (opens) cell.append(opening(text, () => onCell(row, column)));
      else if (column.id === "call" && value && onCall) cell.append(opening(text, () => onCall(String(value))));
      else cell.textContent = text;
      if (column.role === "metric" && "before" in row) cell.append(changed(value, row.before?.[column.id] ?? null, column));
      if (text.length > LONG) cell.title = text;
      return cell;
    }));
    return line;
  }));
}

/** Return by how much a value is above or below that of the period before, with the former value under the pointer. */
export function changed(value, before, column) {
  const both = typeof value === "number" && typeof before === "number";
  const mark = element("small", "change");
  mark.title = say("beforeIt", { value: shown(before, column.unit) });
  if (!both) mark.textContent = typeof value === "number" ? say("nothingBefore") : typeof before === "number" ? mark.title : "";
  else if (value === before) mark.textContent = "=";
  else if (column.unit === "ratio") mark.textContent = `${value > before ? "▴" : "▾"} ${points(Math.abs(value - before))}`;
  else mark.textContent = `${value > before ? "▴" : "▾"} ${before ? exactPercent(Math.abs(value - before) / Math.abs(before)) : shown(Math.abs(value), column.unit)}`;
  return mark;
}

function opening(text, open) {
  const button = element("button", "", text);
  button.type = "button";
  button.addEventListener("click", open);
  return button;
}

/** Return the words for a row's groups, for headings. */
export function wordsOfCell(columns, row) {
  const groups = columns.filter((column) => column.role === "group");
  return groups.map((column) => cellText(column, row.values[column.id])).join(", ") || say("allOfIt");
}
