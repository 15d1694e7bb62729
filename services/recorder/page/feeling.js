// Draws how a talk sounded along its sound: good above the line, bad below it, the customer wide and the agent narrow.

import { duration, language, say } from "./words.js";

const numbers = new Intl.NumberFormat(language, { signDisplay: "exceptZero", minimumFractionDigits: 1, maximumFractionDigits: 1 });
const THIRDS = ["firstThird", "middleThird", "lastThird"];
const LEAST_WIDTH = 3;

/** −0.8 → "bad", 0.1 → "", 0.6 → "good": below a quarter it is no feeling (weighing.py). */
export const tone = (score) => (score >= 0.25 ? "good" : score <= -0.25 ? "bad" : "");

export class Feeling {
  constructor(root, onSeek) {
    this.root = root;
    this.canvas = root.querySelector("canvas");
    this.words = root.querySelector("p");
    this.sentiment = null;
    this.lengthMs = 0;
    this.canvas.addEventListener("click", (event) => {
      const box = this.canvas.getBoundingClientRect();
      onSeek(((event.clientX - box.left) / box.width) * this.lengthMs);
    });
    new ResizeObserver(() => this.draw()).observe(this.canvas);
    matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () => this.draw());
  }

  show(sentiment, lengthMs) {
    const told = ["customer", "agent"].filter((who) => sentiment?.[who]?.score != null);
    Object.assign(this, { sentiment, lengthMs });
    this.root.hidden = !told.length;
    this.words.replaceChildren(...told.map((who) => this.line(who, sentiment[who])));
    const text = told.map((who) => this.sentence(who, sentiment[who])).join(" ");
    this.canvas.setAttribute("aria-label", text);
    this.draw();
  }

  /** Customer −0.4 · then −0.9, −0.4, +0.8: worse or better is seen without reading. */
  line(who, side) {
    const made = document.createElement("span");
    made.className = who;
    made.title = this.sentence(who, side);
    const name = document.createElement("b");
    name.textContent = say(who === "agent" ? "agentVoice" : "customer");
    made.append(name, " ", score(side.score));
    const parts = side.thirds.map((each) => (each === null ? "–" : score(each)));
    made.append(" · ", ...parts.flatMap((part, at) => (at ? [" → ", part] : [part])));
    return made;
  }

  sentence(who, side) {
    const name = say(who === "agent" ? "agentVoice" : "customer");
    const thirds = side.thirds.map((each, at) => (each === null ? null : `${say(THIRDS[at])} ${numbers.format(each)}`)).filter(Boolean);
    return say("sounded", { name, score: numbers.format(side.score), thirds: thirds.join(", ") });
  }

  draw() {
    const scale = devicePixelRatio || 1;
    const width = Math.round(this.canvas.clientWidth * scale), height = Math.round(this.canvas.clientHeight * scale);
    if (!width || !height || !this.sentiment || !this.lengthMs) return;
    Object.assign(this.canvas, { width, height });
    const pen = this.canvas.getContext("2d"), style = getComputedStyle(this.canvas);
    const colour = (name) => style.getPropertyValue(name).trim();
    const middle = height / 2;
    pen.fillStyle = colour("--line");
    for (const third of [1, 2]) pen.fillRect((third * width) / 3, 0, scale, height);
    pen.fillRect(0, middle - scale / 2, width, scale);
    for (const { speaker, start_ms: from, end_ms: to, score } of this.sentiment.utterances) {
      const isAgent = speaker === "agent", tall = Math.abs(score) * (middle - scale);
      const wide = Math.max(LEAST_WIDTH * scale, ((to - from) / this.lengthMs) * width);
      pen.fillStyle = colour(score < 0 ? "--bad" : "--good");
      pen.globalAlpha = isAgent ? 0.55 : 1;
      const inset = isAgent ? wide / 3 : 0;
      pen.fillRect((from / this.lengthMs) * width + inset, score < 0 ? middle : middle - tall, Math.max(LEAST_WIDTH * scale, wide - 2 * inset), tall);
    }
    pen.globalAlpha = 1;
  }
}

function score(value) {
  const made = document.createElement("i");
  made.className = `score ${tone(value)}`;
  made.textContent = numbers.format(value);
  return made;
}

/** Return a turn's mark: the utterances in it that say something of feeling, and the words that they were found by. */
export function marks(turn, sentiment) {
  const mine = (sentiment?.utterances ?? []).filter((each) => each.speaker === turn.speaker && each.start_ms >= turn.start_ms && each.end_ms <= turn.end_ms);
  return mine.map((each) => {
    const made = score(each.score);
    made.title = say("foundBy", { time: duration(each.start_ms), words: each.found.map(([word, weight]) => `${word} ${numbers.format(weight)}`).join(", ") });
    made.append(` ${each.found.map(([word]) => word).join(", ")}`);
    return made;
  });
}
