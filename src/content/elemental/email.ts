/** The HTML of a mail: the pieces in order, inside the frame that the brand gives. */
import { own } from "../../lib/expression.ts";
import type { Json } from "../../lib/json.ts";
import type { Rendering } from "../handlebars/evaluate.ts";
import { cachedTemplate } from "../handlebars/parse.ts";
import { type Links, safeImage } from "../links.ts";
import { escapeHtml, type HtmlStyle, printHtml } from "../markdown/print-html.ts";
import { cachedMarkdownText } from "../rich-text.ts";
import { safeCss, safeWidth } from "./css.ts";
import { writeHtml } from "./raw.ts";
import type { Piece } from "./select.ts";

const DEFAULT_COLOR = "#2563eb";
const FONT = "font-family:-apple-system,BlinkMacSystemFont,'Segoe UI',Roboto,Helvetica,Arial,sans-serif";

/** A whole page: frame, content, and the open pixel if there is one. Links are tracked as `links` says. */
export function emailHtml(pieces: readonly Piece[], subject: string, rendering: Rendering, links: Links): string {
  const { brand, openPixel, locale } = rendering.context;
  const primary = cssOf(own(own(brand, "colors"), "primary")) ?? DEFAULT_COLOR;
  const frame = frameOf(brand, rendering, links, primary);
  const content = new Page(links, primary).pieces(pieces);
  const lang =
    locale === null || !/^[a-z]{2,3}(?:[-_]\w{2,8})*$/i.test(locale) ? "" : ` lang="${locale.replaceAll("_", "-")}"`;
  const card = `max-width:${frame.width}px;margin:0 auto;background:${frame.contentBackground}`;
  return withPixel(
    `<!doctype html><html${lang}><head><meta charset="utf-8">` +
      '<meta name="viewport" content="width=device-width,initial-scale=1">' +
      `<title>${escapeHtml(subject)}</title>${frame.head}</head>` +
      `<body style="margin:0;padding:24px 0;background:${frame.background};${FONT};font-size:16px;line-height:1.5;color:#111827">` +
      `<table role="presentation" width="100%" cellpadding="0" cellspacing="0" style="${card}">` +
      `${frame.header}<tr><td style="padding:24px">${content}</td></tr>${frame.footer}` +
      "</table></body></html>",
    openPixel,
  );
}

/** Puts the open pixel at the end of a page, inside its body if that can be told. */
export function withPixel(html: string, openPixel: string | null): string {
  if (openPixel === null) return html;
  const image = `<img src="${escapeHtml(openPixel)}" width="1" height="1" alt="" style="display:block;border:0">`;
  const end = html.toLowerCase().lastIndexOf("</body>");
  return end < 0 ? html + image : html.slice(0, end) + image + html.slice(end);
}

function cssOf(value: Json | undefined): string | null {
  return typeof value === "string" ? safeCss("color", value) : null;
}

function textOf(value: Json | undefined): string {
  return typeof value === "string" ? value : "";
}

interface Frame {
  readonly head: string;
  /** Rows of the table that holds everything. */
  readonly header: string;
  readonly footer: string;
  readonly background: string;
  readonly contentBackground: string;
  readonly width: number;
}

/** A brand's `templateOverride` replaces the header and footer that its other settings make up. */
function frameOf(brand: Json, rendering: Rendering, links: Links, primary: string): Frame {
  const email = own(brand, "email");
  const override = own(email, "templateOverride");
  const row = (html: string): string => (html === "" ? "" : `<tr><td>${html}</td></tr>`);
  const verbatim = (value: Json | undefined): string =>
    typeof value === "string" ? rendering.print(cachedTemplate(value), writeHtml) : "";
  if (own(override, "enabled") === true) {
    const width = Number(own(override, "width"));
    return {
      head: verbatim(own(override, "head")),
      header: row(verbatim(own(override, "header"))),
      footer: row(verbatim(own(override, "footer"))),
      background: cssOf(own(override, "backgroundColor")) ?? "#ffffff",
      contentBackground: cssOf(own(override, "blocksBackgroundColor")) ?? "#ffffff",
      width: width >= 200 && width <= 2000 ? width : 600,
    };
  }
  return {
    head: verbatim(own(own(email, "head"), "content")),
    header: header(own(email, "header"), links, primary),
    footer: footer(own(email, "footer"), rendering, links, primary),
    background: "#ffffff",
    contentBackground: "#ffffff",
    width: 600,
  };
}

function header(settings: Json | undefined, links: Links, primary: string): string {
  if (settings === undefined || settings === null) return "";
  const bar = `<tr><td style="height:4px;background:${cssOf(own(settings, "barColor")) ?? primary}"></td></tr>`;
  const logo = own(settings, "logo");
  const src = safeImage(textOf(own(logo, "image")));
  if (src === null) return bar;
  const image = `<img src="${escapeHtml(src)}" alt="" style="max-height:48px;border:0">`;
  const href = links.print(textOf(own(logo, "href")), false);
  const linked = href === null ? image : `<a href="${escapeHtml(href)}">${image}</a>`;
  return `${bar}<tr><td style="padding:24px 24px 0">${linked}</td></tr>`;
}

