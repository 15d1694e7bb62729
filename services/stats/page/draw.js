// Charts of plain SVG. Colours come from classes, so light and dark are the style sheet's business.

const SVG = "http://www.w3.org/2000/svg";
const QUARTER_MS = 900000;
const WIDEST_BAR = 72;

/** Make an SVG element. */
function make(name, attributes = {}, text = "") {
  const element = document.createElementNS(SVG, name);
  for (const [key, value] of Object.entries(attributes)) element.setAttribute(key, value);
  if (text) element.textContent = text;
  return element;
}

/** Draw parts beside each other: [{className, value}]. */
export function bar(svg, parts, label) {
  const whole = parts.reduce((sum, part) => sum + part.value, 0);
  const pieces = [make("rect", { width: 100, height: 8, class: "ground" })];
  let x = 0;
  for (const part of parts.filter((each) => each.value > 0)) {
    const width = (100 * part.value) / whole;
    pieces.push(make("rect", { x, width: Math.max(0.4, width - 0.5), height: 8, class: part.className }));
    x += width;
  }
  svg.setAttribute("aria-label", label);
  svg.replaceChildren(...pieces);
}

/** Draw a half circle filled to a ratio, with a mark at the goal. */
export function gauge(svg, ratio, goal, className, label) {
  const at = (share, radius) => {
    const angle = Math.PI * (1 - share);
    return [60 + radius * Math.cos(angle), 62 - radius * Math.sin(angle)];
  };
  const arc = (share) => {
    const [x, y] = at(share, 50);
    return `M10 62 A50 50 0 0 1 ${x.toFixed(2)} ${y.toFixed(2)}`;
  };
  const [x1, y1] = at(goal, 41);
  const [x2, y2] = at(goal, 59);
  const pieces = [make("path", { d: arc(1), class: "arc ground" })];
  if (ratio) pieces.push(make("path", { d: arc(Math.min(1, ratio)), class: `arc ${className}` }));
  pieces.push(make("line", { x1, y1, x2, y2, class: "goal" }));
  svg.setAttribute("aria-label", label);
  svg.replaceChildren(...pieces);
}

/** Draw levels as an area, one step a point. */
export function spark(svg, levels, label) {
  const most = Math.max(1, ...levels);
  const step = 60 / levels.length;
  const height = (level) => (20 - (19 * level) / most).toFixed(2);
  const line = levels.map((level, i) => `H${(i * step).toFixed(2)} V${height(level)} H${((i + 1) * step).toFixed(2)}`);
  svg.setAttribute("aria-label", label);
  svg.replaceChildren(make("path", { d: `M0 20 ${line.join(" ")} V20 Z`, class: "area" }));
}

/** Round a scale's top up to a figure that people count in. */
function niceTop(most) {
  const steps = [4, 8, 12, 20, 40, 60, 80, 100];
  const power = 10 ** Math.max(0, Math.floor(Math.log10(Math.max(1, most))) - 1);
  return (steps.find((each) => each * power >= most) ?? 200) * power;
}

/** Draw a day: stacked calls a quarter hour, service level as a line over them. */
export function day(svg, view, clock, percent, label) {
  const quarters = view.series.quarters;
  // One unit is one pixel, so that figures keep their size on a phone and on a wall.
  const width = svg.clientWidth || 640, height = svg.clientHeight || 220;
  const letter = parseFloat(getComputedStyle(svg).fontSize) * 0.75;
  const left = 3 * letter, right = 4.6 * letter, top = letter, bottom = 2 * letter;
  const [from, until] = shownHours(view, quarters);
  const most = niceTop(Math.max(1, ...quarters.map((q) => q.answered + q.abandoned + q.other)));
  const x = (ms) => left + ((width - left - right) * (ms - from)) / (until - from);
  const y = (value) => top + (height - top - bottom) * (1 - value / most);
  const pieces = [...scale(most, y, left, width - right, percent), ...hours(from, until, x, height, clock)];
  const wide = Math.max(1, x(from + QUARTER_MS) - x(from) - 1);
  for (const quarter of quarters.filter((q) => q.from_ms >= from)) {
    let base = 0;
    for (const name of ["answered", "abandoned", "other"]) {
      const value = quarter[name];
      if (!value) continue;
      pieces.push(make("rect", {
        x: x(quarter.from_ms).toFixed(1), y: y(base + value).toFixed(1), width: wide.toFixed(1),
        height: (y(base) - y(base + value)).toFixed(1), class: name,
      }));
      base += value;
    }
  }
  pieces.push(...levelLine(quarters, (q) => x(Math.min(view.now_ms, q.from_ms + QUARTER_MS / 2)), (ratio) => y(ratio * most)));
  pieces.push(make("line", { x1: x(view.now_ms), x2: x(view.now_ms), y1: top, y2: height - bottom, class: "now" }));
  svg.setAttribute("viewBox", `0 0 ${width} ${height}`);
  svg.setAttribute("aria-label", label);
  svg.replaceChildren(...pieces);
}

