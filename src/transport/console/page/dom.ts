/**
 * Making elements. Text only ever becomes text nodes: there is no way from a string to markup in here.
 * @module
 */

/** What can stand inside an element; `undefined`, `null` and `false` are nothing. */
export type Child = Node | string | number | undefined | null | false | readonly Child[];

type Listeners = { readonly [Name in keyof HTMLElementEventMap]?: (event: HTMLElementEventMap[Name]) => void };

/** Attributes as in markup (`true` = there, `false` and `undefined` = not), and listeners. */
export interface Attributes {
  readonly [name: string]: string | number | boolean | undefined | Listeners;
  readonly on?: Listeners;
}

const setAttributes = (element: Element, { on = {}, ...attributes }: Attributes): void => {
  for (const [name, value] of Object.entries(attributes)) {
    if (value === undefined || value === false || typeof value === "object") continue;
    element.setAttribute(name, value === true ? "" : String(value));
  }
  for (const [name, listener] of Object.entries(on)) element.addEventListener(name, listener as EventListener);
};

const nodesOf = (children: readonly Child[]): (Node | string)[] =>
  children.flatMap((child) => {
    if (child === undefined || child === null || child === false) return [];
    if (isList(child)) return nodesOf(child);
    return [typeof child === "number" ? String(child) : child];
  });

const isList = (child: Child): child is readonly Child[] => Array.isArray(child);

/** An HTML element. */
export const h = <Tag extends keyof HTMLElementTagNameMap>(
  tag: Tag,
  attributes: Attributes = {},
  ...children: readonly Child[]
): HTMLElementTagNameMap[Tag] => {
  const element = document.createElement(tag);
  setAttributes(element, attributes);
  element.append(...nodesOf(children));
  return element;
};

/** An SVG element. */
export const s = <Tag extends keyof SVGElementTagNameMap>(
  tag: Tag,
  attributes: Attributes = {},
  ...children: readonly Child[]
): SVGElementTagNameMap[Tag] => {
  const element = document.createElementNS("http://www.w3.org/2000/svg", tag);
  setAttributes(element, attributes);
  element.append(...nodesOf(children));
  return element;
};

/** Puts these in place of what is inside. */
export const fill = (element: Element, ...children: readonly Child[]): void => {
  element.replaceChildren(...nodesOf(children));
};

/** Changes the text only when it differs, so that selections and screen readers are left in peace. */
export const setText = (element: Element, text: string | number): void => {
  if (element.textContent !== String(text)) element.textContent = String(text);
};

let ids = 0;

/** An id that no other element has. */
export const uniqueId = (name: string): string => `${name}-${++ids}`;

/** Text for those who listen to the page. */
export const hidden = (text: string): HTMLElement => h("span", { class: "visually-hidden" }, text);

/** A row that changes in place. */
export interface LiveRow<Item> {
  readonly element: HTMLElement;
  update(item: Item): void;
}

/** Rows by key: those that stay keep their element (and with it focus), whatever changes in them. */
export class LiveRows<Item> {
  readonly #rows = new Map<string, LiveRow<Item>>();
  readonly #parent: Element;
  readonly #keyOf: (item: Item) => string;
  readonly #make: (item: Item) => LiveRow<Item>;

  constructor(parent: Element, keyOf: (item: Item) => string, make: (item: Item) => LiveRow<Item>) {
    this.#parent = parent;
    this.#keyOf = keyOf;
    this.#make = make;
  }

  show(items: readonly Item[]): void {
    const keys = new Set(items.map(this.#keyOf));
    for (const [key, row] of this.#rows) {
      if (keys.has(key)) continue;
      row.element.remove();
      this.#rows.delete(key);
    }
    items.forEach((item, index) => {
      const key = this.#keyOf(item);
      const row = this.#rows.get(key) ?? this.#make(item);
      this.#rows.set(key, row);
      row.update(item);
      const there = this.#parent.children[index];
      if (there !== row.element) this.#parent.insertBefore(row.element, there ?? null);
    });
  }
}
