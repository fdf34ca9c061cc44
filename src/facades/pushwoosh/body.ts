/** Bodies: `{"request": {…}}`, whatever they are announced as. Browsers announce plain text to be spared a preflight. */
import type { FastifyInstance } from "fastify";
import { depthOf, MAX_JSON_DEPTH } from "../../http/json-body.ts";
import { isObject, type JsonObject } from "../../lib/json.ts";
import { CallError } from "./errors.ts";

const MAX_BYTES = 1024 * 1024;
/** A key that is a trap for whoever copies properties; it may be spelled with escapes. */
const PROTO = /__proto__|\\u00/;

export function addBodies(scope: FastifyInstance): void {
  // Before a body is read: Fastify refuses types that are none before it looks for a parser.
  scope.addHook("onRequest", (request, _reply, done) => {
    if (request.method !== "POST") return done(new CallError(405, "Expected POST"));
    request.raw.headers["content-type"] = "application/json";
    done();
  });
  scope.removeAllContentTypeParsers();
  scope.addContentTypeParser<string>("*", { parseAs: "string", bodyLimit: MAX_BYTES }, (_request, text, done) => {
    try {
      done(null, parse(text));
    } catch (error) {
      done(error as Error);
    }
  });
}

/** @throws CallError(400) unless there is an object under `request`. */
export function requestIn(body: unknown): JsonObject {
  const request = isObject(body) && Object.hasOwn(body, "request") ? body.request : undefined;
  if (!isObject(request)) throw new CallError(400, 'Expected a JSON body with an object under "request"');
  return request;
}

function parse(text: string): unknown {
  // Every level is closed again: text that is too short for that is no JSON, and most bodies are.
  if (text.length > 2 * MAX_JSON_DEPTH && depthOf(text) > MAX_JSON_DEPTH) {
    throw new CallError(400, `Expected JSON nested at most ${MAX_JSON_DEPTH} levels deep`);
  }
  try {
    return PROTO.test(text) ? JSON.parse(text, refuseProto) : JSON.parse(text);
  } catch (error) {
    throw error instanceof CallError ? error : new CallError(400, `Expected JSON: ${(error as Error).message}`);
  }
}

function refuseProto(key: string, value: unknown): unknown {
  if (key === "__proto__") throw new CallError(400, "Expected no field named __proto__");
  return value;
}
