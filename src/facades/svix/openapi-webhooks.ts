/** The event types that an OpenAPI document describes as webhooks. */
import { isObject, type Json, type JsonObject } from "../../lib/json.ts";
import { Invalid, type Issue, VALUE_ERROR } from "./errors.ts";
import { isEventTypeName } from "./event-type-documents.ts";
import { schemaIssues } from "./event-type-schemas.ts";
import { dereferenced, SchemaBundler, SpecFault } from "./openapi-schemas.ts";

/** The newer name first: it wins. */
const SECTIONS = ["webhooks", "x-webhooks"] as const;
/** Webhooks are posted; documents that say otherwise are read all the same. */
const METHODS = ["post", "put", "patch", "get", "delete"] as const;
const MAX_WEBHOOKS = 1_000;
/** Of all schemas together, each with what it refers to. */
const MAX_CHARS = 8 * 1024 * 1024;
const MAX_DESCRIPTION_LENGTH = 65_536;
const MAX_FLAGS = 100;
const FIRST_VERSION = "1";

export interface DescribedEventType {
  readonly name: string;
  readonly description: string;
  readonly deprecated: boolean;
  readonly schemas: JsonObject | null;
  /** Undefined where the document says nothing of it. */
  readonly groupName: string | undefined;
  readonly featureFlags: readonly string[] | undefined;
}

/**
 * Each webhook is an event type: its key the name; summary or description of the operation the description; the schema of
 * the request's JSON body version 1; `x-svix-group-name`, `x-svix-feature-flags` (or `x-svix-feature-flag`) as they say.
 * @param loc of the document in the request.
 * @throws Invalid naming all that is wrong.
 */
export function eventTypesInSpec(spec: JsonObject, loc: readonly string[]): readonly DescribedEventType[] {
  // Whoever replaces all types by those of a document must not do so with something else by mistake.
  if (typeof spec.openapi !== "string" && SECTIONS.every((section) => spec[section] === undefined)) {
    throw new Invalid([{ loc, msg: "Expected an OpenAPI document, or webhooks", type: VALUE_ERROR }]);
  }
  const issues: Issue[] = [];
  const found = new Map<string, DescribedEventType>();
  const bundler = new SchemaBundler(spec);
  let chars = 0;
  for (const section of SECTIONS) {
    const webhooks = spec[section] ?? {};
    const at = [...loc, section];
    if (!isObject(webhooks)) {
      issues.push({ loc: at, msg: "Expected an object", type: VALUE_ERROR });
      continue;
    }
    const entries = Object.entries(webhooks).filter(([name]) => !name.startsWith("x-") && !found.has(name));
    if (found.size + entries.length > MAX_WEBHOOKS) {
      issues.push({ loc: at, msg: `Expected at most ${MAX_WEBHOOKS} webhooks`, type: VALUE_ERROR });
      continue;
    }
    for (const [name, item] of entries) {
      const one = read(spec, bundler, name, item, [...at, name], issues);
      if (one === null) continue;
      found.set(name, one);
      chars += one.schemas === null ? 0 : JSON.stringify(one.schemas).length;
      if (chars <= MAX_CHARS) continue;
      const msg = `Expected schemas of at most ${MAX_CHARS} characters together, each with what it refers to`;
      throw new Invalid([{ loc: at, msg, type: VALUE_ERROR }]);
    }
  }
  if (issues.length > 0) throw new Invalid(issues);
  return [...found.values()];
}

function read(
  spec: JsonObject,
  bundler: SchemaBundler,
  name: string,
  item: Json | undefined,
  loc: readonly string[],
  issues: Issue[],
): DescribedEventType | null {
  const wrong = (msg: string): null => {
    issues.push({ loc, msg, type: VALUE_ERROR });
    return null;
  };
  if (!isEventTypeName(name))
    return wrong("Expected the name of an event type: at most 256 of a-z, A-Z, 0-9, -, _ and .");
  try {
    const path = dereferenced(spec, item);
    if (!isObject(path)) return wrong("Expected an object");
    const operation = dereferenced(
      spec,
      METHODS.map((method) => path[method]).find((one) => one !== undefined),
    );
    if (!isObject(operation)) return wrong(`Expected an operation: one of ${METHODS.join(", ")}`);
    const extensions = { ...path, ...operation };
    const described: DescribedEventType = {
      name,
      description: textOf(operation.summary, operation.description, path.summary, path.description),
      deprecated: operation.deprecated === true,
      schemas: schemasOf(spec, bundler, operation),
      groupName: groupOf(extensions),
      featureFlags: flagsOf(extensions),
    };
    if (described.schemas !== null) issues.push(...schemaIssues(described.schemas, loc));
    return described;
  } catch (error) {
    if (!(error instanceof SpecFault)) throw error;
    return wrong(`Cannot be used: ${error.message}`);
  }
}

function textOf(...candidates: readonly (Json | undefined)[]): string {
  const text = candidates.find((one) => typeof one === "string" && one.trim() !== "");
  if (typeof text !== "string") return "";
  // biome-ignore lint/suspicious/noControlCharactersInRegex: they are what is taken out
  const clean = text.toWellFormed().replace(/[\u0000-\u0008\u000b\u000c\u000e-\u001f\u007f]/g, "");
  return clean.slice(0, MAX_DESCRIPTION_LENGTH).toWellFormed();
}

function schemasOf(spec: JsonObject, bundler: SchemaBundler, operation: JsonObject): JsonObject | null {
  const body = dereferenced(spec, operation.requestBody);
  const content = isObject(body) && isObject(body.content) ? body.content : {};
  const types = Object.keys(content);
  const type = types.find((one) => one.startsWith("application/json")) ?? types.find((one) => one.includes("json"));
  const media = dereferenced(spec, type === undefined ? undefined : content[type]);
  if (!isObject(media) || media.schema === undefined) return null;
  const schema = bundler.bundle(media.schema);
  const examples = examplesOf(spec, media);
  const hasOwn = !isObject(schema) || schema.examples !== undefined || examples.length === 0;
  return { [FIRST_VERSION]: hasOwn ? schema : { ...schema, examples } };
}

/** Those beside the schema, as OpenAPI has them. */
function examplesOf(spec: JsonObject, media: JsonObject): readonly Json[] {
  if (media.example !== undefined) return [media.example];
  if (!isObject(media.examples)) return [];
  return Object.values(media.examples).flatMap((one) => {
    const example = dereferenced(spec, one);
    return isObject(example) && example.value !== undefined ? [example.value] : [];
  });
}

function groupOf(extensions: JsonObject): string | undefined {
  const group = extensions["x-svix-group-name"];
  if (group === undefined) return undefined;
  if (typeof group === "string" && isEventTypeName(group)) return group;
  throw new SpecFault("x-svix-group-name is no name of a group");
}

function flagsOf(extensions: JsonObject): readonly string[] | undefined {
  const given = extensions["x-svix-feature-flags"] ?? extensions["x-svix-feature-flag"];
  if (given === undefined) return undefined;
  const flags = [given].flat();
  const names = flags.filter((flag): flag is string => typeof flag === "string" && isEventTypeName(flag));
  if (names.length === flags.length && names.length <= MAX_FLAGS)
    return names.length === 0 ? undefined : [...new Set(names)];
  throw new SpecFault("x-svix-feature-flags are no names of flags");
}
