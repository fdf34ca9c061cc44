/** The links of finished HTML: those to the web by way of the tracker, none that runs a script. */
import { safeHref } from "../links.ts";
import { type HtmlTag, scanHtml } from "../liquid/html/scan.ts";
import { escapeHtml } from "../markdown/print-html.ts";

export const NO_TRACK = "data-knock-no-track";

/**
 * @param track null leaves addresses as they are; the mark that opts out is taken away in any case.
 * @param targets the addresses of tracked links are added here, in their order.
 */
export function trackLinks(
  html: string,
  track: ((index: number, href: string) => string) | null,
  targets: string[],
): string {
  if (!/<a[\s/]/i.test(html)) return html;
  let result = "";
  for (const piece of scanHtml(html)) {
    result += piece.kind === "open" && piece.name === "a" ? anchor(piece, track, targets) : piece.source;
  }
  return result;
}

function anchor(tag: HtmlTag, track: ((index: number, href: string) => string) | null, targets: string[]): string {
  const written = tag.attributes.get("href");
  const href = written === undefined ? null : safeHref(written, "app");
  const optsOut = tag.attributes.has(NO_TRACK);
  const isTracked = track !== null && !optsOut && href !== null && /^https:\/\//i.test(href);
  // Most links need nothing; what the author wrote is then left to the letter.
  if (!isTracked && !optsOut && (written === undefined || href !== null)) return tag.source;
  const target = isTracked ? track(targets.push(href) - 1, href) : href;
  let source = "<a";
  for (const [key, value] of tag.attributes) {
    if (key === NO_TRACK || key === "href") continue;
    source += value === "" ? ` ${key}` : ` ${key}="${escapeHtml(value)}"`;
  }
  return `${source}${target === null ? "" : ` href="${escapeHtml(target)}"`}>`;
}
