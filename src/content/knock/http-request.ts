/** Requests to a server of somebody's: `raw.request` is what is to be sent, `raw.payload` its body as JSON if it is some. */
import { NO_CONTENT, type Rendered } from "../../engine/model.ts";
import { RenderError } from "../../engine/ports.ts";
import { isObject, type JsonObject } from "../../lib/json.ts";
import type { Steps } from "../liquid/drive.ts";
import {
  type Field,
  Fields,
  type MessageRendering,
  type MessageTemplate,
  oneLine,
  parsedJson,
  wrong,
} from "./message.ts";

const METHODS = new Set(["get", "post", "put", "delete", "patch"]);
const MAX_PAIRS = 100;

type Pairs = Field | readonly { readonly key: Field; readonly value: Field }[];

export function readHttpTemplate(template: JsonObject): MessageTemplate {
  const fields = new Fields(template);
  const method = fields.value("method");
  if (typeof method !== "string" || !METHODS.has(method.toLowerCase())) {
    throw wrong(fields.path("method"), "get, post, put, delete or patch");
  }
  const url = fields.required("url");
  const headers = readPairs(fields, "headers");
  const query = readPairs(fields, "query_params");
  const body = fields.optional("body");
  return function* (message): Steps<Rendered> {
    const address = withQuery(oneLine(yield* message.print(url, "plain")), yield* pairs(message, query));
    const sent = yield* message.optional(body, body !== null && looksLikeJson(body.text.source) ? "json" : "plain");
    const request = {
      method: method.toUpperCase(),
      url: address,
      headers: Object.fromEntries(yield* pairs(message, headers)),
      body: sent,
    };
    const payload = sent === null ? null : (parsedJson(sent) ?? sent);
    return { ...NO_CONTENT, text: sent ?? "", body: sent ?? "", raw: { request, payload } };
  };
}

/** Begins and ends like JSON, and not like an expression. */
export function looksLikeJson(text: string): boolean {
  return /^\s*(?:\[|\{\s*["}]|\{\s*\{%)/.test(text) && /[\]}]\s*$/.test(text);
}

function readPairs(fields: Fields, name: string): Pairs {
  if (typeof fields.value(name) === "string") return fields.required(name);
  return fields
    .list(name, MAX_PAIRS)
    .map((pair) => ({ key: pair.required("key"), value: pair.optional("value") ?? pair.required("value") }));
}

function* pairs(message: MessageRendering, given: Pairs): Steps<[string, string][]> {
  const made: [string, string][] = [];
  if ("text" in given) {
    const object = yield* message.object(given);
    for (const [key, value] of Object.entries(object ?? {})) {
      if (isObject(value) || Array.isArray(value)) {
        throw new RenderError(`${given.name}: values are texts`, { field: given.name });
      }
      if (value !== null && value !== undefined) made.push([oneLine(key), oneLine(String(value))]);
    }
    return made;
  }
  for (const { key, value } of given) {
    made.push([oneLine(yield* message.print(key, "plain")), oneLine(yield* message.print(value, "plain"))]);
  }
  return made;
}

function withQuery(url: string, query: readonly [string, string][]): string {
  if (query.length === 0) return url;
  const hash = url.indexOf("#");
  const address = hash < 0 ? url : url.slice(0, hash);
  const more = query
    .map(([key, value]) => `${encodeURIComponent(key.toWellFormed())}=${encodeURIComponent(value.toWellFormed())}`)
    .join("&");
  const glue = address.includes("?") ? (/[?&]$/.test(address) ? "" : "&") : "?";
  return address + glue + more + (hash < 0 ? "" : url.slice(hash));
}
