/** Reading JSON bodies: any value at the top, nothing at all, but never one that could hurt whoever walks it. */
import type { FastifyInstance } from "fastify";
import { Refusal } from "../engine/refusal.ts";

/** Deeper than any notification, and shallow enough for recursive code anywhere behind this door. */
export const MAX_JSON_DEPTH = 200;

/**
 * Bodies of type JSON: an empty one is `undefined`, because SDKs announce JSON and then send nothing; `__proto__` keys
 * and nesting beyond `MAX_JSON_DEPTH` are refused.
 */
export function addJsonBodies(app: FastifyInstance): void {
  const parse = app.getDefaultJsonParser("error", "error");
  app.removeContentTypeParser("application/json");
  app.addContentTypeParser<string>("application/json", { parseAs: "string" }, (request, body, done) => {
    if (body.trim() === "") return done(null, undefined);
    // Every level is closed again: text that is too short for that is no JSON, and most bodies are.
    if (body.length > 2 * MAX_JSON_DEPTH && depthOf(body) > MAX_JSON_DEPTH) {
      return done(new Refusal("invalid", `The body is nested more than ${MAX_JSON_DEPTH} levels deep`));
    }
    return parse(request, body, done);
  });
}

/** Levels of nesting in JSON text, counted without parsing it. Text that is not JSON gives any number. */
export function depthOf(text: string): number {
  let depth = 0;
  let deepest = 0;
  let inString = false;
  for (let i = 0; i < text.length; i++) {
    const char = text.charCodeAt(i);
    if (inString) {
      if (char === BACKSLASH) i++;
      else if (char === QUOTE) inString = false;
    } else if (char === QUOTE) inString = true;
    else if (char === OPEN_BRACE || char === OPEN_BRACKET) {
      if (++depth > deepest) deepest = depth;
    } else if (char === CLOSE_BRACE || char === CLOSE_BRACKET) depth--;
  }
  return deepest;
}

const QUOTE = 0x22;
const BACKSLASH = 0x5c;
const OPEN_BRACE = 0x7b;
const CLOSE_BRACE = 0x7d;
const OPEN_BRACKET = 0x5b;
const CLOSE_BRACKET = 0x5d;
