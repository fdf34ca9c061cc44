/**
 * What an Elemental document may look like. Everything a caller can get wrong is found here, before anything is
 * compiled; what can only go wrong with a recipient's data (an expression that cannot be read) is left to rendering.
 */
import { Refusal } from "../../engine/refusal.ts";
import { isObject, type Json, type JsonObject } from "../../lib/json.ts";

/** An element whose fields have been checked: present fields have the types of `FIELDS`. */
export interface Element extends JsonObject {
  readonly type: ElementType;
}

export type ElementType = keyof typeof FIELDS;

export interface SourceOptions {
  /** Whether `{title, body}` will do. Templates are written in full, so there it will not. */
  readonly allowSugar: boolean;
  /** Path of the source in the caller's request, for the field named in a refusal. */
  readonly field?: string;
}

const VERSIONS = ["2022-01-01", "2020-01-01"];
const MAX_DEPTH = 20;
const MAX_LIST_DEPTH = 5;
const MAX_ELEMENTS = 5_000;
const MAX_TEXT = 1_000_000;

type FieldKind = "string" | "scalar" | "boolean" | "strings" | "condition" | "elements" | "object" | "locales";

const COMMON: { readonly [field: string]: FieldKind } = {
  id: "string",
  channels: "strings",
  if: "condition",
  loop: "string",
  ref: "string",
};

const STYLE: { readonly [field: string]: FieldKind } = {
  align: "string",
  color: "string",
  background_color: "string",
  padding: "scalar",
  font_size: "scalar",
  line_height: "scalar",
  border_color: "string",
  border_size: "scalar",
  border_width: "scalar",
  border_radius: "scalar",
  border_style: "string",
};

const EMPHASIS: { readonly [field: string]: FieldKind } = {
  bold: "boolean",
  italic: "boolean",
  strikethrough: "boolean",
  underline: "boolean",
};

/** Fields that count, by type. Others are tolerated: newer designers write more than we print. */
const FIELDS = {
  meta: { title: "string", locales: "locales" },
  text: {
    content: "string",
    elements: "elements",
    text_style: "string",
    format: "string",
    locales: "locales",
    ...EMPHASIS,
    ...STYLE,
  },
  action: {
    content: "string",
    href: "string",
    action_id: "string",
    style: "string",
    disable_tracking: "boolean",
    locales: "locales",
    ...STYLE,
  },
  image: {
    src: "string",
    alt_text: "string",
    altText: "string",
    href: "string",
    width: "scalar",
    disable_tracking: "boolean",
    locales: "locales",
    ...STYLE,
  },
  divider: STYLE,
  quote: {
    content: "string",
    elements: "elements",
    text_style: "string",
    borderColor: "string",
    locales: "locales",
    ...STYLE,
  },
  html: { content: "string", locales: "locales" },
  group: { elements: "elements", ...STYLE },
  columns: { elements: "elements", gap: "scalar", ...STYLE },
  column: { elements: "elements", width: "scalar", ...STYLE },
  list: { elements: "elements", list_type: "string", ...STYLE },
  "list-item": { content: "string", elements: "elements", locales: "locales", ...EMPHASIS, ...STYLE },
  channel: { channel: "string", elements: "elements", raw: "object", locales: "locales", ...STYLE },
  comment: {},
  string: { content: "string", color: "string", locales: "locales", ...EMPHASIS },
  link: {
    content: "string",
    href: "string",
    disable_tracking: "boolean",
    color: "string",
    locales: "locales",
    ...EMPHASIS,
  },
  img: { src: "string", alt_text: "string", altText: "string", width: "scalar", href: "string", locales: "locales" },
} as const satisfies { readonly [type: string]: { readonly [field: string]: FieldKind } };

const INLINE: ReadonlySet<string> = new Set(["string", "link", "img"]);
const BLOCKS: readonly ElementType[] = [
  "meta",
  "text",
  "action",
  "image",
  "divider",
  "quote",
  "html",
  "group",
  "columns",
  "list",
  "comment",
];
/** What may stand directly inside an element of this type; all others take `BLOCKS`. */
const CHILDREN: { readonly [type: string]: readonly ElementType[] } = {
  text: ["string", "link", "img"],
  quote: ["string", "link", "img"],
  columns: ["column", "comment"],
  list: ["list-item", "comment"],
  "list-item": ["string", "link", "img", ...BLOCKS],
};

/**
 * Checks a document and brings it into one form: a list of elements, sugar first.
 * @throws Refusal("invalid") that names the field; Refusal("not_implemented") for MJML.
 */
