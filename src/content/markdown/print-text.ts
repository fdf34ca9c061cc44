/** Markdown for places that show plain characters, and for chats, whose markup differs in a few signs only. */
import type { Links } from "../links.ts";
import type { Block, Inline, Piece } from "./parse.ts";
import { fill } from "./print-html.ts";

/** How one place spells what markdown can say. */
export interface Dialect {
  /** The signs around strong text and so on; empty where there are none. */
  readonly strong: string;
  readonly emphasis: string;
  readonly strike: string;
  readonly code: string;
  readonly codeBlock: string;
  readonly bullet: string;
  /** Put before every line of a quotation. */
  readonly quote: string;
  readonly heading: (text: string) => string;
  readonly link: (label: string, href: string, written: string) => string;
  /** Keeps text from being taken for markup; `isValue` tells what came from data. */
  readonly escape: (text: string, isValue: boolean) => string;
}

/**
 * An address that is its own label, with its scheme or without, is printed once.
 * @param written the address before a campaign added to it.
 */
function labelAndAddress(label: string, href: string, written: string): string {
  const isOwn = label === "" || label === written || label === written.replace(/^(?:mailto:|tel:|https?:\/\/)/i, "");
  if (!isOwn) return `${label} (${href})`;
  const shown = label === "" || href !== written ? href : label;
  return shown.replace(/^(?:mailto|tel):/i, "");
}

const PLAIN: Dialect = {
  strong: "",
  emphasis: "",
  strike: "",
  code: "",
  codeBlock: "",
  bullet: "- ",
  quote: "> ",
  heading: (text) => text,
  link: labelAndAddress,
  escape: (text) => text,
};

/** Text messages, the text part of a mail, webhooks. */
export const PLAIN_TEXT: Dialect = PLAIN;
/** The same, where quotations are not marked: inboxes. */
export const UNQUOTED_TEXT: Dialect = { ...PLAIN, quote: "" };
/** A notification on a phone, where an address would only be in the way. */
export const PUSH_TEXT: Dialect = { ...PLAIN, quote: "", link: (label) => label };

const SLACK_ESCAPES: { readonly [character: string]: string } = { "&": "&amp;", "<": "&lt;", ">": "&gt;" };

export const SLACK: Dialect = {
  strong: "*",
  emphasis: "_",
  strike: "~",
  code: "`",
  codeBlock: "```",
  bullet: "• ",
  quote: "> ",
  heading: (text) => `*${text}*`,
  link: (label, href) => {
    const address = href.replace(/[<>|]/g, encodeURIComponent);
    return label === "" || label === href ? `<${address}>` : `<${address}|${label}>`;
  },
  // `<!channel>` in a value would otherwise call everyone.
  escape: (text) => text.replace(/[&<>]/g, (c) => SLACK_ESCAPES[c] as string),
};

/** Discord and Microsoft Teams read markdown themselves. */
export const MARKDOWN: Dialect = {
  strong: "**",
  emphasis: "*",
  strike: "~~",
  code: "`",
  codeBlock: "```",
  bullet: "- ",
  quote: "> ",
  heading: (text) => `**${text}**`,
  link: (label, href) =>
    label === "" || label === href ? href : `[${label}](${href.replace(/[()]/g, encodeURIComponent)})`,
  escape: (text, isValue) => (isValue ? text.replace(/[\\*_~`>|[\]()#]/g, "\\$&") : text),
};

export function printText(blocks: readonly Block[], values: readonly string[], links: Links, dialect: Dialect): string {
  return new TextPrinter(values, links, dialect).blocks(blocks);
}

/** Puts the dialect's mark before every line. */
export function quoted(text: string, dialect: Dialect): string {
  return dialect.quote === "" ? text : dialect.quote + text.replaceAll("\n", `\n${dialect.quote}`);
}

/** One item of a list, with the lines after its first set in under it. */
export function bulleted(text: string, dialect: Dialect, number: number | null): string {
  const bullet = number === null ? dialect.bullet : `${number}. `;
  return bullet + text.replaceAll("\n", `\n${" ".repeat(bullet.length)}`);
}

class TextPrinter {
  readonly #values: readonly string[];
  readonly #links: Links;
  readonly #dialect: Dialect;

  constructor(values: readonly string[], links: Links, dialect: Dialect) {
    this.#values = values;
    this.#links = links;
    this.#dialect = dialect;
  }

  blocks(blocks: readonly Block[], between = "\n\n"): string {
    const only = blocks[0];
    if (blocks.length === 1 && only?.kind === "paragraph") return this.#inlines(only.children);
    return blocks.map((block) => this.#block(block)).join(between);
  }

  #block(block: Block): string {
    const dialect = this.#dialect;
    switch (block.kind) {
      case "paragraph":
        return this.#inlines(block.children);
      case "heading":
        return dialect.heading(this.#inlines(block.children));
      case "code": {
        const fence = dialect.codeBlock === "" ? "" : `${dialect.codeBlock}\n`;
        return fence + this.#text(block.pieces) + (fence === "" ? "" : `\n${dialect.codeBlock}`);
      }
      case "quote":
        return quoted(this.blocks(block.blocks), dialect);
      case "rule":
        return "";
      case "list":
        return block.items
          .map((item, i) => {
            const mark = item.done === null ? "" : item.done ? "[x] " : "[ ] ";
            return bulleted(mark + this.blocks(item.blocks, "\n"), dialect, block.ordered ? block.start + i : null);
          })
          .join("\n");
      case "table":
        return [block.head, ...block.rows].map((row) => row.map((cell) => this.#inlines(cell)).join(" | ")).join("\n");
    }
  }

  #text(pieces: readonly Piece[]): string {
    let text = "";
    for (const piece of pieces) {
      const isValue = typeof piece === "number";
      text += this.#dialect.escape(isValue ? (this.#values[piece] ?? "") : piece, isValue);
    }
    return text;
  }

  #inlines(inlines: readonly Inline[]): string {
    let text = "";
    for (const inline of inlines) text += this.#inline(inline);
    return text;
  }

  #inline(inline: Inline): string {
    const dialect = this.#dialect;
    switch (inline.kind) {
      case "text":
        return this.#text(inline.pieces);
      case "code":
        return dialect.code + this.#text(inline.pieces) + dialect.code;
      case "break":
        return "\n";
      case "strong":
      case "emphasis":
      case "strike": {
        const text = this.#inlines(inline.children);
        return text.trim() === "" ? text : dialect[inline.kind] + text + dialect[inline.kind];
      }
      case "underline":
      case "color":
        return this.#inlines(inline.children);
      case "link": {
        const label = this.#inlines(inline.children);
        const written = fill(inline.href, this.#values);
        const href = this.#links.target(written);
        return href === null ? label : dialect.link(label, href, written);
      }
      case "tag":
      case "image":
        return "";
    }
  }
}
