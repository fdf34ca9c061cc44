/** Plain text of HTML that an author wrote by hand, for the text part of a mail. */

const SKIPPED = ["style", "script", "head", "title"];
const LINE_ENDS = new Set([
  "br",
  "p",
  "div",
  "tr",
  "li",
  "h1",
  "h2",
  "h3",
  "h4",
  "table",
  "ul",
  "ol",
  "blockquote",
  "hr",
]);
const ENTITIES: { readonly [name: string]: string } = {
  "&amp;": "&",
  "&lt;": "<",
  "&gt;": ">",
  "&quot;": '"',
  "&#39;": "'",
  "&nbsp;": " ",
};

/** Reads every character once: hand-written HTML is not to be trusted to be well formed. */
export function htmlToText(html: string): string {
  const lower = html.toLowerCase();
  let text = "";
  let at = 0;
  while (at < html.length) {
    const open = html.indexOf("<", at);
    if (open < 0) {
      text += html.slice(at);
      break;
    }
    text += html.slice(at, open);
    const close = lower.startsWith("<!--", open) ? lower.indexOf("-->", open) : html.indexOf(">", open);
    if (close < 0) break;
    at = close + (lower.startsWith("<!--", open) ? 3 : 1);
    const name = /^<\/?([a-z][a-z0-9]*)/.exec(lower.slice(open, open + 20))?.[1];
    if (name === undefined) continue;
    if (LINE_ENDS.has(name)) text += "\n";
    if (SKIPPED.includes(name) && lower[open + 1] !== "/") {
      const end = lower.indexOf(`</${name}`, at);
      if (end < 0) break;
      at = end;
    }
  }
  return text
    .replace(/&(?:amp|lt|gt|quot|nbsp|#39);/g, (entity) => ENTITIES[entity] as string)
    .split("\n")
    .map((line) => line.trim())
    .filter((line, i, lines) => line !== "" || (lines[i - 1] ?? "") !== "")
    .join("\n")
    .trim();
}
