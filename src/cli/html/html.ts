/**
 * HTML from templates that escape: whatever is filled in is text unless `html` itself made it.
 *
 * Tags are written so that the result is well-formed XML, too: lower case, every one closed, every attribute quoted.
 */

/** Markup; only {@link html} makes it. */
export class Html {
  readonly markup: string;

  /** @param markup is taken as it is */
  constructor(markup: string) {
    this.markup = markup;
  }

  toString(): string {
    return this.markup;
  }
}

/** What a template takes: lists are put one after the other, `undefined` and `false` leave nothing. */
export type Filling = Html | string | number | bigint | undefined | false | readonly Filling[];

/**
 * @example
 * html`<li class="${kind}">${name}</li>`
 */
export function html(strings: TemplateStringsArray, ...fillings: readonly Filling[]): Html {
  return new Html(strings.reduce((markup, text, index) => `${markup}${toMarkup(fillings[index - 1])}${text}`));
}

function toMarkup(filling: Filling): string {
  if (filling === undefined || filling === false) return "";
  if (filling instanceof Html) return filling.markup;
  if (typeof filling === "object") return filling.map(toMarkup).join("");
  return escapeHtml(String(filling));
}

const ENTITIES: Readonly<Record<string, string>> = {
  "&": "&amp;",
  "<": "&lt;",
  ">": "&gt;",
  '"': "&quot;",
  "'": "&#39;",
};

/**
 * For text between tags and for quoted attributes. Control characters, unpaired surrogates and marks that turn the
 * direction of text are shown as `\u{…}`: a file name must not be able to look like another one.
 */
export function escapeHtml(text: string): string {
  return text
    .replaceAll(/[&<>"']/g, (character) => ENTITIES[character] as string)
    .replaceAll(
      /[\p{Cs}\u{fffe}\u{ffff}\u{200e}\u{200f}\u{202a}-\u{202e}\u{2066}-\u{2069}]|(?![\n\t])\p{Cc}/gu,
      (character) => `\\u{${character.codePointAt(0)?.toString(16)}}`,
    );
}
