/** Addresses in content: which may be printed, and what is added to them. */
import type { RenderContext } from "../engine/ports.ts";

/** What a browser drops from an address before it looks at the scheme. */
// biome-ignore lint/suspicious/noControlCharactersInRegex: control characters are what it is about
const IGNORED = /[\u0000-\u0020\u007f\u00ad\u200b-\u200f\u2028\u2029\ufeff]/g;
const SCHEME = /^([a-z][a-z0-9+.-]*):/i;
const WEB = new Set(["http", "https", "mailto", "tel"]);
const DANGEROUS = new Set(["javascript", "data", "vbscript", "file", "blob", "view-source", "filesystem"]);

/**
 * @param allowed `web`: http, https, mailto and tel; `app`: also the schemes apps register for themselves, but none
 *   that runs a script.
 * @returns the address without blanks around it; null when it must not become a link.
 */
export function safeHref(address: string, allowed: "web" | "app"): string | null {
  const scheme = SCHEME.exec(address.replace(IGNORED, ""))?.[1]?.toLowerCase();
  if (scheme !== undefined && (allowed === "web" ? !WEB.has(scheme) : DANGEROUS.has(scheme))) return null;
  const trimmed = address.trim();
  return trimmed === "" ? null : trimmed;
}

/** @returns null for addresses that are not pictures from the web, from the mail itself (`cid:`), or in the address. */
export function safeImage(address: string): string | null {
  const bare = address.replace(IGNORED, "");
  const scheme = SCHEME.exec(bare)?.[1]?.toLowerCase();
  if (bare === "" || (scheme === undefined && !bare.startsWith("//"))) return null;
  const good = scheme === undefined || scheme === "http" || scheme === "https" || scheme === "cid";
  return good || /^data:image\/(?:png|jpeg|gif|webp);base64,/i.test(bare) ? address.trim() : null;
}

/** Adds `utm_…` keys to an http(s) address; keys it already has stay as they are, and so does everything else. */
export function withUtm(href: string, utm: RenderContext["utm"]): string {
  if (utm === null || !/^https?:\/\//i.test(href)) return href;
  const hash = href.indexOf("#");
  const fragment = hash < 0 ? "" : href.slice(hash);
  const address = hash < 0 ? href : href.slice(0, hash);
  const question = address.indexOf("?");
  const query = question < 0 ? "" : address.slice(question + 1);
  const present = new Set(query.split("&").map((pair) => pair.split("=", 1)[0]));
  const added = Object.entries(utm)
    .map(([key, value]) => [key.startsWith("utm_") ? key : `utm_${key}`, value] as const)
    .filter(([key, value]) => !present.has(key) && typeof value === "string" && value !== "")
    .map(([key, value]) => `${encodeURIComponent(key.toWellFormed())}=${encodeURIComponent(value.toWellFormed())}`)
    .join("&");
  if (added === "") return href;
  const glue = question < 0 ? "?" : query === "" || query.endsWith("&") ? "" : "&";
  return address + glue + added + fragment;
}

/** The links of one rendering, in the order they are printed. */
export class Links {
  readonly targets: string[] = [];
  readonly #utm: RenderContext["utm"];
  readonly #track: RenderContext["trackLink"];

  /** @param track null where links are not tracked: everywhere but in the HTML of a mail. */
  constructor(utm: RenderContext["utm"], track: RenderContext["trackLink"]) {
    this.#utm = utm;
    this.#track = track;
  }

  /** The address itself, with what a campaign adds; null when it must not become a link. */
  target(address: string, allowed: "web" | "app" = "web"): string | null {
    const href = safeHref(address, allowed);
    return href === null ? null : withUtm(href, this.#utm);
  }

  /** The address to print: that of the tracker, unless the link is not to be tracked or leads out of the web. */
  print(address: string, tracked: boolean): string | null {
    const target = this.target(address);
    if (target === null || !tracked || this.#track === null || !/^https?:\/\//i.test(target)) return target;
    return this.#track(this.targets.push(target) - 1, target);
  }
}
