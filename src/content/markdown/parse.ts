/**
 * Markdown to a small tree of our own, which the printers beside this file turn into HTML, plain text and the
 * dialects of chats. HTML in the text has no meaning here: it is text. Marks of values (handlebars/parse.ts) come out
 * as numbers between the pieces of text.
 */
import { Lexer, type Token, type Tokens } from "marked";
import { VALUE_CLOSE, VALUE_OPEN } from "../handlebars/parse.ts";

/** Text as written, or the number of a value to be put there. */
export type Piece = string | number;

export type Inline =
  | { readonly kind: "text"; readonly pieces: readonly Piece[] }
  /** A tag of HTML: shown as it is where HTML is printed, left out elsewhere. */
  | { readonly kind: "tag"; readonly pieces: readonly Piece[] }
  | { readonly kind: "code"; readonly pieces: readonly Piece[] }
  | { readonly kind: "break" }
  | { readonly kind: "strong" | "emphasis" | "strike" | "underline"; readonly children: readonly Inline[] }
  | { readonly kind: "color"; readonly color: string; readonly children: readonly Inline[] }
  | {
      readonly kind: "link";
      readonly href: readonly Piece[];
      readonly tracked: boolean;
      readonly children: readonly Inline[];
    }
  | {
      readonly kind: "image";
      readonly src: readonly Piece[];
      readonly alt: readonly Piece[];
      readonly width: string | null;
    };

export type Block =
  | { readonly kind: "paragraph"; readonly children: readonly Inline[] }
  | { readonly kind: "heading"; readonly level: number; readonly children: readonly Inline[] }
  | { readonly kind: "code"; readonly pieces: readonly Piece[] }
  | { readonly kind: "quote"; readonly blocks: readonly Block[] }
  | { readonly kind: "list"; readonly ordered: boolean; readonly start: number; readonly items: readonly ListItem[] }
  | { readonly kind: "table"; readonly head: readonly Inline[][]; readonly rows: readonly Inline[][][] }
  | { readonly kind: "rule" };

export interface ListItem {
  /** Null when the item is no task. */
  readonly done: boolean | null;
  readonly blocks: readonly Block[];
}

