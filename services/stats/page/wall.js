// A screen on a wall: nobody scrolls there, so a list takes the room that it has, gets smaller where there is too little,
// and where even that is not enough turns its pages by itself.

import { $ } from "./dom.js";

const SMALLEST = 0.6, STEP = 0.05;
const PAGE_MS = 10000;
// Card, and what is shown in it. The queues come last: they get smaller by what the agents have taken.
const LISTS = [["people", "#agent-cards"], ["queues", "#queues .scroll"]];
const LARGEST_AGENTS = 1.6, LEAST_CALLS = 140;
let fitted = "";

/** Let both lists fit; done again when `shape` says that there is something more or less to show. */
export function fit(shape) {
  const now = `${innerWidth}x${innerHeight} ${shape}`;
  if (now === fitted) return;
  fitted = now;
  $("calls-now").hidden = true;
  const hasRoom = document.querySelector("main").classList.contains("many");
  for (const [card, list] of LISTS) {
    const shown = document.querySelector(list);
    for (let scale = card === "people" && hasRoom ? LARGEST_AGENTS : 1; scale >= SMALLEST; scale -= STEP) {
      $(card).style.setProperty("--fit", scale.toFixed(2));
      if (shown.scrollHeight <= shown.clientHeight + 1) break;
    }
    shown.scrollTop = 0;
  }
  // A list of calls of which nobody sees a row is none.
  $("calls-now").hidden = false;
  $("calls-now").hidden = $("calls-now").clientHeight < LEAST_CALLS;
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