/** Return the hours to show: from the first call to an hour after now, six hours at least, within the day. */
function shownHours(view, quarters) {
  const hour = 3600000;
  const first = quarters.find((q) => q.started || q.service_level !== null)?.from_ms ?? view.now_ms;
  let until = Math.min(view.today.until_ms, (Math.floor(view.now_ms / hour) + 1) * hour);
  let from = Math.max(view.today.from_ms, Math.floor(first / hour) * hour);
  from = Math.max(view.today.from_ms, Math.min(from, until - 6 * hour));
  until = Math.min(view.today.until_ms, Math.max(until, from + 6 * hour));
  return [from, until];
}

function scale(most, y, left, right, percent) {
  const pieces = [];
  for (const share of [0, 0.25, 0.5, 0.75, 1]) {
    const at = y(share * most).toFixed(1);
    pieces.push(make("line", { x1: left, x2: right, y1: at, y2: at, class: "grid" }));
    pieces.push(make("text", { x: left - 6, y: Number(at) + 4, class: "left" }, String(share * most)));
    pieces.push(make("text", { x: right + 6, y: Number(at) + 4, class: "level-text" }, percent(share)));
  }
  return pieces;
}

function hours(from, until, x, height, clock) {
  const room = Math.max(2, Math.floor((x(until) - x(from)) / 70));
  const step = Math.max(1, Math.ceil((until - from) / 3600000 / room)) * 3600000;
  const pieces = [];
  for (let at = from; at <= until; at += step) {
    pieces.push(make("text", { x: x(at), y: height - 4, class: "hour" }, clock(at)));
  }
  return pieces;
}

/** Draw the line, broken where a quarter hour has nobody to count. */
function levelLine(quarters, x, y) {
  let path = "", isDrawing = false;
  const dots = [];
  for (const quarter of quarters) {
    if (quarter.service_level === null) {
      isDrawing = false;
      continue;
    }
    const at = [x(quarter).toFixed(1), y(quarter.service_level).toFixed(1)];
    path += `${isDrawing ? "L" : "M"}${at[0]} ${at[1]}`;
    dots.push(make("circle", { cx: at[0], cy: at[1], r: 2.5, class: "level-dot" }));
    isDrawing = true;
  }
  return [make("path", { d: path || "M0 0", class: "level-line" }), ...dots];
}

/** Draw one bar a row: [{value, before, name, text}], a line at what was before where that is known, with a scale at the left (of counts in whole numbers) and as many names as there is room for. */
export function columns(svg, bars, shown, label, isCount) {
  const width = svg.clientWidth || 640, height = svg.clientHeight || 200;
  const letter = parseFloat(getComputedStyle(svg).fontSize) * 0.75;
  const left = 5 * letter, top = letter, bottom = 2 * letter, room = (width - left) / bars.length;
  const highest = Math.max(...bars.flatMap((bar) => [bar.value, bar.before ?? 0])) || 1;
  const most = isCount ? niceTop(highest) : highest;
  const y = (value) => top + (height - top - bottom) * (1 - value / most);
  const pieces = [];
  for (const share of [0, 0.5, 1]) {
    const at = y(share * most).toFixed(1);
    pieces.push(make("line", { x1: left, x2: width, y1: at, y2: at, class: "grid" }));
    pieces.push(make("text", { x: left - 6, y: Number(at) + 4, class: "left" }, shown(share * most)));
  }
  const every = Math.ceil((8 * letter) / room);
  bars.forEach((bar, i) => {
    const x = left + i * room;
    const piece = make("rect", { x: x.toFixed(1), y: y(bar.value).toFixed(1), width: Math.min(WIDEST_BAR, Math.max(1, room - 2)).toFixed(1), height: Math.max(0, y(0) - y(bar.value)).toFixed(1), class: "bar-of" });
    piece.append(make("title", {}, `${bar.name}: ${bar.text}`));
    pieces.push(piece);
    if (typeof bar.before === "number") {
      const at = y(bar.before).toFixed(1), wide = Math.min(WIDEST_BAR, Math.max(1, room - 2));
      pieces.push(make("line", { x1: x.toFixed(1), x2: (x + wide).toFixed(1), y1: at, y2: at, class: "before-of" }));
    }
    if (i % every === 0) {
      const letters = Math.max(3, Math.floor((every * room) / (0.62 * letter)) - 1);
      const name = bar.name.length > letters ? `${bar.name.slice(0, letters - 1)}…` : bar.name;
      pieces.push(make("text", { x: x.toFixed(1), y: height - 4 }, name));
    }
  });
  svg.setAttribute("viewBox", `0 0 ${width} ${height}`);
  svg.setAttribute("aria-label", label);
  svg.replaceChildren(...pieces);
}
