// Small tools for both pages. Whatever somebody named is written as text, never as markup.

export const $ = (id) => document.getElementById(id);

/** Write only what changed, so that nothing flickers and a reader's selection lives. */
export function write(element, text) {
  if (element.textContent !== text) element.textContent = text;
}

export function element(name, className, text) {
  const made = document.createElement(name);
  if (className) made.className = className;
  if (text !== undefined) made.textContent = text;
  return made;
}

/** Keep one child a key, in order, and let `fill` write into it. */
export function keep(parent, items, key, create, fill) {
  const known = new Map([...parent.children].map((child) => [child.dataset.key, child]));
  items.forEach((item, i) => {
    const name = key(item);
    let child = known.get(name);
    if (!child) {
      child = create(item);
      child.dataset.key = name;
    }
    known.delete(name);
    if (parent.children[i] !== child) parent.insertBefore(child, parent.children[i] ?? null);
    fill(child, item);
  });
  for (const child of known.values()) child.remove();
}

/** Return an address with other parameters; null takes one away. */
export function elsewhere(address, changes, path = address.pathname) {
  const next = new URL(address);
  for (const [name, value] of Object.entries(changes)) {
    if (value === null) next.searchParams.delete(name);
    else next.searchParams.set(name, value);
  }
  return path + next.search.replace(/=(?=&|$)/g, "");
}

/** Let the person choose among the companies that he may see; return the one that the page shows. */
export async function chooseTenant(address, label, onChoice) {
  const answer = await fetch("/v1/live/tenants");
  const tenants = answer.ok ? (await answer.json()).tenants : [];
  const asked = address.searchParams.get("tenant");
  const chosen = tenants.find((tenant) => tenant.id === asked) ?? (asked ? { id: asked, name: asked } : tenants[0]);
  if (tenants.length > 1) {
    const select = $("tenants");
    select.setAttribute("aria-label", label);
    const options = tenants.map((tenant) => new Option(tenant.name, tenant.id, false, tenant.id === chosen.id));
    select.replaceChildren(...options);
    select.hidden = false;
    document.body.classList.add("many-tenants");
    select.addEventListener("change", () => onChoice(select.value));
  }
  return chosen ?? { id: "", name: "" };
}
