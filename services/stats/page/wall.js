// A screen on a wall: nobody scrolls there, so a list takes the room that it has, gets smaller where there is too little,
// and where even that is not enough turns its pages by itself.

import { $ } from "./dom.js";

const SMALLEST = 0.6, STEP = 0.05;
const PAGE_MS = 10000;
// Card, what is shown in it, and how much larger than usual it may get.
const LISTS = [["queues", "#queues .scroll", 1], ["people", "#agent-cards", 1.6]];
let fitted = "";

/** Let both lists fit; done again when `shape` says that there is something more or less to show. */
export function fit(shape) {
  const now = `${innerWidth}x${innerHeight} ${shape}`;
  if (now === fitted) return;
  fitted = now;
  for (const [card, list, largest] of LISTS) {
    const shown = document.querySelector(list);
    for (let scale = largest; scale >= SMALLEST; scale -= STEP) {
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
