/** Texts as codes: JSON, addresses, base64, hashes. */
import { createHash, createHmac } from "node:crypto";
import { RenderError } from "../../../engine/ports.ts";
import { jsonOf, Markup, numberOf, textOf } from "../values.ts";
import type { Filter, Filters } from "./filter.ts";

function onText(body: (text: string, arg: string) => string): Filter {
  return (value, [arg], { budget }) => {
    const text = textOf(value, budget);
    // An encoded character is nine at most.
    budget.use(text.length * 3);
    const made = body(text, textOf(arg, budget));
    budget.text(made.length);
    return made;
  };
}

function hash(name: string): Filter {
  return onText((text) => createHash(name).update(text).digest("hex"));
}

function hmac(name: string): Filter {
  return onText((text, key) => createHmac(name, key).update(text).digest("hex"));
}

function decoded(text: string): string {
  try {
    return decodeURIComponent(text.replaceAll("+", " "));
  } catch {
    return text;
  }
}

export const CODE_FILTERS: Filters = {
  /** In JSON it stands as it is; elsewhere it is a text like any other. */
  json: (value, [space], { budget }) => new Markup("json", jsonOf(value, budget, numberOf(space))),
  from_json: (value, _args, { budget }) => {
    const text = textOf(value, budget);
    budget.use(text.length);
    if (text.trim() === "") return null;
    try {
      return JSON.parse(text) as unknown;
    } catch {
      throw new RenderError("from_json: this is no JSON");
    }
  },
  url_encode: onText((text) => encodeURIComponent(text.toWellFormed()).replaceAll("%20", "+")),
  url_decode: onText(decoded),
  cgi_escape: onText((text) => encodeURIComponent(text.toWellFormed()).replaceAll("%20", "+")),
  uri_escape: onText((text) => encodeURI(text.toWellFormed())),
  slugify: onText((text) =>
    text
      .toLowerCase()
      .replace(/[^\p{L}\p{N}]+/gu, "-")
      .replace(/^-|-$/g, ""),
  ),
  base64_encode: onText((text) => Buffer.from(text).toString("base64")),
  base64_decode: onText((text) => Buffer.from(text, "base64").toString()),
  base64_url_safe_encode: onText((text) =>
    Buffer.from(text).toString("base64").replaceAll("+", "-").replaceAll("/", "_"),
  ),
  base64_url_safe_decode: onText((text) => Buffer.from(text, "base64url").toString()),
  md5: hash("md5"),
  sha1: hash("sha1"),
  sha256: hash("sha256"),
  hmac_sha1: hmac("sha1"),
  hmac_sha256: hmac("sha256"),
};