export function validateElemental(source: Json, options: SourceOptions): readonly Element[] {
  const field = options.field ?? "content";
  if (!isObject(source)) refuse(field, `expected an object, got ${nameOf(source)}`);
  const { version, elements } = source;
  if (version !== undefined && version !== null && !VERSIONS.includes(version as string)) {
    refuse(`${field}.version`, `expected ${VERSIONS.map((v) => `"${v}"`).join(" or ")}, got ${nameOf(version)}`);
  }
  const sugar = options.allowSugar ? readSugar(source, field) : [];
  if (elements === undefined || elements === null) {
    if (sugar.length > 0) return sugar;
    const expected = options.allowSugar ? "title and body, or elements" : "elements";
    refuse(options.allowSugar ? field : `${field}.elements`, `expected ${expected}`);
  }
  const check = new Check();
  const checked = check.topLevel(elements, `${field}.elements`);
  return sugar.length > 0 && checked.some((e) => e.type === "channel")
    ? refuse(`${field}.elements`, "channel elements and a title and body cannot stand together")
    : [...sugar, ...checked];
}

function readSugar(source: JsonObject, field: string): Element[] {
  for (const key of ["title", "body"]) {
    const value = source[key];
    if (value !== undefined && value !== null && typeof value !== "string") {
      refuse(`${field}.${key}`, `expected a string, got ${nameOf(value)}`);
    }
    if (typeof value === "string") checkLength(value, `${field}.${key}`);
  }
  const { title, body } = source;
  const elements: Element[] = [];
  if (typeof title === "string") elements.push({ type: "meta", title });
  if (typeof body === "string") elements.push({ type: "text", content: body });
  return elements;
}

class Check {
  #count = 0;

  topLevel(value: Json, path: string): readonly Element[] {
    const elements = this.#elements(value, path, [...BLOCKS, "channel"], 1, 0);
    if (!elements.some((e) => e.type === "channel")) return elements;
    elements.forEach((element, i) => {
      if (element.type !== "channel" && element.type !== "meta" && element.type !== "comment") {
        refuse(`${path}[${i}]`, `expected a channel element beside other channel elements, got "${element.type}"`);
      }
    });
    return elements;
  }

  #elements(
    value: Json,
    path: string,
    allowed: readonly ElementType[],
    depth: number,
    lists: number,
  ): readonly Element[] {
    if (!Array.isArray(value)) refuse(path, `expected a list of elements, got ${nameOf(value)}`);
    if (depth > MAX_DEPTH) refuse(path, `elements are nested more than ${MAX_DEPTH} deep`);
    this.#count += value.length;
    if (this.#count > MAX_ELEMENTS) refuse(path, `a document may have ${MAX_ELEMENTS} elements`);
    value.forEach((element, i) => {
      this.#element(element, `${path}[${i}]`, allowed, depth, lists);
    });
    return value as unknown as readonly Element[];
  }

  #element(element: Json, path: string, allowed: readonly ElementType[], depth: number, lists: number): void {
    if (!isObject(element)) refuse(path, `expected an element, got ${nameOf(element)}`);
    const { type } = element;
    if (typeof type !== "string") refuse(`${path}.type`, `expected the type of an element, got ${nameOf(type)}`);
    if (!Object.hasOwn(FIELDS, type)) refuse(`${path}.type`, `there is no element type ${nameOf(type)}`);
    if (!allowed.includes(type as ElementType)) refuse(`${path}.type`, `an element "${type}" cannot stand here`);
    const fields: { readonly [field: string]: FieldKind } = FIELDS[type as ElementType];
    for (const [name, value] of Object.entries(element)) {
      const kind = Object.hasOwn(COMMON, name) ? COMMON[name] : Object.hasOwn(fields, name) ? fields[name] : undefined;
      // Designers write null for what is not set.
      if (kind === undefined || value === null || value === undefined) continue;
      if (kind === "elements") {
        const deeper = type === "list" ? lists + 1 : lists;
        if (deeper > MAX_LIST_DEPTH) refuse(path, `lists are nested more than ${MAX_LIST_DEPTH} deep`);
        this.#elements(value, `${path}.${name}`, CHILDREN[type] ?? BLOCKS, depth + 1, deeper);
      } else if (kind === "locales") this.#locales(value, `${path}.${name}`, type, depth, lists);
      else checkField(value, kind, `${path}.${name}`);
    }
    if (type === "channel") checkChannel(element, path);
    if (type === "list-item") checkListItem(element, path);
  }

  #locales(locales: Json, path: string, type: string, depth: number, lists: number): void {
    if (!isObject(locales)) refuse(path, `expected an object, got ${nameOf(locales)}`);
    for (const [locale, fields] of Object.entries(locales)) {
      const at = `${path}.${locale}`;
      if (!isObject(fields)) refuse(at, `expected an object, got ${nameOf(fields)}`);
      for (const [name, value] of Object.entries(fields)) {
        if (value === null || value === undefined) continue;
        if (name === "content" || name === "href" || name === "title" || name === "src") {
          checkField(value, "string", `${at}.${name}`);
        } else if (type === "channel" && name === "raw") {
          checkField(value, "object", `${at}.raw`);
          checkTransformers(value as JsonObject, `${at}.raw`);
        } else if (type === "channel" && name === "elements") {
          this.#elements(value, `${at}.elements`, BLOCKS, depth + 1, lists);
        }
      }
    }
  }
}

