// A form over one part of the company's document: fields and JSON show the same draft, faults stand at their fields.
// Whatever somebody named is written as text, never as markup.

import { sayFault } from "./faults.js";
import { moment, say } from "./words.js";

export function element(name, className, text) {
  const made = document.createElement(name);
  if (className) made.className = className;
  if (text !== undefined) made.textContent = text;
  return made;
}

export function button(word, act) {
  const made = element("button", "", say(word));
  made.type = "button";
  made.addEventListener("click", act);
  return made;
}

const steps = (path) => path.split(".");

function valueAt(draft, path) {
  return steps(path).reduce((place, step) => place?.[step], draft);
}

/** Put a value into the draft, undefined takes it out; what is left empty by that goes too. */
function put(draft, path, value) {
  const [step, ...rest] = steps(path);
  if (rest.length) {
    if (value !== undefined || draft[step] !== undefined) draft[step] ??= {};
    if (draft[step] !== undefined) put(draft[step], rest.join("."), value);
    if (!Array.isArray(draft) && draft[step] && !Object.keys(draft[step]).length) delete draft[step];
  } else if (value === undefined && !Array.isArray(draft)) delete draft[step];
  else draft[step] = value;
}

const KINDS = {
  text: { shown: (value) => value ?? "", read: (field) => field.value.trim() || undefined },
  number: { shown: (value) => value ?? "", read: (field) => (field.value === "" ? undefined : Number(field.value)) },
  words: { shown: (value) => (value ?? []).join(", "), read: (field) => field.value.split(/[\s,]+/).filter(Boolean) },
  flag: { shown: (value) => value === true, read: (field) => field.checked || undefined },
  // The document says what is off; people ask what is on.
  on: { shown: (value) => value !== true, read: (field) => (field.checked ? undefined : true) },
};

/** Bind a form to drafts: a field names its place as data-path and its kind as data-kind; textarea.json is the whole. */
export class Editor {
  constructor(form, changed) {
    this.form = form;
    this.changed = changed;
    this.draft = {};
    this.json = form.querySelector("textarea.json");
    form.addEventListener("input", (event) => this.#take(event.target));
  }

  /** Show a draft, as if nobody had touched it. */
  open(draft) {
    this.draft = structuredClone(draft);
    this.#toJson();
    this.show();
  }

  /** Fill the fields from the draft. */
  show() {
    this.clear();
    for (const field of this.form.querySelectorAll("[data-path]")) {
      const shown = KINDS[field.dataset.kind ?? "text"].shown(valueAt(this.draft, field.dataset.path));
      if (field.type === "checkbox") field.checked = shown;
      else if (field.tagName !== "SELECT" || [...field.options].some((one) => one.value === shown)) field.value = shown;
    }
    this.changed();
  }

  /** Change the draft from outside of its fields. */
  change(act) {
    act(this.draft);
    this.#toJson();
    this.show();
  }

  /** Return the draft; throw what is wrong with its JSON. */
  read() {
    if (this.broken) throw new Error(say("notJson", { why: this.broken }));
    return this.draft;
  }

  #toJson() {
    this.broken = "";
    this.json.value = JSON.stringify(this.draft, null, 2);
  }

  #take(field) {
    if (field === this.json) {
      try {
        const read = JSON.parse(this.json.value);
        if (read === null || typeof read !== "object" || Array.isArray(read)) throw new Error("{ … }");
        this.draft = read;
        this.broken = "";
        this.show();
      } catch (error) {
        this.broken = error.message;
        this.changed();
      }
      return;
    }
    if (!field.dataset.path) return;
    put(this.draft, field.dataset.path, KINDS[field.dataset.kind ?? "text"].read(field));
    this.#toJson();
    this.clear();
    this.changed();
  }

  /** Take all faults off the form. */
  clear() {
    for (const each of this.form.querySelectorAll(".fault")) each.remove();
    for (const each of this.form.querySelectorAll("[aria-invalid]")) each.removeAttribute("aria-invalid");
    this.form.querySelector(".faults").replaceChildren();
  }

  /** Put each fault at its field; what has none, or lies elsewhere in the document, goes into the list with its path. */
  showFaults(faults) {
    this.clear();
    let first = null;
    for (const fault of faults) {
      const field = this.#fieldOf(fault.field);
      if (field) {
        field.setAttribute("aria-invalid", "true");
        field.closest("label").append(element("small", "fault", sayFault(fault)));
        first ??= field;
      } else this.form.querySelector(".faults").append(element("li", "", [fault.path, sayFault(fault)].filter(Boolean).join(" ")));
    }
    first?.focus();
  }

  #fieldOf(name) {
    const path = (name ?? "").replace(/\[(\d+)\]/g, ".$1").replace(/^\./, "");
    const fields = [...this.form.querySelectorAll("[data-path]")].filter((field) => field.offsetParent !== null);
    return path && fields.find((field) => path === field.dataset.path || path.startsWith(`${field.dataset.path}.`));
  }
}

