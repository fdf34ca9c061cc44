/** HTML that is put into somebody's page as it is: the elements of text and nothing that runs, loads, hides or covers. */
import { safeHref } from "../../links.ts";
import { escapeHtml } from "../../markdown/print-html.ts";
import { decodeHtml, type HtmlTag, scanHtml } from "./scan.ts";

const ELEMENTS = new Set(
  (
    "a abbr b blockquote br caption code dd del details div dl dt em figcaption figure h1 h2 h3 h4 h5 h6 hr i img ins kbd " +
    "li mark ol p pre q s samp small span strong sub summary sup table tbody td tfoot th thead time tr u ul var wbr"
  ).split(" "),
);
const VOID = new Set("br hr img wbr".split(" "));
/** What is in them goes with them. */
const WITH_CONTENT = new Set(
  "script style iframe object embed applet svg math template noscript select textarea title head audio video canvas".split(
    " ",
  ),
);
/** Classes are for the page's own styles; ids and names could stand in for the page's own elements. */
const ATTRIBUTES = new Set(
  "class title alt width height align colspan rowspan start dir lang datetime open".split(" "),
);
/** Counts what is open, so that closing tags close ours and nobody else's. */
const MAX_OPEN = 200;

/** Only http, https, mailto and addresses within the site. */
export function contentHref(address: string): string | null {
  const href = safeHref(address, "web");
  return href === null || /^tel:/i.test(href.replace(/\s/g, "")) ? null : href;
}

export function sanitizeHtml(html: string): string {
  let clean = "";
  const open: string[] = [];
  /** The element that is left out with all that is in it, and how many of its name are open. */
  let skipping: { readonly name: string; depth: number } | null = null;
  for (const piece of scanHtml(html)) {
    if (skipping !== null) {
      if (piece.kind === "open" && piece.name === skipping.name && !piece.selfClosing) skipping.depth++;
      else if (piece.kind === "close" && piece.name === skipping.name && --skipping.depth === 0) skipping = null;
    } else if (piece.kind === "text") clean += escapeHtml(decodeHtml(piece.source));
    else if (piece.kind === "open") {
      if (WITH_CONTENT.has(piece.name)) {
        if (!piece.selfClosing) skipping = { name: piece.name, depth: 1 };
      } else if (ELEMENTS.has(piece.name) && (VOID.has(piece.name) || open.length < MAX_OPEN)) {
        clean += openTag(piece);
        if (!VOID.has(piece.name)) open.push(piece.name);
      }
    } else if (piece.kind === "close" && open.includes(piece.name)) {
      let name: string | undefined;
      do {
        name = open.pop();
        clean += `</${name}>`;
      } while (name !== piece.name);
    }
  }
  return (
    clean +
    open
      .reverse()
      .map((name) => `</${name}>`)
      .join("")
  );
}

function openTag({ name, attributes }: HtmlTag): string {
  let tag = `<${name}`;
  for (const [key, value] of attributes) {
    if (ATTRIBUTES.has(key)) tag += ` ${key}="${escapeHtml(value)}"`;
    else if (key === "data-knock-no-track") tag += " data-knock-no-track";
  }
  if (name === "a") {
    const href = contentHref(attributes.get("href") ?? "");
    if (href !== null) tag += ` href="${escapeHtml(href)}"`;
    // Without it, the page that is opened could steer the one it came from.
    if (attributes.get("target") === "_blank") tag += ' target="_blank" rel="noopener noreferrer"';
  } else if (name === "img") {
    const src = contentHref(attributes.get("src") ?? "");
    if (src !== null && !/^mailto:/i.test(src)) tag += ` src="${escapeHtml(src)}"`;
  }
  return `${tag}>`;
}
