/**
 * JSON Patch (RFC 6902) on documents that strangers wrote. Only own properties exist here, so no pointer reaches a
 * prototype; and what a patch may build is bounded, because `copy` doubles a document with every step.
 */
import { isDeepStrictEqual } from "node:util";
import Type from "typebox";
import { Refusal } from "../../engine/refusal.ts";
import { isObject, type Json, type JsonObject } from "../../lib/json.ts";
import { Maybe, OneOf } from "./wire.ts";

export const PatchBody = Type.Object({
  patch: Type.Array(
    Type.Object({
      op: OneOf(["add", "remove", "replace", "move", "copy", "test"]),
      path: Type.String(),
      from: Maybe(Type.String()),
      value: Type.Optional(Type.Unknown()),
    }),
    { maxItems: 1_000 },
  ),
});

export interface PatchStep {
  readonly op: "add" | "remove" | "replace" | "move" | "copy" | "test";
  readonly path: string;
  readonly from?: string | null;
  readonly value?: unknown;
}

type Mutable = Json[] | { [key: string]: Json };

const MAX_DEPTH = 200;
const FORBIDDEN: ReadonlySet<string> = new Set(["__proto__", "prototype", "constructor"]);

/**
 * The document after all steps; `document` itself is not changed.
 * @param maxChars how much text the steps may move about in all, counted as JSON.
 * @throws Refusal naming the step that failed, `test` included; then none has been applied.
 */
export function applyPatch(document: JsonObject, steps: readonly PatchStep[], maxChars: number): Json {
  const holder: { [key: string]: Json } = { root: structuredClone(document) as Json };
  let spent = 0;
  for (const [index, step] of steps.entries()) {
    const fail = (why: string): Refusal =>
      new Refusal("invalid", `patch[${index}] (${step.op} ${step.path.slice(0, 100)}): ${why}`, {
        field: `patch[${index}]`,
      });
    const path = tokensOf(step.path, fail);
    if (step.op === "remove") {
      remove(holder, path, fail);
      continue;
    }
    let value: Json;
    if (step.op === "move" || step.op === "copy") {
      if (typeof step.from !== "string") throw fail("from: Required");
      const from = tokensOf(step.from, fail);
      value = read(holder, from, fail);
      if (step.op === "copy") value = structuredClone(value) as Json;
      else if (from.length < path.length && from.every((token, i) => token === path[i])) {
        throw fail("a value cannot be moved into itself");
      } else remove(holder, from, fail);
    } else {
      if (step.value === undefined) throw fail("value: Required");
      value = step.value as Json;
    }
    if (step.op === "test") {
      if (!isDeepStrictEqual(read(holder, path, fail), value)) throw fail("the test failed");
      continue;
    }
    spent += JSON.stringify(value).length;
    if (spent > maxChars) throw fail("the patch is too large");
    if (path.length + depthOf(value) > MAX_DEPTH) throw fail(`nested more than ${MAX_DEPTH} levels deep`);
    write(holder, path, structuredClone(value) as Json, step.op === "replace", fail);
  }
  return holder.root as Json;
}

type Fail = (why: string) => Refusal;

/** Tokens below the holder: the pointer `""` is the holder's `root`. */
function tokensOf(pointer: string, fail: Fail): readonly string[] {
  if (pointer !== "" && !pointer.startsWith("/")) throw fail("a JSON pointer begins with /");
  if (/~(?![01])/.test(pointer)) throw fail("in a JSON pointer ~ is written ~0");
  const tokens = pointer.split("/").map((token) => token.replaceAll("~1", "/").replaceAll("~0", "~"));
  if (tokens.some((token) => FORBIDDEN.has(token))) throw fail("this path is not allowed");
  tokens[0] = "root";
  return tokens;
}

function parentOf(holder: Mutable, path: readonly string[], fail: Fail): Mutable {
  let at: Json = holder as Json;
  for (const token of path.slice(0, -1)) at = childOf(at, token, fail);
  if (!Array.isArray(at) && !isObject(at)) throw fail("there is nothing at this path");
  return at as Mutable;
}

function childOf(parent: Json, token: string, fail: Fail): Json {
  if (Array.isArray(parent)) {
    const index = indexOf(token, parent.length, fail);
    if (index < parent.length) return parent[index] as Json;
  } else if (isObject(parent) && Object.hasOwn(parent, token)) return parent[token] as Json;
  throw fail("there is nothing at this path");
}

function read(holder: Mutable, path: readonly string[], fail: Fail): Json {
  return childOf(parentOf(holder, path, fail) as Json, path.at(-1) as string, fail);
}

function remove(holder: Mutable, path: readonly string[], fail: Fail): void {
  if (path.length === 1) throw fail("the whole document cannot be removed");
  const parent = parentOf(holder, path, fail);
  const token = path.at(-1) as string;
  childOf(parent as Json, token, fail);
  if (Array.isArray(parent)) parent.splice(Number(token), 1);
  else delete parent[token];
}

function write(holder: Mutable, path: readonly string[], value: Json, replace: boolean, fail: Fail): void {
  const parent = parentOf(holder, path, fail);
  const token = path.at(-1) as string;
  if (replace) childOf(parent as Json, token, fail);
  if (!Array.isArray(parent)) parent[token] = value;
  else if (replace) parent[Number(token)] = value;
  else parent.splice(token === "-" ? parent.length : indexOf(token, parent.length, fail), 0, value);
}

/** An index into an array, or one past its end. */
function indexOf(token: string, length: number, fail: Fail): number {
  if (!/^(0|[1-9]\d{0,8})$/.test(token) || Number(token) > length) throw fail("there is no such place in the list");
  return Number(token);
}

/** Recursive: every value here is at most as deep as a body may be. */
function depthOf(value: Json): number {
  if (typeof value !== "object" || value === null) return 0;
  let deepest = 0;
  for (const child of Object.values(value)) deepest = Math.max(deepest, depthOf(child as Json));
  return deepest + 1;
}
