/** The page's elements, by their ids. */

/** The element of an id, which is of a kind. */
export function element<Kind extends HTMLElement>(id: string, kind: new () => Kind): Kind {
  const found = document.getElementById(id);
  if (!(found instanceof kind)) throw new TypeError(`The page has no ${kind.name} “${id}”.`);
  return found;
}

/** The elements that a selector finds, which are of a kind. */
export function elements<Kind extends HTMLElement>(selector: string, kind: new () => Kind): Kind[] {
  return [...document.querySelectorAll(selector)].filter((found): found is Kind => found instanceof kind);
}