/** Show what differs from the document in force. */
export function showChanges(list, changes) {
  const line = (mark, value) => element("span", mark === "+" ? "added" : "taken", `${mark} ${typeof value === "string" ? value : JSON.stringify(value)}`);
  list.replaceChildren(...changes.map((one) => {
    const made = element("li", "change");
    made.append(element("b", "", one.path));
    if (one.before !== null) made.append(line("−", one.before));
    if (one.after !== null) made.append(line("+", one.after));
    return made;
  }));
}

/** Fill a choice with ids, the first of them meaning none where that is named. */
export function fill(select, ids, none) {
  select.replaceChildren(...(none === undefined ? [] : [new Option(none, "")]), ...ids.map((id) => new Option(id, id)));
}

export const versionLine = (one) => say("versionLine", { version: one.version, actor: one.actor, time: moment(one.applied_ms) });

/**
 * The buttons of a form that changes one part: `check` asks what would change, `save` changes, `remove` takes out.
 * What was checked can be saved until a field changes; each such text is sent under one key, so that it counts once.
 */
export class Saving {
  constructor({ form, call, path, saved }) {
    Object.assign(this, { form, call, path, saved, key: "", isNew: true });
    this.buttons = { save: form.querySelector(".save"), remove: form.querySelector(".remove") };
    this.said = form.querySelector(".said");
    this.changes = form.querySelector(".changes");
    this.buttons.save.addEventListener("click", () => this.#send(false));
    this.buttons.remove.addEventListener("click", () => this.#remove());
  }

  /** Begin with a part as it stands in a version; without the right to change it, its buttons are not there. */
  begin(editor, name, document, { isNew, may }) {
    Object.assign(this, { editor, name, isNew, may, seen: document?.version ?? 0 });
    this.buttons.save.hidden = !may;
    this.buttons.remove.hidden = !may || isNew;
    this.said.textContent = may && document ? versionLine(document) : "";
    this.touched();
  }

  /** Forget what was checked. */
  touched() {
    this.key = "";
    this.buttons.save.disabled = true;
    this.buttons.remove.textContent = say("takeOut");
    this.changes.replaceChildren();
  }

  /** Ask what would change; return whether nothing is wrong. */
  async check() {
    return this.may ? this.#send(true) : true;
  }

  async #send(preview) {
    this.buttons.save.disabled = true;
    try {
      const body = { [this.name]: this.editor.read(), seen_version: this.seen, preview };
      const headers = preview ? {} : { "Idempotency-Key": this.key };
      const told = await this.call(this.path(this.editor.draft), { method: "PUT", body, headers });
      if (!preview) return this.saved(told, this.editor.draft);
      this.key = crypto.randomUUID?.() ?? `${Date.now()}-${Math.random()}`;
      this.buttons.save.disabled = told.changes.length === 0;
      showChanges(this.changes, told.changes);
      this.said.textContent = told.changes.length ? say("wouldChange") : say("nothingChanges");
      return true;
    } catch (error) {
      this.buttons.save.disabled = preview || !this.key;
      return this.#refused(error);
    }
  }

  async #remove() {
    if (this.buttons.remove.textContent !== say("reallyTakeOut")) {
      this.buttons.remove.textContent = say("reallyTakeOut");
      return;
    }
    try {
      const told = await this.call(`${this.path(this.editor.draft)}?seen_version=${this.seen}`, { method: "DELETE" });
      this.saved(told, null);
    } catch (error) {
      this.#refused(error);
    }
  }

  #refused(error) {
    this.editor.showFaults(error.faults ?? []);
    this.said.textContent = say("failed", { why: error.message });
    // On a small screen it lies below the fold; a field with its fault has the focus, and comes first.
    if (!error.faults?.length) this.said.scrollIntoView({ block: "nearest" });
    return false;
  }
}
