/** Elemental as a language of content: what facades validate with and the pipeline renders with. */
import type { Channel, Rendered } from "../../engine/model.ts";
import { type CompiledContent, type ContentLanguage, type RenderContext, RenderError } from "../../engine/ports.ts";
import { isObject, type Json, type JsonObject } from "../../lib/json.ts";
import { Rendering } from "../handlebars/evaluate.ts";
import { cachedTemplate } from "../handlebars/parse.ts";
import { Links } from "../links.ts";
import { localeChain } from "../locale.ts";
import { htmlToText } from "../markdown/html-to-text.ts";
import { escapeHtml } from "../markdown/print-html.ts";
import { type CompiledDocument, compileDocument } from "./compile.ts";
import { validateElemental } from "./document.ts";
import { emailHtml, withPixel } from "./email.ts";
import { layOut, mannerOf } from "./lay-out.ts";
import { type Selection, select } from "./select.ts";

interface Target {
  readonly channel: Channel;
  readonly provider: string;
}

/** Renderings of one constant document that are kept. Each is as large as the document. */
const KEPT = 32;
const MAX_JSON_DEPTH = 100;

/** Sugar `{title, body}` and documents `{version, elements}` both compile; who allows only one validates before. */
export const elemental: ContentLanguage = {
  compile: (source) => new CompiledElemental(compileDocument(validateElemental(source, { allowSugar: true }))),
  interpolate: (value, context) => interpolated(value, new Rendering(context), 0),
};

class CompiledElemental implements CompiledContent {
  readonly #document: CompiledDocument;
  readonly #kept = new Map<string, Rendered | null>();

  constructor(document: CompiledDocument) {
    this.#document = document;
  }

  render(target: Target, context: RenderContext): Rendered | null {
    // Mails have the brand, tracking and a fallback subject in them; elsewhere only campaigns change constant content.
    const keeps = this.#document.constant && target.channel !== "email" && context.utm === null;
    if (!keeps) return guarded(() => render(this.#document, target, context));
    const locale = this.#document.localized ? (localeChain(context.locale)[0] ?? "") : "";
    const key = `${target.channel}\n${target.provider}\n${locale}`;
    let rendered = this.#kept.get(key);
    if (rendered === undefined) {
      rendered = guarded(() => render(this.#document, target, context));
      if (this.#kept.size < KEPT) this.#kept.set(key, frozen(rendered));
    }
    return rendered;
  }
}

/** What others hold is the same object for everyone, so nobody may write to it. */
function frozen(rendered: Rendered | null): Rendered | null {
  if (rendered === null) return null;
  for (const list of [rendered.actions, rendered.blocks, rendered.links]) {
    for (const entry of list) if (typeof entry === "object") Object.freeze(entry);
    Object.freeze(list);
  }
  return Object.freeze(rendered);
}

/** Values nested so deeply that they cannot be written as JSON exhaust the stack; that is the content's failure too. */
function guarded<T>(body: () => T): T {
  try {
    return body();
  } catch (error) {
    if (error instanceof RangeError)
      throw new RenderError("the content or its data is too deep or too large", { cause: error });
    throw error;
  }
}

function render(document: CompiledDocument, target: Target, context: RenderContext): Rendered | null {
  const rendering = new Rendering(context, target);
  const selection = select(document, rendering);
  if (selection === null) return null;
  if (selection.raw !== null) return renderRaw(selection.raw.raw.print(rendering), selection, target, context);
  const manner = mannerOf(target.channel, target.provider);
  const laidOut = layOut(selection.pieces, manner, new Links(context.utm, null));
  const isEmail = target.channel === "email";
  const subject = isEmail ? oneLine(selection.title ?? context.fallbackTitle) : "";
  const links = new Links(context.utm, context.trackLink);
  return {
    subject,
    title: manner.title ? (selection.title ?? "") : "",
    html: isEmail ? emailHtml(selection.pieces, subject, rendering, links) : "",
    text: laidOut.text,
    body: laidOut.text,
    imageUrl: laidOut.imageUrl,
    clickUrl: laidOut.clickUrl,
    actions: laidOut.actions,
    blocks: laidOut.blocks,
    links: links.targets,
    raw: null,
  };
}

/** A subject is a header of a mail: a line end in a value must not begin another. */
function oneLine(text: string): string {
  return /[\r\n]/.test(text) ? text.replace(/[\r\n]+/g, " ") : text;
}

function stringOf(raw: JsonObject, ...names: string[]): string | null {
  for (const name of names) if (typeof raw[name] === "string") return raw[name];
  return null;
}

/** The author's own body: whole in `raw`, and in the fields that every sender of the channel reads. */
function renderRaw(raw: JsonObject, selection: Selection, { channel }: Target, context: RenderContext): Rendered {
  const title = stringOf(raw, "title") ?? selection.title;
  const isEmail = channel === "email";
  const writtenText = stringOf(raw, "text", "body");
  const writtenHtml = stringOf(raw, "html");
  const text = writtenText ?? (isEmail && writtenHtml !== null ? htmlToText(writtenHtml) : "");
  const html = writtenHtml ?? `<p>${escapeHtml(text).replaceAll("\n", "<br>")}</p>`;
  return {
    subject: isEmail ? oneLine(stringOf(raw, "subject") ?? title ?? context.fallbackTitle) : "",
    title: channel === "sms" || channel === "chat" ? "" : (title ?? ""),
    html: isEmail ? withPixel(html, context.openPixel) : "",
    text,
    body: text,
    imageUrl: null,
    clickUrl: null,
    actions: [],
    blocks: [],
    links: [],
    raw,
  };
}

function interpolated(value: Json, rendering: Rendering, depth: number): Json {
  if (typeof value === "string") {
    return value.includes("{") ? guarded(() => rendering.print(cachedTemplate(value))) : value;
  }
  if (typeof value !== "object" || value === null) return value;
  if (depth > MAX_JSON_DEPTH) throw new RenderError(`values are nested more than ${MAX_JSON_DEPTH} deep`);
  rendering.step();
  if (Array.isArray(value)) return value.map((item) => interpolated(item, rendering, depth + 1));
  if (!isObject(value)) return value;
  const result: Record<string, Json> = {};
  for (const [key, inner] of Object.entries(value)) {
    // Assigning `__proto__` would set the prototype instead of a key.
    if (inner !== undefined && key !== "__proto__") result[key] = interpolated(inner, rendering, depth + 1);
  }
  return result;
}