function checkField(value: Json, kind: FieldKind, path: string): void {
  const right =
    kind === "string"
      ? typeof value === "string"
      : kind === "scalar"
        ? typeof value === "string" || typeof value === "number"
        : kind === "boolean"
          ? typeof value === "boolean" || value === "true" || value === "false"
          : kind === "strings"
            ? Array.isArray(value) && value.every((v) => typeof v === "string")
            : kind === "condition"
              ? typeof value === "string" || typeof value === "boolean" || Array.isArray(value)
              : isObject(value);
  if (!right) refuse(path, `expected ${EXPECTED[kind]}, got ${nameOf(value)}`);
  if (typeof value === "string") checkLength(value, path);
  if (kind === "condition" && Array.isArray(value)) checkCondition(value, path);
}

const EXPECTED: { readonly [kind in FieldKind]: string } = {
  string: "a string",
  scalar: "a string or a number",
  boolean: "true or false",
  strings: "a list of strings",
  condition: "an expression or a list of condition groups",
  elements: "a list of elements",
  object: "an object",
  locales: "an object",
};

/** Operators of structured conditions; condition.ts says what they do. */
export const OPERATORS = [
  "equals",
  "not_equals",
  "greater_than",
  "less_than",
  "greater_than_or_equals",
  "less_than_or_equals",
  "contains",
  "not_contains",
  "is_empty",
  "is_not_empty",
] as const;
export type Operator = (typeof OPERATORS)[number];

function checkCondition(groups: readonly Json[], path: string): void {
  groups.forEach((group, i) => {
    const at = `${path}[${i}]`;
    if (!isObject(group) || !Array.isArray(group.conditions)) refuse(at, "expected a group with a list of conditions");
    const logical = group.logical_operator;
    if (logical !== undefined && logical !== null && logical !== "and" && logical !== "or") {
      refuse(`${at}.logical_operator`, `expected "and" or "or", got ${nameOf(logical)}`);
    }
    (group.conditions as readonly Json[]).forEach((condition, j) => {
      const where = `${at}.conditions[${j}]`;
      if (!isObject(condition) || typeof condition.property !== "string") {
        refuse(`${where}.property`, "expected the path of a property");
      }
      if (!OPERATORS.includes(condition.operator as Operator)) {
        refuse(`${where}.operator`, `expected one of ${OPERATORS.join(", ")}, got ${nameOf(condition.operator)}`);
      }
    });
  });
}

function checkChannel(element: JsonObject, path: string): void {
  if (typeof element.channel !== "string" || element.channel === "") {
    refuse(`${path}.channel`, `expected the name of a channel, got ${nameOf(element.channel)}`);
  }
  const hasRaw = element.raw !== undefined && element.raw !== null;
  const hasElements = element.elements !== undefined && element.elements !== null;
  if (hasRaw && hasElements) refuse(`${path}.raw`, "raw and elements exclude each other");
  if (hasRaw) checkTransformers(element.raw as JsonObject, `${path}.raw`);
}

function checkTransformers(raw: JsonObject, path: string): void {
  const { transformers } = raw;
  if (transformers === undefined || transformers === null) return;
  if (!Array.isArray(transformers)) refuse(`${path}.transformers`, `expected a list, got ${nameOf(transformers)}`);
  for (const transformer of transformers) {
    if (transformer === "mjml") {
      throw new Refusal("not_implemented", "MJML is not supported; give HTML", { field: `${path}.transformers` });
    }
    if (transformer !== "handlebars") refuse(`${path}.transformers`, `there is no transformer ${nameOf(transformer)}`);
  }
}

function checkListItem(element: JsonObject, path: string): void {
  if (!Array.isArray(element.elements)) return;
  const isInline = (child: Json): boolean => isObject(child) && INLINE.has(child.type as string);
  const firstBlock = element.elements.findIndex((child) => !isInline(child));
  if (firstBlock >= 0 && element.elements.slice(firstBlock).some(isInline)) {
    refuse(`${path}.elements`, "string, link and img elements must stand together, before any others");
  }
}

function checkLength(text: string, path: string): void {
  if (text.length > MAX_TEXT) refuse(path, `a text may have ${MAX_TEXT} characters, this one has ${text.length}`);
}

function refuse(field: string, message: string): never {
  throw new Refusal("invalid", `${field}: ${message}`, { field });
}

/** A value as a message shows it: short, and never with the whole of someone's content in it. */
function nameOf(value: Json | undefined): string {
  if (value === undefined) return "nothing";
  if (Array.isArray(value)) return "a list";
  if (isObject(value)) return "an object";
  return JSON.stringify(typeof value === "string" && value.length > 40 ? `${value.slice(0, 40)}…` : value);
}
