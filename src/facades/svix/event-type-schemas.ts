/**
 * Whether the schemas of an event type are JSON Schema, draft 7. They are looked at and never compiled or followed: a
 * `$ref` is only text, and no regular expression is run on anything.
 */
import { Ajv, type AnySchema, type ValidateFunction } from "ajv";
import { isObject, type JsonObject } from "../../lib/json.ts";
import type { Issue } from "./errors.ts";
import { VALUE_ERROR } from "./errors.ts";

const DRAFT_7 = "http://json-schema.org/draft-07/schema#";
const MAX_VERSIONS = 100;
const MAX_VERSION_LENGTH = 256;
/** Of all versions, as JSON. They are read whole with every event type that a list shows. */
const MAX_CHARS = 512 * 1024;
const MAX_PATTERN_LENGTH = 4_096;

/** @param loc where they came from. @returns what is wrong; nothing when all is well. */
export function schemaIssues(schemas: JsonObject, loc: readonly string[]): readonly Issue[] {
  const versions = Object.entries(schemas);
  const wrong = (at: readonly string[], msg: string): Issue => ({ loc: [...loc, ...at], msg, type: VALUE_ERROR });
  if (versions.length > MAX_VERSIONS) return [wrong([], `Expected at most ${MAX_VERSIONS} versions`)];
  if (JSON.stringify(schemas).length > MAX_CHARS)
    return [wrong([], `Expected at most ${MAX_CHARS} characters of JSON`)];
  return versions.flatMap(([version, schema]): readonly Issue[] => {
    if (version.length > MAX_VERSION_LENGTH) {
      return [wrong([], `Expected versions of at most ${MAX_VERSION_LENGTH} characters`)];
    }
    const fault = schemaFault(schema);
    return fault === null ? [] : [wrong([version, ...fault.path], `Expected JSON Schema draft 7: ${fault.msg}`)];
  });
}

/** The first thing that is wrong with a schema; null when nothing is. Whatever `$schema` says, draft 7 is meant. */
export function schemaFault(schema: unknown): { readonly path: readonly string[]; readonly msg: string } | null {
  if (!isObject(schema) && typeof schema !== "boolean") return { path: [], msg: "must be an object or a boolean" };
  const validate = metaSchema();
  if (validate(schema)) return null;
  const [error] = validate.errors ?? [];
  const path = (error?.instancePath ?? "").split("/").slice(1);
  return {
    path: path.map((part) => part.replaceAll("~1", "/").replaceAll("~0", "~")),
    msg: error?.message ?? "is no schema",
  };
}

let compiled: ValidateFunction<AnySchema> | null = null;

function metaSchema(): ValidateFunction<AnySchema> {
  if (compiled !== null) return compiled;
  const draft7 = new Ajv().getSchema(DRAFT_7)?.schema as AnySchema;
  // As a meta-schema it would be compiled without formats. Only that of regular expressions says something here.
  const formats = { regex: isRegExp, uri: true, "uri-reference": true } as const;
  compiled = new Ajv({ meta: false, validateSchema: false, strict: false, formats }).compile(draft7);
  return compiled;
}

/** Reading an expression takes time in proportion to its length; only running one may take for ever. */
function isRegExp(source: string): boolean {
  if (source.length > MAX_PATTERN_LENGTH) return false;
  try {
    new RegExp(source);
    return true;
  } catch {
    return false;
  }
}
