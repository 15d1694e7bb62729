// Charts of plain SVG. Colours come from classes, so light and dark are the style sheet's business.

const SVG = "http://www.w3.org/2000/svg";
const LEFT = 64, RIGHT = 8, TOP = 12, BOTTOM = 22;

function make(name, attributes = {}, text = "") {
  const element = document.createElementNS(SVG, name);
  for (const [key, value] of Object.entries(attributes)) element.setAttribute(key, value);
  if (text) element.textContent = text;
  return element;
}

/** Round a scale's top up to a figure that people count in. */
function niceTop(most) {
  const power = 10 ** Math.floor(Math.log10(Math.max(1, most)));
  return [1, 2, 5, 10].find((each) => each * power >= most) * power;
}

/** Return a place to draw in: one unit is one pixel, so figures keep their size on a phone. */
function frame(svg, points, most, shown, clock) {
  const width = svg.clientWidth || 640, height = svg.clientHeight || 200;
  const step = (width - LEFT - RIGHT) / points.length;
  const x = (place) => LEFT + step * place;
  const y = (value) => TOP + (height - TOP - BOTTOM) * (1 - value / most);
  const pieces = [];
  for (const share of [0, 0.5, 1]) {
    const at = y(share * most).toFixed(1);
    pieces.push(make("line", { x1: LEFT, x2: width - RIGHT, y1: at, y2: at, class: "grid" }));
    pieces.push(make("text", { x: LEFT - 6, y: Number(at) + 4, class: "left" }, shown(share * most)));
  }
  const every = Math.ceil(points.length / Math.max(2, Math.floor((width - LEFT) / 90)));
  for (let place = 0; place < points.length; place += every) {
    pieces.push(make("text", { x: x(place + 0.5), y: height - 5, class: "moment" }, clock(points[place].from_ms)));
  }
  svg.setAttribute("viewBox", `0 0 ${width} ${height}`);
  return { x, y, step, pieces };
}

/** Draw tries, the failed on top of the delivered. */
export function tries(svg, points, shown, clock, label) {
  const most = niceTop(Math.max(1, ...points.map((point) => point.delivered + point.failed)));
  const { x, y, step, pieces } = frame(svg, points, most, shown, clock);
  points.forEach((point, place) => {
    let base = 0;
    for (const name of ["delivered", "failed"]) {
      const value = point[name];
      if (value) {
        const wide = Math.max(1, step - 1).toFixed(1), high = Math.max(1, y(base) - y(base + value)).toFixed(1);
        pieces.push(make("rect", { x: x(place).toFixed(1), y: y(base + value).toFixed(1), width: wide, height: high, class: name }));
      }
      base += value;
    }
  });
  svg.setAttribute("aria-label", label);
  svg.replaceChildren(...pieces);
}

/** Draw times to answer as two lines, broken where nothing was answered. */
export function times(svg, points, shown, clock, label) {
  const most = niceTop(Math.max(10, ...points.map((point) => point.p99_ms ?? 0)));
  const { x, y, pieces } = frame(svg, points, most, shown, clock);
  for (const name of ["p99", "p50"]) {
    let path = "", isDrawing = false;
    points.forEach((point, place) => {
      const value = point[`${name}_ms`];
      if (value === null) isDrawing = false;
      else {
        path += `${isDrawing ? "L" : "M"}${x(place).toFixed(1)} ${y(value).toFixed(1)}H${x(place + 1).toFixed(1)}`;
        isDrawing = true;
      }
    });
    pieces.push(make("path", { d: path || "M0 0", class: name }));
  }
  svg.setAttribute("aria-label", label(most));
  svg.replaceChildren(...pieces);
}
