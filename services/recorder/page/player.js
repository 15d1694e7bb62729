// Draws a recording's sound and plays it: the customer above the line, the agent below, what was heard in full colour.

import { duration, say } from "./words.js";

const JUMP_SECONDS = 10;
const SPEEDS = [0.75, 1, 1.25, 1.5, 2];

export class Player {
  constructor(root, onTime) {
    this.audio = root.querySelector("audio");
    this.canvas = root.querySelector("canvas");
    this.slider = root.querySelector("[role=slider]");
    this.button = root.querySelector(".play");
    this.time = root.querySelector(".time");
    this.speed = root.querySelector(".speed");
    this.onTime = onTime;
    this.lengthMs = 0;
    this.waveform = null;
    this.part = null;
    this.speedAt = 1;
    this.listen(root);
  }

  listen(root) {
    this.button.addEventListener("click", () => this.toggle());
    root.querySelector(".back").addEventListener("click", () => this.jump(-JUMP_SECONDS));
    root.querySelector(".forward").addEventListener("click", () => this.jump(JUMP_SECONDS));
    this.speed.addEventListener("click", () => this.hurry(1, true));
    for (const name of ["play", "pause", "ended"]) this.audio.addEventListener(name, () => this.show());
    for (const name of ["timeupdate", "seeked"]) this.audio.addEventListener(name, () => this.show());
    const seek = (event) => {
      const box = this.canvas.getBoundingClientRect();
      this.seek(Math.min(1, Math.max(0, (event.clientX - box.left) / box.width)) * this.lengthMs);
    };
    this.slider.addEventListener("pointerdown", (event) => {
      this.slider.setPointerCapture(event.pointerId);
      seek(event);
    });
    this.slider.addEventListener("pointermove", (event) => {
      if (this.slider.hasPointerCapture(event.pointerId)) seek(event);
    });
    this.slider.addEventListener("keydown", (event) => this.slide(event));
    new ResizeObserver(() => this.draw()).observe(this.canvas);
    matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () => this.draw());
    this.follow();
  }

  /** Move smoothly while it plays: timeupdate comes four times a second only. */
  follow() {
    requestAnimationFrame(() => this.follow());
    if (!this.audio.paused) this.show();
  }

  open(address, lengthMs, waveform) {
    this.audio.pause();
    this.audio.src = address;
    this.lengthMs = lengthMs;
    this.waveform = waveform;
    this.part = null;
    this.audio.playbackRate = SPEEDS[this.speedAt];
    this.show();
  }

  get nowMs() { return this.audio.currentTime * 1000; }

  toggle() { if (this.audio.paused) this.audio.play().catch(() => this.show()); else this.audio.pause(); }

  jump(seconds) { this.seek(this.nowMs + seconds * 1000); }

  seek(ms) {
    this.audio.currentTime = Math.min(this.lengthMs, Math.max(0, ms)) / 1000;
    this.show();
  }

  hurry(step, wraps = false) {
    const at = this.speedAt + step;
    this.speedAt = wraps ? at % SPEEDS.length : Math.min(SPEEDS.length - 1, Math.max(0, at));
    this.audio.playbackRate = SPEEDS[this.speedAt];
    this.show();
  }

  slide(event) {
    const to = { ArrowLeft: -5, ArrowRight: 5, PageUp: 30, PageDown: -30 }[event.key];
    if (to !== undefined) this.jump(to);
    else if (event.key === "Home") this.seek(0);
    else if (event.key === "End") this.seek(this.lengthMs);
    else return;
    event.preventDefault();
    event.stopPropagation();
  }

  show() {
    const label = say(this.audio.paused ? "play" : "pause");
    this.button.classList.toggle("is-playing", !this.audio.paused);
    this.button.setAttribute("aria-label", label);
    this.button.title = label;
    this.time.textContent = `${duration(this.nowMs)} / ${duration(this.lengthMs)}`;
    this.speed.textContent = `${SPEEDS[this.speedAt]}×`;
    this.slider.setAttribute("aria-valuemax", Math.round(this.lengthMs / 1000));
    this.slider.setAttribute("aria-valuenow", Math.round(this.nowMs / 1000));
    this.slider.setAttribute("aria-valuetext", `${duration(this.nowMs)} / ${duration(this.lengthMs)}`);
    this.draw();
    this.onTime(this.nowMs);
  }

  draw() {
    const scale = devicePixelRatio || 1;
    const width = Math.round(this.canvas.clientWidth * scale), height = Math.round(this.canvas.clientHeight * scale);
    if (!width || !height) return;
    if (this.canvas.width !== width || this.canvas.height !== height) Object.assign(this.canvas, { width, height });
    const pen = this.canvas.getContext("2d");
    pen.clearRect(0, 0, width, height);
    const style = getComputedStyle(this.canvas);
    const colour = (name) => style.getPropertyValue(name).trim();
    const played = this.lengthMs ? (this.nowMs / this.lengthMs) * width : 0;
    if (this.part) {
      pen.fillStyle = colour("--part");
      const [from, to] = this.part.map((ms) => (ms / this.lengthMs) * width);
      pen.fillRect(from, 0, Math.max(1, to - from), height);
    }
    this.bars(pen, width, height, scale, played, [colour("--customer"), colour("--agent")]);
    pen.fillStyle = colour("--ink");
    pen.fillRect(Math.min(width - 2 * scale, played), 0, 2 * scale, height);
  }

  bars(pen, width, height, scale, played, colours) {
    const { peaks = [], channels = 1, column_ms: columnMs = 0 } = this.waveform ?? {};
    const columns = columnMs ? this.lengthMs / columnMs : 0;
    const step = 3 * scale, middle = height / 2;
    for (let x = 0; x < width; x += step) {
      const first = Math.floor((x / width) * columns), last = Math.max(first + 1, Math.floor(((x + step) / width) * columns));
      for (const side of [0, 1]) {
        let peak = 0;
        for (let i = first; i < last; i++) peak = Math.max(peak, peaks[i * channels + Math.min(side, channels - 1)] ?? 0);
        const tall = Math.max(scale, (peak / 255) * (middle - 2 * scale));
        pen.globalAlpha = x < played ? 1 : 0.45;
        pen.fillStyle = colours[side];
        pen.fillRect(x, side ? middle + scale : middle - scale - tall, 2 * scale, tall);
      }
    }
    pen.globalAlpha = 1;
  }
}