/** Characters that mean nothing to markdown wherever they stand, in lines that do not begin a list or indented code. */
const MARKUP = /[*_`~[\]<>#|\\&@=]|:\/\/|www\.|(?:^|\n)(?:[ \t]|[-+]|\d{1,9}[.)])|\n[ \t]*\n| \n/;

// Past these limits a text is taken as typed, because the time marked needs grows with their square: 5,000 asterisks
// in one paragraph take it 0.5 s, a list nested 400 deep as long, 4,000 quotation marks in a line exhaust the stack.
const MAX_LENGTH = 100_000;
const MAX_EMPHASIS_IN_PARAGRAPH = 500;
const MAX_EMPHASIS = 4_000;
const MANY_LINE_MARKS = /^(?=[ \t>*+\-\d.)]{61})(?![-* \t]+$)/m;
// Looked for from the beginnings of words only: from every character it would itself take the square of their length.
const LONG_WORD = /(?<!\S)\S{5000}/;

/** Our marks as numeric entities, which marked would decode into marks that name someone else's value. */
const SPELLED_MARKS = /&#(?:0*6497[67]|x0*fdd[01])(?![0-9a-f]);?/gi;

/** Never throws and takes bounded time. Single line ends are kept as breaks. */
export function parseMarkdown(text: string): readonly Block[] {
  if (!MARKUP.test(text) || isTooHard(text)) return asTyped(text);
  try {
    return blocks(new Lexer({ gfm: true, breaks: true }).lex(text.replace(SPELLED_MARKS, "\uFFFD")));
  } catch (error) {
    // Nesting that got past the limits above; marked recurses.
    if (error instanceof RangeError) return asTyped(text);
    throw error;
  }
}

function isTooHard(text: string): boolean {
  if (text.length > MAX_LENGTH || MANY_LINE_MARKS.test(text) || LONG_WORD.test(text)) return true;
  let all = 0;
  for (const paragraph of text.split(/\n[ \t]*\n/)) {
    const count = paragraph.match(/[*_~]/g)?.length ?? 0;
    all += count;
    if (count > MAX_EMPHASIS_IN_PARAGRAPH || all > MAX_EMPHASIS) return true;
  }
  return false;
}

function asTyped(text: string): readonly Block[] {
  return text
    .split(/\n[ \t]*\n/)
    .map((paragraph) => paragraph.trim())
    .filter((paragraph) => paragraph !== "")
    .map((paragraph) => ({ kind: "paragraph", children: lines(paragraph) }));
}

function lines(text: string): Inline[] {
  if (!text.includes("\n")) return [{ kind: "text", pieces: pieces(text) }];
  return text.split("\n").flatMap((line, i): Inline[] => {
    const said: Inline = { kind: "text", pieces: pieces(line.trim()) };
    return i === 0 ? [said] : [{ kind: "break" }, said];
  });
}

const VALUE_MARK = new RegExp(`${VALUE_OPEN}(\\d+)${VALUE_CLOSE}`);

/** Splits a text at its marks of values. */
export function pieces(text: string): readonly Piece[] {
  if (!text.includes(VALUE_OPEN)) return [text];
  return text
    .split(VALUE_MARK)
    .map((piece, i) => (i % 2 === 1 ? Number(piece) : piece))
    .filter((piece) => piece !== "");
}

function blocks(tokens: readonly Token[]): Block[] {
  return tokens.flatMap((token): Block[] => {
    switch (token.type) {
      case "paragraph":
        return [{ kind: "paragraph", children: inlines(token.tokens ?? []) }];
      case "text":
        return [{ kind: "paragraph", children: token.tokens ? inlines(token.tokens) : lines(token.text) }];
      case "heading":
        return [{ kind: "heading", level: (token as Tokens.Heading).depth, children: inlines(token.tokens ?? []) }];
      case "code":
        return [{ kind: "code", pieces: pieces((token as Tokens.Code).text) }];
      case "blockquote":
        return [{ kind: "quote", blocks: blocks(token.tokens ?? []) }];
      case "html":
        return [{ kind: "paragraph", children: tags((token as Tokens.HTML).text.trim()) }];
      case "hr":
        return [{ kind: "rule" }];
      case "list": {
        const list = token as Tokens.List;
        const start = list.start === "" ? 1 : list.start;
        const items = list.items.map((item) => ({
          done: item.task ? (item.checked ?? false) : null,
          blocks: blocks(item.tokens.filter((t) => t.type !== "checkbox")),
        }));
        return [{ kind: "list", ordered: list.ordered, start, items }];
      }
      case "table": {
        const table = token as Tokens.Table;
        const cells = (row: readonly Tokens.TableCell[]): Inline[][] => row.map((cell) => inlines(cell.tokens));
        return [{ kind: "table", head: cells(table.header), rows: table.rows.map(cells) }];
      }
      default:
        return [];
    }
  });
}

/** A run of raw HTML: its tags apart from what stands between them, where `1 < 2` is text as it is everywhere. */
function tags(html: string): Inline[] {
  return html
    .split(/(<[a-z/!?][^<>]*>)/i)
    .flatMap((part, i): Inline[] =>
      part === "" ? [] : i % 2 === 1 ? [{ kind: "tag", pieces: pieces(part) }] : lines(decodeEntities(part)),
    );
}

function inlines(tokens: readonly Token[]): Inline[] {
  return tokens.flatMap((token): Inline[] => {
    switch (token.type) {
      case "text":
        if (token.tokens) return inlines(token.tokens);
        return [{ kind: "text", pieces: pieces(decodeEntities(token.text)) }];
      case "escape":
        return [{ kind: "text", pieces: pieces(token.text) }];
      case "strong":
        return [{ kind: "strong", children: inlines(token.tokens ?? []) }];
      case "em":
        return [{ kind: "emphasis", children: inlines(token.tokens ?? []) }];
      case "del":
        return [{ kind: "strike", children: inlines(token.tokens ?? []) }];
      case "codespan":
        return [{ kind: "code", pieces: pieces(token.text) }];
      case "br":
        return [{ kind: "break" }];
      case "link":
        return [
          {
            kind: "link",
            href: pieces((token as Tokens.Link).href),
            tracked: true,
            children: inlines(token.tokens ?? []),
          },
        ];
      case "image": {
        const image = token as Tokens.Image;
        return [{ kind: "image", src: pieces(image.href), alt: pieces(image.text), width: null }];
      }
      case "html":
        return tags(token.text);
      default:
        return [];
    }
  });
}

const ENTITIES: ReadonlyMap<string, string> = new Map([
  ["amp", "&"],
  ["lt", "<"],
  ["gt", ">"],
  ["quot", '"'],
  ["apos", "'"],
  ["nbsp", "\u00a0"],
  ["copy", "©"],
  ["reg", "®"],
  ["trade", "™"],
  ["hellip", "…"],
  ["mdash", "—"],
  ["ndash", "–"],
  ["euro", "€"],
  ["middot", "·"],
  ["bull", "•"],
]);

/** People write `&amp;` in markdown and expect `&`, also in a text message. Marked decodes numbers, but no names. */
function decodeEntities(text: string): string {
  if (!text.includes("&")) return text;
  return text.replace(/&([a-z]{2,6});/g, (whole, name: string) => ENTITIES.get(name) ?? whole);
}
