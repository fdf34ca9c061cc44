/** Whether what a workflow demands of its triggers' data is JSON Schema, draft 7, that can be checked against. */
import { Ajv, type AnySchema, type ValidateFunction } from "ajv";
import type { JsonObject } from "../../../lib/json.ts";
import type { FieldError } from "../errors.ts";

const DRAFT_7 = "http://json-schema.org/draft-07/schema#";
/** Compiling takes time in proportion to it. */
const MAX_CHARS = 128 * 1024;
const MAX_PATTERN_LENGTH = 4_096;

/** @param at where the schema came from. @returns the first thing that is wrong with it; null when nothing is. */
export function schemaFault(schema: JsonObject, at: string): FieldError | null {
  if (JSON.stringify(schema).length > MAX_CHARS) {
    return { field: at, type: "too_long", message: `Expected at most ${MAX_CHARS} characters of JSON` };
  }
  const validate = metaSchema();
  if (validate(schema)) return compileFault(schema, at);
  const [error] = validate.errors ?? [];
  const path = (error?.instancePath ?? "").split("/").slice(1).map(spelled).join("");
  return { field: at + path, type: "invalid", message: `Expected JSON Schema: ${error?.message ?? "is no schema"}` };
}

/** What the form alone does not tell: references that lead nowhere, words that contradict each other. */
function compileFault(schema: JsonObject, field: string): FieldError | null {
  try {
    new Ajv({ strict: false, validateFormats: false, logger: false }).compile(schema);
    return null;
  } catch (error) {
    return { field, type: "invalid", message: `Expected JSON Schema: ${(error as Error).message}` };
  }
}

/** The schema without the name of another draft: whatever it says, draft 7 is meant. */
export function asDraft7({ $schema: _draft, ...schema }: JsonObject): JsonObject {
  return schema;
}

/** A part of a JSON pointer as a part of our paths. */
function spelled(part: string): string {
  const name = part.replaceAll("~1", "/").replaceAll("~0", "~");
  return /^\d+$/.test(name) ? `[${name}]` : `.${name}`;
}

let compiled: ValidateFunction<AnySchema> | null = null;

function metaSchema(): ValidateFunction<AnySchema> {
  if (compiled !== null) return compiled;
  const draft7 = new Ajv().getSchema(DRAFT_7)?.schema as AnySchema;
  // Of the formats a schema is checked for, only that of regular expressions says something here.
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
