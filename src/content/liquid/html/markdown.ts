/** Markdown with marks of values, as HTML and as plain text. Values are put in last, so that none of them is ever markup. */
import { Lru } from "../../../lib/lru.ts";
import { VALUE_CLOSE, VALUE_OPEN } from "../../handlebars/parse.ts";
import { Links } from "../../links.ts";
import { type Block, type Inline, type Piece, parseMarkdown } from "../../markdown/parse.ts";
import { escapeHtml } from "../../markdown/print-html.ts";
import { printText, UNQUOTED_TEXT } from "../../markdown/print-text.ts";
import type { Budget } from "../budget.ts";
import type { Value } from "../context.ts";
import { contentHref, sanitizeHtml } from "./sanitize.ts";
import { htmlText } from "./text.ts";

const MARK = new RegExp(`${VALUE_OPEN}(\\d+)${VALUE_CLOSE}`, "g");
/** Marks are numbered from 0 for each message, so what a template makes of its messages is mostly the same marked text. */
const REMEMBERED_LENGTH = 4_000;
const remembered = new Lru<string, Marked>(500);

/** A marked text that was read. */
export interface Marked {
  readonly blocks: readonly Block[];
  /** The numbers of the values that it prints, each as often as it does. */
  readonly marks: readonly number[];
  /**
   * All of it is text and emphasis: neither tags of the author's nor addresses. With values that are text, too, the HTML
   * that is printed of it is safe as it is.
   */
  readonly isHarmless: boolean;
}

/** @throws RenderError when the text is too long with its values: one capture may be printed a thousand times. */
export function readMarked(text: string, values: readonly Value[], budget: Budget): Marked {
  let read = remembered.get(text);
  const marks = read?.marks ?? Array.from(text.matchAll(MARK), ([, number]) => Number(number));
  let length = text.length;
  for (const mark of marks) {
    const value = values[mark] ?? "";
    length += typeof value === "string" ? value.length : value.text.length;
  }
  budget.text(length);
  if (read === undefined) {
    const blocks = parseMarkdown(text);
    read = { blocks, marks, isHarmless: blocks.every(isHarmlessBlock) };
    if (text.length <= REMEMBERED_LENGTH) remembered.set(text, read);
  }
  return read;
}

function isHarmlessBlock(block: Block): boolean {
  return (block.kind === "paragraph" || block.kind === "heading") && block.children.every(isHarmless);
}

function isHarmless(inline: Inline): boolean {
  switch (inline.kind) {
    case "text":
    case "code":
    case "break":
      return true;
    case "strong":
    case "emphasis":
    case "strike":
    case "underline":
      return inline.children.every(isHarmless);
    default:
      return false;
  }
}

/** Markdown as HTML to be put into somebody's page. */
export function safeMarkdownHtml({ blocks, isHarmless }: Marked, values: readonly Value[]): string {
  const html = printMarkdown(blocks, values);
  return isHarmless && values.every((value) => typeof value === "string") ? html : sanitizeHtml(html);
}

/** What a text says with its values in it. The HTML may still hold tags of the author's own. */
function printMarkdown(blocks: readonly Block[], values: readonly Value[]): string {
  return new Printer(values).blocks(blocks, false);
}

export function markdownHtml(text: string, values: readonly Value[], budget: Budget): string {
  return printMarkdown(readMarked(text, values, budget).blocks, values);
}

export function markdownText(blocks: readonly Block[], values: readonly Value[]): string {
  const texts = values.map((value) => (typeof value === "string" ? value : htmlText(value.text)));
  return printText(blocks, texts, new Links(null, null), UNQUOTED_TEXT);
}

class Printer {
  readonly #values: readonly Value[];

  constructor(values: readonly Value[]) {
    this.#values = values;
  }

