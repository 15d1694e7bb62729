import { writeWords } from "./words.js";

writeWords();
document.getElementById("fault").hidden = !document.body.dataset.fault;
// Language and company stay in the address; the token does not.
document.getElementById("form").action = `/login${location.search.replace(/([?&])token=[^&]*&?/, "$1")}`;
