/** HTML for mail clients: every style inline, nothing a value or an author's raw tag could break out of. */
import type { Links } from "../links.ts";
import { safeImage } from "../links.ts";
import type { Block, Inline, Piece } from "./parse.ts";

const ESCAPES: { readonly [character: string]: string } = {
  "&": "&amp;",
  "<": "&lt;",
  ">": "&gt;",
  '"': "&quot;",
  "'": "&#39;",
};

/** Safe in text and in quoted attributes. */
export function escapeHtml(text: string): string {
  return /[&<>"']/.test(text) ? text.replace(/[&<>"']/g, (c) => ESCAPES[c] as string) : text;
}

/** Text and values as they are. */
export function fill(pieces: readonly Piece[], values: readonly string[]): string {
  let text = "";
  for (const piece of pieces) text += typeof piece === "string" ? piece : (values[piece] ?? "");
  return text;
}

export interface HtmlStyle {
  /** Declarations for every paragraph, heading and list. */
  readonly css: string;
  /** Paragraphs are printed as this. */
  readonly tag: "p" | "h1" | "h2" | "h3";
  readonly linkColor: string;
}

/** The size of a heading, for the three that Elemental has too. */
export const HEADING_CSS: { readonly [tag: string]: string } = {
  h1: "font-size:28px;line-height:1.25;font-weight:700",
  h2: "font-size:22px;line-height:1.3;font-weight:700",
  h3: "font-size:18px;line-height:1.35;font-weight:700",
};

export function printHtml(blocks: readonly Block[], values: readonly string[], links: Links, style: HtmlStyle): string {
  return new HtmlPrinter(values, links, style).blocks(blocks);
}

class HtmlPrinter {
  readonly #values: readonly string[];
  readonly #links: Links;
  readonly #style: HtmlStyle;

  constructor(values: readonly string[], links: Links, style: HtmlStyle) {
    this.#values = values;
    this.#links = links;
    this.#style = style;
  }

  blocks(blocks: readonly Block[]): string {
    return blocks.map((block) => this.#block(block)).join("");
  }

  #block(block: Block): string {
    switch (block.kind) {
      case "paragraph":
        return this.#element(this.#style.tag, HEADING_CSS[this.#style.tag] ?? "", this.inlines(block.children));
      case "heading": {
        const tag = `h${block.level}`;
        return this.#element(tag, HEADING_CSS[tag] ?? "font-size:16px;font-weight:700", this.inlines(block.children));
      }
      case "code":
        return `<pre style="margin:0 0 12px;padding:12px;background:#f3f4f6;white-space:pre-wrap;font-family:monospace">${this.#text(block.pieces)}</pre>`;
      case "quote":
        return `<blockquote style="margin:0 0 12px;padding:0 0 0 12px;border-left:4px solid #d1d5db">${this.blocks(block.blocks)}</blockquote>`;
      case "rule":
        return '<hr style="border:0;border-top:1px solid #d1d5db;margin:16px 0">';
      case "list": {
        const items = block.items.map((item) => {
          const [only] = item.blocks;
          const tight = item.blocks.length === 1 && only?.kind === "paragraph";
          const mark = item.done === null ? "" : item.done ? "☑ " : "☐ ";
          return `<li>${mark}${tight ? this.inlines(only.children) : this.blocks(item.blocks)}</li>`;
        });
        const start = block.ordered && block.start !== 1 ? ` start="${block.start}"` : "";
        const css = `margin:0 0 12px;padding-left:24px;${this.#style.css}`;
        return `<${block.ordered ? "ol" : "ul"}${start} style="${css}">${items.join("")}</${block.ordered ? "ol" : "ul"}>`;
      }
      case "table": {
        const row = (tag: string, cells: readonly Inline[][]): string =>
          `<tr>${cells.map((cell) => `<${tag} style="padding:4px 8px;text-align:left;border:1px solid #d1d5db">${this.inlines(cell)}</${tag}>`).join("")}</tr>`;
        const rows = row("th", block.head) + block.rows.map((cells) => row("td", cells)).join("");
        return `<table style="border-collapse:collapse;margin:0 0 12px">${rows}</table>`;
      }
    }
  }

  #element(tag: string, css: string, content: string): string {
    const all = [css, this.#style.css].filter((part) => part !== "").join(";");
    return `<${tag} style="margin:0 0 12px${all === "" ? "" : `;${all}`}">${content}</${tag}>`;
  }

  #text(pieces: readonly Piece[]): string {
    return escapeHtml(fill(pieces, this.#values));
  }

  inlines(inlines: readonly Inline[]): string {
    let html = "";
    for (const inline of inlines) html += this.#inline(inline);
    return html;
  }

  #inline(inline: Inline): string {
    switch (inline.kind) {
      case "text":
        // Line ends come from values only; those of the author are breaks already.
        return this.#text(inline.pieces).replace(/\r?\n/g, "<br>");
      case "tag":
        return this.#text(inline.pieces);
      case "code":
        return `<code>${this.#text(inline.pieces)}</code>`;
      case "break":
        return "<br>";
      case "strong":
        return `<strong>${this.inlines(inline.children)}</strong>`;
      case "emphasis":
        return `<em>${this.inlines(inline.children)}</em>`;
      case "strike":
        return `<s>${this.inlines(inline.children)}</s>`;
      case "underline":
        return `<u>${this.inlines(inline.children)}</u>`;
      case "color":
        return `<span style="color:${escapeHtml(inline.color)}">${this.inlines(inline.children)}</span>`;
      case "link": {
        // Asked before the label is printed, so that targets stand in the order in which links begin.
        const href = this.#links.print(fill(inline.href, this.#values), inline.tracked);
        const label = this.inlines(inline.children);
        return href === null
          ? label
          : `<a href="${escapeHtml(href)}" style="color:${this.#style.linkColor}">${label}</a>`;
      }
      case "image": {
        const src = safeImage(fill(inline.src, this.#values));
        if (src === null) return this.#text(inline.alt);
        const width = inline.width === null ? "" : ` width="${escapeHtml(inline.width)}"`;
        return `<img src="${escapeHtml(src)}" alt="${this.#text(inline.alt)}"${width} style="max-width:100%;border:0">`;
      }
    }
  }
}
