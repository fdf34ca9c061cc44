/** Filters that make markup. In HTML what they make stands as it is; values in it are escaped already. */
import { cleanText } from "../../handlebars/parse.ts";
import { escapeHtml } from "../../markdown/print-html.ts";
import { markdownHtml } from "../html/markdown.ts";
import { sanitizeHtml } from "../html/sanitize.ts";
import { decodeHtml } from "../html/scan.ts";
import { htmlText } from "../html/text.ts";
import { Markup, textOf } from "../values.ts";
import type { Call, Filter, Filters } from "./filter.ts";

/** Markup where HTML is written, text elsewhere. */
function asHtml(html: string, { context, budget }: Call): string | Markup {
  budget.text(html.length);
  return context.mode === "html" || context.mode === "marked" ? new Markup("html", html) : html;
}

function onText(body: (text: string, call: Call) => string | Markup): Filter {
  return (value, _args, call) => {
    const text = textOf(value, call.budget);
    call.budget.use(text.length);
    return body(text, call);
  };
}

/** An author who escapes what we escape anyway means it once. */
const escaped = onText((text, call) => asHtml(escapeHtml(text), call));

export const HTML_FILTERS: Filters = {
  raw: (value, _args, { budget }) => new Markup("author", textOf(value, budget)),
  escape: escaped,
  xml_escape: escaped,
  escape_once: onText((text, call) => asHtml(escapeHtml(decodeHtml(text)), call)),
  unescape: onText((text) => decodeHtml(text)),
  strip_html: onText((text) => htmlText(text)),
  newline_to_br: onText((text, call) => {
    const isHtml = call.context.mode === "html" || call.context.mode === "marked";
    return asHtml((isHtml ? escapeHtml(text) : text).replace(/\r?\n/g, "<br />\n"), call);
  }),
  /** Markdown of a value is somebody else's than the author's: only what is harmless is left of it. */
  from_markdown: onText((text, call) => asHtml(sanitizeHtml(markdownHtml(cleanText(text), [], call.budget)), call)),
};
