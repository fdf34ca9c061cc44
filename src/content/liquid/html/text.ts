/** HTML as plain text in which the addresses of links can be read: for the text part of a mail. */
import { htmlToText } from "../../markdown/html-to-text.ts";
import { decodeHtml, scanHtml } from "./scan.ts";

/** Text between tags, no addresses. */
export function htmlText(html: string): string {
  return htmlToText(html);
}

/** As above; behind the label of a link, in brackets, where it leads. */
export function htmlTextWithLinks(html: string): string {
  let marked = "";
  let href: string | null = null;
  let label = "";
  for (const piece of scanHtml(html)) {
    if (piece.kind === "open" && piece.name === "a") {
      href = piece.attributes.get("href") ?? null;
      label = "";
    } else if (piece.kind === "close" && piece.name === "a") {
      const said = label.trim();
      if (
        href !== null &&
        /^(?:https?|mailto):/i.test(href) &&
        said !== href &&
        said !== href.replace(/^mailto:/i, "")
      ) {
        marked += said === "" ? escaped(href) : ` (${escaped(href)})`;
      }
      href = null;
    } else if (piece.kind === "text") label += decodeHtml(piece.source);
    marked += piece.source;
  }
  return htmlToText(marked);
}

function escaped(text: string): string {
  return text.replace(/&/g, "&amp;").replace(/</g, "&lt;").replace(/>/g, "&gt;");
}
