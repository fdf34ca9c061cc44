/**
 * HTML as a browser would cut it: text, tags with their attributes, and what is in no page. Takes time in proportion to
 * the length of the text, whatever the text is.
 */

export interface HtmlTag {
  readonly kind: "open" | "close";
  /** In lower case. */
  readonly name: string;
  /** Names in lower case, values with their entities decoded; of several of one name the first counts. */
  readonly attributes: ReadonlyMap<string, string>;
  readonly selfClosing: boolean;
  /** As it was written. */
  readonly source: string;
}

export type HtmlPiece =
  | HtmlTag
  | { readonly kind: "text"; readonly source: string }
  | { readonly kind: "comment"; readonly source: string };

/** Elements whose content is no HTML: it ends with their own end tag and nowhere else. */
const RAW_TEXT = new Set("script style textarea title xmp iframe noembed noframes plaintext".split(" "));
const NAME = /[a-z][^\s/>\0]*/iy;
const KEY = /[^\s/>=]+/y;
const BARE_VALUE = /[^\s>]*/y;
const BLANKS = /\s*/y;
const BETWEEN = /[\s/=]*/y;

/** A tag that is still open when the text ends takes the rest of the text with it, as it does in browsers. */
export function* scanHtml(html: string): Generator<HtmlPiece, void, undefined> {
  let at = 0;
  let textFrom = 0;
  let lower: string | null = null;
  while (at < html.length) {
    const open = html.indexOf("<", at);
    if (open < 0) break;
    const piece = pieceAt(html, open);
    if (piece === null) {
      at = open + 1;
      continue;
    }
    if (open > textFrom) yield { kind: "text", source: html.slice(textFrom, open) };
    yield piece;
    at = open + piece.source.length;
    textFrom = at;
    if (piece.kind === "open" && RAW_TEXT.has(piece.name)) {
      lower ??= asciiLower(html);
      const end = lower.indexOf(`</${piece.name}`, at);
      at = end < 0 ? html.length : end;
      if (at > textFrom) yield { kind: "comment", source: html.slice(textFrom, at) };
      textFrom = at;
    }
  }
  if (textFrom < html.length) yield { kind: "text", source: html.slice(textFrom) };
}

/** Unlike `toLowerCase`, this keeps every character in its place. */
function asciiLower(text: string): string {
  return text.replace(/[A-Z]+/g, (letters) => letters.toLowerCase());
}

/** What begins with this `<`; null when it is text. */
function pieceAt(html: string, open: number): HtmlPiece | null {
  const next = html[open + 1] ?? "";
  if (next === "!" || next === "?") return comment(html, open);
  const isClose = next === "/";
  NAME.lastIndex = open + (isClose ? 2 : 1);
  const name = NAME.exec(html)?.[0].toLowerCase();
  if (name === undefined) return isClose && html[open + 2] !== undefined ? comment(html, open) : null;
  const attributes = new Map<string, string>();
  const end = readAttributes(html, NAME.lastIndex, attributes);
  if (end === null) return { kind: "comment", source: html.slice(open) };
  const source = html.slice(open, end);
  return { kind: isClose ? "close" : "open", name, attributes, selfClosing: source.endsWith("/>"), source };
}

function comment(html: string, open: number): HtmlPiece {
  const isComment = html.startsWith("<!--", open);
  const end = html.indexOf(isComment ? "-->" : ">", isComment ? open + 2 : open);
  return { kind: "comment", source: end < 0 ? html.slice(open) : html.slice(open, end + (isComment ? 3 : 1)) };
}

/** @returns the place behind the tag's `>`; null when the text ends first. */
function readAttributes(html: string, from: number, attributes: Map<string, string>): number | null {
  let at = from;
  for (;;) {
    at = behind(BETWEEN, html, at);
    if (at >= html.length) return null;
    if (html[at] === ">") return at + 1;
    const keyEnd = behind(KEY, html, at);
    const key = html.slice(at, keyEnd).toLowerCase();
    at = behind(BLANKS, html, keyEnd);
    let value = "";
    if (html[at] === "=") {
      at = behind(BLANKS, html, at + 1);
      const quote = html[at];
      if (quote === '"' || quote === "'") {
        const end = html.indexOf(quote, at + 1);
        if (end < 0) return null;
        value = html.slice(at + 1, end);
        at = end + 1;
      } else {
        const end = behind(BARE_VALUE, html, at);
        value = html.slice(at, end);
        at = end;
      }
    }
    if (!attributes.has(key)) attributes.set(key, decodeHtml(value));
  }
}

function behind(pattern: RegExp, text: string, at: number): number {
  pattern.lastIndex = at;
  return pattern.test(text) ? pattern.lastIndex : at;
}

const NAMED: { readonly [name: string]: string } = {
  amp: "&",
  lt: "<",
  gt: ">",
  quot: '"',
  apos: "'",
  nbsp: "\u00a0",
  colon: ":",
  sol: "/",
  bsol: "\\",
  tab: "\t",
  newline: "\n",
  lpar: "(",
  rpar: ")",
  period: ".",
  num: "#",
  equals: "=",
  hellip: "…",
  mdash: "—",
  ndash: "–",
  copy: "©",
  reg: "®",
  trade: "™",
  euro: "€",
  middot: "·",
  bull: "•",
  laquo: "«",
  raquo: "»",
};

/** Numbers and the names that matter for addresses; a name that is not known stays as it is written. */
export function decodeHtml(text: string): string {
  if (!text.includes("&")) return text;
  return text.replace(/&(?:#x([0-9a-f]{1,8})|#([0-9]{1,8})|([a-z]{2,8}));?/gi, (whole, hex, decimal, name) => {
    if (name !== undefined) return NAMED[(name as string).toLowerCase()] ?? whole;
    const code = hex !== undefined ? Number.parseInt(hex, 16) : Number.parseInt(decimal, 10);
    return code > 0x10ffff || (code >= 0xd800 && code <= 0xdfff) || code === 0 ? "\uFFFD" : String.fromCodePoint(code);
  });
}
