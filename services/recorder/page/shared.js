// A shared part: its sound and nothing else of the call.

import { Player } from "./player.js";
import { moment, say, writeWords } from "./words.js";

writeWords();
const $ = (id) => document.getElementById(id);
const answer = await fetch(`${location.pathname}/part`, { cache: "no-store" });
$("gone").hidden = answer.ok;
if (answer.ok) {
  const part = await answer.json();
  $("player").hidden = false;
  $("when").textContent = moment(part.recorded_at);
  $("expires").textContent = say("expires", { time: moment(part.expires_at) });
  new Player($("player"), () => {}).open(`${location.pathname}/audio`, part.duration_ms, part.waveform);
}
