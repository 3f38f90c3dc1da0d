/** Elements from plain calls. Text stays text: there is no way to markup here, and the page forbids it besides. */

export type Child = Node | string | number | false | null | undefined | readonly Child[];

type Properties = Readonly<Record<string, string | boolean | EventListener | undefined>>;

/**
 * @param tag with classes: `"p.faint"`
 * @param properties attributes; `onclick` and the like take listeners
 */
export function element(tag: string, properties: Properties = {}, ...children: readonly Child[]): HTMLElement {
  const [name = "div", ...classes] = tag.split(".");
  const made = document.createElement(name);
  if (classes.length > 0) made.className = classes.join(" ");
  for (const [key, value] of Object.entries(properties)) {
    if (typeof value === "function") made.addEventListener(key.slice(2), value);
    else if (typeof value === "boolean") made.toggleAttribute(key, value);
    else if (value !== undefined) made.setAttribute(key, value);
  }
  append(made, children);
  return made;
}

function append(parent: HTMLElement, children: readonly Child[]): void {
  for (const child of children) {
    if (child === false || child === null || child === undefined) continue;
    if (Array.isArray(child)) append(parent, child as readonly Child[]);
    else parent.append(visible(child as Node | string | number));
  }
}

/** Characters that have no picture or turn the direction of text could make one name look like another. */
function visible(child: Node | string | number): Node | string {
  if (child instanceof Node) return child;
  return String(child).replaceAll(
    /[\u{200e}\u{200f}\u{202a}-\u{202e}\u{2066}-\u{2069}]|(?![\n\t])\p{Cc}/gu,
    (character) => `\\u{${character.codePointAt(0)?.toString(16)}}`,
  );
}

/** Names and values, in two columns. Rows without value are left out. */
export function facts(rows: readonly (readonly [name: string, value: Child])[]): HTMLElement {
  const filled = rows.filter(([, value]) => value !== undefined && value !== false && value !== null);
  return element(
    "dl",
    {},
    filled.map(([name, value]) => [element("dt", {}, name), element("dd", {}, value)]),
  );
}

export function section(title: string, ...children: readonly Child[]): HTMLElement {
  return element("section.card", {}, element("h2", {}, title), ...children);
}

/** A hash: all of it, in a face in which every digit has the same width. */
export const code = (text: string): HTMLElement => element("code", {}, text);

export function badge(tone: string, text: string): HTMLElement {
  return element(`span.badge.${tone}`, {}, text);
}
