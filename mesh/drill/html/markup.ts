// HTML as values: text is escaped unless it is markup already, so that no name or sentence of a
// report can become part of the page.

/** Markup that may stand in a page as it is. */
export interface Markup {
  readonly markup: string;
}

export type Content = Markup | string | number | readonly Content[];

/** A template whose values are escaped unless they are markup. */
export function html(strings: TemplateStringsArray, ...values: readonly Content[]): Markup {
  const parts = strings.flatMap((text, i) => {
    const value = values[i];
    return value === undefined ? [text] : [text, textOf(value)];
  });
  return { markup: parts.join("") };
}

export const NOTHING: Markup = { markup: "" };

function textOf(content: Content): string {
  if (typeof content === "object") {
    return "markup" in content ? content.markup : content.map(textOf).join("");
  }
  return escapeHtml(String(content));
}

/** For text and for attribute values in double quotes. */
export function escapeHtml(text: string): string {
  return text
    .replaceAll("&", "&amp;")
    .replaceAll("<", "&lt;")
    .replaceAll(">", "&gt;")
    .replaceAll('"', "&quot;")
    .replaceAll("'", "&#39;");
}
