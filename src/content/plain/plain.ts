/**
 * Texts that are shown as they are: no placeholders, no markup. A source is
 *
 *   { title, body, imageUrl?, clickUrl?, raw? }
 *
 * where title and body are texts, or objects of texts by language. `raw` is kept with what is rendered, for the facade
 * that wrote it.
 */
import type { Rendered } from "../../engine/model.ts";
import type { CompiledContent, ContentLanguage } from "../../engine/ports.ts";
import { Refusal } from "../../engine/refusal.ts";
import { isObject, type Json, type JsonObject } from "../../lib/json.ts";
import { escapeHtml } from "../markdown/print-html.ts";

type Text = string | { readonly [language: string]: string };

/** Languages that stand in for the one that is not there, before any other. */
const STAND_INS = ["default", "en"];

export const plain: ContentLanguage = {
  unkept: true,
  compile: (source) => {
    if (!isObject(source)) throw wrong("content", "an object");
    const title = textOf(source, "title");
    const body = textOf(source, "body");
    const imageUrl = addressOf(source, "imageUrl");
    const clickUrl = addressOf(source, "clickUrl");
    const raw = source.raw ?? null;
    if (raw !== null && !isObject(raw)) throw wrong("content.raw", "an object");
    return compiled(title, body, { imageUrl, clickUrl, raw });
  },
  interpolate: (value) => value,
};

function compiled(
  title: Text,
  body: Text,
  rest: { readonly imageUrl: string | null; readonly clickUrl: string | null; readonly raw: JsonObject | null },
): CompiledContent {
  return {
    render({ channel }, { locale, fallbackTitle }): Rendered {
      const [head, text] = [inLanguage(title, locale), inLanguage(body, locale)];
      const isEmail = channel === "email";
      return {
        subject: isEmail ? (head || fallbackTitle).replace(/[\r\n]+/g, " ") : "",
        title: head,
        html: isEmail ? `<p>${escapeHtml(text).replaceAll("\n", "<br>")}</p>` : "",
        text,
        body: text,
        imageUrl: rest.imageUrl,
        clickUrl: rest.clickUrl,
        actions: [],
        blocks: [],
        links: [],
        raw: channel === "inbox" || channel === "push" ? rest.raw : null,
      };
    },
  };
}

/** The text for a language such as `de-AT`; a text in another when there is none; `""` when there is no text at all. */
export function inLanguage(text: Text, locale: string | null): string {
  if (typeof text === "string") return text;
  const wanted = locale === null ? [] : [locale.toLowerCase(), locale.slice(0, 2).toLowerCase()];
  const languages = Object.keys(text);
  for (const one of [...wanted, ...STAND_INS]) {
    const found = languages.find((language) => language.toLowerCase() === one);
    if (found !== undefined) return text[found] as string;
  }
  return languages[0] === undefined ? "" : (text[languages[0]] as string);
}

function textOf(source: JsonObject, field: string): Text {
  const value: Json | undefined = source[field];
  if (typeof value === "string") return value;
  if (isObject(value) && Object.values(value).every((text) => typeof text === "string")) {
    return value as { readonly [language: string]: string };
  }
  throw wrong(`content.${field}`, "a text, or texts by language");
}

function addressOf(source: JsonObject, field: string): string | null {
  const value = source[field] ?? null;
  if (value !== null && typeof value !== "string") throw wrong(`content.${field}`, "a text");
  return value === "" ? null : value;
}

function wrong(field: string, expected: string): Refusal {
  return new Refusal("invalid", `${field}: Expected ${expected}`, { field });
}