/** `content` is HTML if it looks like it and markdown otherwise; `markdown` is always that. */
function footer(settings: Json | undefined, rendering: Rendering, links: Links, primary: string): string {
  const content = textOf(own(settings, "content"));
  const markdown = textOf(own(settings, "markdown"));
  const style: HtmlStyle = { css: "font-size:12px;color:#6b7280", tag: "p", linkColor: primary };
  let html = "";
  if (/<[a-z!/]/i.test(content)) html = rendering.print(cachedTemplate(content), writeHtml);
  else if (content !== "" || markdown !== "") {
    const text = cachedMarkdownText(content || markdown).fill(rendering);
    html = printHtml(text.blocks, text.values, links, style);
  }
  const social = socialLinks(own(settings, "social"), links);
  return html + social === ""
    ? ""
    : `<tr><td style="padding:0 24px 24px;font-size:12px;color:#6b7280">${html}${social}</td></tr>`;
}

const NETWORKS = ["facebook", "instagram", "linkedin", "medium", "twitter"];

function socialLinks(social: Json | undefined, links: Links): string {
  return NETWORKS.flatMap((network) => {
    const href = links.print(textOf(own(own(social, network), "url")), false);
    if (href === null) return [];
    return [`<a href="${escapeHtml(href)}" style="color:#6b7280">${network[0]?.toUpperCase()}${network.slice(1)}</a>`];
  }).join(" · ");
}

class Page {
  readonly #links: Links;
  readonly #primary: string;

  constructor(links: Links, primary: string) {
    this.#links = links;
    this.#primary = primary;
  }

  pieces(pieces: readonly Piece[]): string {
    return pieces.map((piece) => this.#piece(piece)).join("");
  }

  #piece(piece: Piece): string {
    switch (piece.type) {
      case "text": {
        const style: HtmlStyle = { css: piece.css, tag: piece.style, linkColor: this.#primary };
        return printHtml(piece.text.blocks, piece.text.values, this.#links, style);
      }
      case "quote": {
        const style: HtmlStyle = { css: piece.css, tag: piece.style, linkColor: this.#primary };
        const inner = printHtml(piece.text.blocks, piece.text.values, this.#links, style);
        const css = ["margin:0 0 12px;padding:0 0 0 12px;border-left:4px solid #d1d5db", borderOf(piece.borderColor)];
        return `<blockquote${styled(...css)}>${inner}</blockquote>`;
      }
      case "action":
        return this.#action(piece);
      case "image": {
        const src = safeImage(piece.src);
        if (src === null) return "";
        const width = safeWidth(piece.width);
        const sized = width === null ? "" : ` width="${width}"`;
        const image = `<img src="${escapeHtml(src)}" alt="${escapeHtml(piece.alt)}"${sized} style="max-width:100%;border:0">`;
        return aligned(piece.align, this.#linked(piece.href, piece.tracked, image, ""));
      }
      case "divider":
        return `<hr${styled("border:0;border-top:1px solid #d1d5db;margin:16px 0", borderOf(piece.color), topWidth(piece.width))}>`;
      case "html":
        return piece.html;
      case "columns": {
        const share = Math.floor(100 / Math.max(1, piece.columns.length));
        const cells = piece.columns.map((column) => {
          const width = safeWidth(column.width) ?? `${share}%`;
          return `<td width="${width}" valign="top"${styled("padding:0 8px", column.css)}>${this.pieces(column.pieces)}</td>`;
        });
        return `<table role="presentation" width="100%" cellpadding="0" cellspacing="0"><tr>${cells.join("")}</tr></table>`;
      }
      case "list": {
        const tag = piece.ordered ? "ol" : "ul";
        const items = piece.items.map((item) => {
          const text = item.text === null ? "" : this.#itemText(item.text.blocks, item.text.values);
          return `<li${styled(item.css)}>${text}${this.pieces(item.pieces)}</li>`;
        });
        return `<${tag}${styled("margin:0 0 12px;padding-left:24px", piece.css)}>${items.join("")}</${tag}>`;
      }
    }
  }

  #itemText(...[blocks, values]: [Parameters<typeof printHtml>[0], readonly string[]]): string {
    const html = printHtml(blocks, values, this.#links, { css: "margin:0", tag: "p", linkColor: this.#primary });
    // A single paragraph stands in the item without one around it, so that bullets keep together.
    const only = blocks.length === 1 && blocks[0]?.kind === "paragraph" ? /^<p[^>]*>([\s\S]*)<\/p>$/.exec(html) : null;
    return only?.[1] ?? html;
  }

  #action(action: Piece & { readonly type: "action" }): string {
    const label = escapeHtml(action.label);
    const color = action.backgroundColor === null ? null : safeCss("color", action.backgroundColor);
    const button = `display:inline-block;padding:12px 24px;border-radius:4px;background-color:${color ?? this.#primary};color:#ffffff;font-weight:600;text-decoration:none`;
    const base = action.style === "button" ? button : `color:${this.#primary}`;
    const css = action.css === "" ? base : `${base};${action.css}`;
    return aligned(action.align, this.#linked(action.href, action.tracked, label, css));
  }

  #linked(address: string, tracked: boolean, content: string, css: string): string {
    const href = this.#links.print(address, tracked);
    if (href === null) return content;
    return `<a href="${escapeHtml(href)}"${styled(css)}>${content}</a>`;
  }
}

function aligned(align: string, content: string): string {
  return `<div style="margin:0 0 16px;${align || "text-align:center"}">${content}</div>`;
}

/** A style attribute of those declarations that are there. Each has been through `safeCss` or is our own. */
function styled(...declarations: string[]): string {
  const css = declarations.filter((declaration) => declaration !== "").join(";");
  return css === "" ? "" : ` style="${css}"`;
}

/** Only the colour of a declaration list that may be empty. */
function borderOf(css: string): string {
  return css.replace(/^(?:border-)?color:/, "border-color:").split(";")[0] ?? "";
}

function topWidth(css: string): string {
  return css.split(";")[0]?.replace(/^border-width:/, "border-top-width:") ?? "";
}
