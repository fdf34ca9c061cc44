/** Bodies: JSON whatever they are announced as, or nothing at all; and their text as it came. */
import type { FastifyInstance, FastifyRequest } from "fastify";
import { depthOf, MAX_JSON_DEPTH } from "../../http/json-body.ts";
import { isObject } from "../../lib/json.ts";
import { invalid, JSON_ERROR } from "./errors.ts";

declare module "fastify" {
  interface FastifyRequest {
    rawText: string;
  }
}

/** Members that are the caller's own matter, kept as text and handed on: any key will do in there. */
const FREE = new Set(["payload", "data"]);
const PROTO = /__proto__|\\u00/;

/**
 * `request.body` is undefined when nothing came. Content types are not looked at.
 * @param maxBytes larger bodies are refused with 413.
 */
export function addSvixBodies(scope: FastifyInstance, maxBytes: number): void {
  scope.decorateRequest("rawText", "");
  // Fastify refuses types that are none before it looks for a parser.
  scope.addHook("onRequest", (request, _reply, done) => {
    const { headers } = request.raw;
    if (headers["content-type"] !== undefined) headers["content-type"] = "application/json";
    done();
  });
  scope.removeAllContentTypeParsers();
  scope.addContentTypeParser<string>("*", { parseAs: "string", bodyLimit: maxBytes }, (request, text, done) => {
    request.rawText = text;
    let body: unknown;
    try {
      body = parse(text);
    } catch (error) {
      return done(error as Error);
    }
    return done(null, body);
  });
}

/** The text of the body, exactly as it came; empty when nothing came. */
export function rawTextOf(request: FastifyRequest): string {
  return request.rawText;
}

function parse(text: string): unknown {
  if (text.trim() === "") return undefined;
  // Every level is closed again: text that is too short for that is no JSON, and most bodies are.
  if (text.length > 2 * MAX_JSON_DEPTH && depthOf(text) > MAX_JSON_DEPTH) {
    throw invalid(["body"], `Expected JSON nested at most ${MAX_JSON_DEPTH} levels deep`, JSON_ERROR);
  }
  let body: unknown;
  try {
    body = JSON.parse(text);
  } catch (error) {
    throw invalid(["body"], `Expected JSON: ${(error as Error).message}`, JSON_ERROR);
  }
  if (PROTO.test(text)) refuseProto(body);
  return body;
}

/** `__proto__` as a key is a plain property after parsing, but a trap for whoever copies properties. */
function refuseProto(body: unknown): void {
  const walk = (value: unknown): boolean => {
    if (Array.isArray(value)) return value.some(walk);
    if (!isObject(value)) return false;
    return Object.hasOwn(value, "__proto__") || Object.values(value).some(walk);
  };
  const entries = isObject(body) ? Object.entries(body) : [["", body] as const];
  for (const [name, value] of entries) {
    if (FREE.has(name) && name !== "__proto__") continue;
    if (name === "__proto__" || walk(value)) throw invalid(["body"], "Expected no field named __proto__", JSON_ERROR);
  }
}
