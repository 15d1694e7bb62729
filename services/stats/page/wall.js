// A screen on a wall: nobody scrolls there, so whatever does not fit gets smaller, and then turns its pages by itself.

import { $ } from "./dom.js";

const SMALLEST = 0.6, STEP = 0.05;
const PAGE_MS = 10000;
const LISTS = [["queues", "#queues .scroll"], ["people", "#agent-cards"]];
let fitted = "";

/** Let both lists fit; done again when `shape` says that there is something more or less to show. */
export function fit(shape) {
  const now = `${innerWidth}x${innerHeight} ${shape}`;
  if (now === fitted) return;
  fitted = now;
  for (const [card, list] of LISTS) {
    const shown = document.querySelector(list);
    for (let scale = 1; scale >= SMALLEST; scale -= STEP) {
      $(card).style.setProperty("--fit", scale.toFixed(2));
      if (shown.scrollHeight <= shown.clientHeight) break;
    }
    shown.scrollTop = 0;
  }
}

/** Show the next page of a list that is still too long. */
export function turnPages() {
  setInterval(() => {
    for (const [, list] of LISTS) {
      const shown = document.querySelector(list), next = shown.scrollTop + shown.clientHeight;
      shown.scrollTop = next >= shown.scrollHeight - 1 ? 0 : next;
    }
  }, PAGE_MS);
}