  blocks(blocks: readonly Block[], isTight: boolean): string {
    return blocks.map((block) => this.#block(block, isTight)).join("\n");
  }

  #block(block: Block, isTight: boolean): string {
    switch (block.kind) {
      case "paragraph":
        // A block of the author's own HTML, and the one paragraph of an item, stand for themselves.
        if (isTight || startsWithBlockTag(block.children)) return this.#inlines(block.children);
        return `<p>${this.#inlines(block.children)}</p>`;
      case "heading":
        return `<h${block.level}>${this.#inlines(block.children)}</h${block.level}>`;
      case "code":
        return `<pre><code>${escapeHtml(this.#plain(block.pieces))}</code></pre>`;
      case "quote":
        return `<blockquote>${this.blocks(block.blocks, false)}</blockquote>`;
      case "rule":
        return "<hr>";
      case "list": {
        const tag = block.ordered ? "ol" : "ul";
        const start = block.ordered && block.start !== 1 ? ` start="${block.start}"` : "";
        const items = block.items.map(({ done, blocks }) => {
          const box = done === null ? "" : done ? "☑ " : "☐ ";
          const tight = blocks.filter((inner) => inner.kind === "paragraph").length <= 1;
          return `<li>${box}${this.blocks(blocks, tight)}</li>`;
        });
        return `<${tag}${start}>${items.join("")}</${tag}>`;
      }
      case "table": {
        const row = (tag: string, cells: readonly Inline[][]): string =>
          `<tr>${cells.map((cell) => `<${tag}>${this.#inlines(cell)}</${tag}>`).join("")}</tr>`;
        const body = block.rows.map((cells) => row("td", cells)).join("");
        return `<table><thead>${row("th", block.head)}</thead><tbody>${body}</tbody></table>`;
      }
    }
  }

  #inlines(inlines: readonly Inline[]): string {
    let html = "";
    for (const inline of inlines) html += this.#inline(inline);
    return html;
  }

  #inline(inline: Inline): string {
    switch (inline.kind) {
      case "text":
        return this.#text(inline.pieces);
      case "tag":
        return this.#tag(inline.pieces);
      case "code":
        return `<code>${escapeHtml(this.#plain(inline.pieces))}</code>`;
      case "break":
        return "<br>";
      case "strong":
        return `<strong>${this.#inlines(inline.children)}</strong>`;
      case "emphasis":
        return `<em>${this.#inlines(inline.children)}</em>`;
      case "strike":
        return `<s>${this.#inlines(inline.children)}</s>`;
      case "underline":
        return `<u>${this.#inlines(inline.children)}</u>`;
      case "color":
        return this.#inlines(inline.children);
      case "link": {
        const href = contentHref(this.#plain(inline.href));
        const label = this.#inlines(inline.children);
        return href === null ? label : `<a href="${escapeHtml(href)}">${label}</a>`;
      }
      case "image": {
        const src = contentHref(this.#plain(inline.src));
        const alt = escapeHtml(this.#plain(inline.alt));
        return src === null || /^mailto:/i.test(src) ? alt : `<img src="${escapeHtml(src)}" alt="${alt}">`;
      }
    }
  }

  /** The author's line ends are breaks already; those of values become some. */
  #text(pieces: readonly Piece[]): string {
    let html = "";
    for (const piece of pieces) {
      const value = typeof piece === "string" ? piece : (this.#values[piece] ?? "");
      html += typeof value === "string" ? escapeHtml(value).replace(/\r?\n/g, "<br>") : value.text;
    }
    return html;
  }

  /** A tag of the author's, in which values are what its quotation marks hold. */
  #tag(pieces: readonly Piece[]): string {
    return pieces.map((piece) => (typeof piece === "string" ? piece : escapeHtml(this.#plain([piece])))).join("");
  }

  #plain(pieces: readonly Piece[]): string {
    let text = "";
    for (const piece of pieces) {
      const value = typeof piece === "string" ? piece : (this.#values[piece] ?? "");
      text += typeof value === "string" ? value : htmlText(value.text);
    }
    return text;
  }
}

const BLOCK_TAG =
  /^<\/?(?:address|article|aside|blockquote|center|details|div|dl|fieldset|figure|footer|form|h[1-6]|header|hr|li|main|nav|ol|p|pre|section|table|tbody|td|tfoot|th|thead|tr|ul|style|script|!--)/i;

function startsWithBlockTag(children: readonly Inline[]): boolean {
  const [first] = children;
  return first?.kind === "tag" && typeof first.pieces[0] === "string" && BLOCK_TAG.test(first.pieces[0]);
}
