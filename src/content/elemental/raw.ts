/** A body that the author wrote for one channel in that channel's own shape; only its strings are interpolated. */
import { isObject, type Json, type JsonObject } from "../../lib/json.ts";
import type { Rendering, Write } from "../handlebars/evaluate.ts";
import { parseTemplate } from "../handlebars/parse.ts";
import { escapeHtml } from "../markdown/print-html.ts";

export interface Raw {
  readonly constant: boolean;
  /** @throws RenderError */
  print(rendering: Rendering): JsonObject;
}

type Print = (rendering: Rendering) => Json;

export const writeHtml: Write = (value, raw) => (raw ? value : escapeHtml(value));
/** A quotation mark in a value must not end the string it stands in. */
const writeJson: Write = (value, raw) => (raw ? value : JSON.stringify(value).slice(1, -1));

/** Begins like JSON, and not like a variable. */
const JSON_TEXT = /^\s*(?:\[|\{\s*["}])/;

export function compileRaw(raw: JsonObject): Raw {
  const fields = Object.entries(raw)
    .filter(([key, value]) => key !== "transformers" && key !== "__proto__" && value !== undefined)
    .map(([key, value]) => [key, compileField(key, value as Json)] as const);
  return {
    constant: fields.every(([, print]) => print.constant),
    print: (rendering) => Object.fromEntries(fields.map(([key, { print }]) => [key, print(rendering)])),
  };
}

interface Field {
  readonly constant: boolean;
  readonly print: Print;
}

function compileField(key: string, value: Json): Field {
  if (typeof value === "string") {
    if (key === "html") return text(value, writeHtml);
    if ((key === "slackBlocks" || key === "payload") && JSON_TEXT.test(value)) return jsonText(value);
  }
  return compileJson(value);
}

function text(source: string, write?: Write): Field {
  const template = parseTemplate(source);
  return { constant: template.literal !== null, print: (rendering) => rendering.print(template, write) };
}

/** JSON as text becomes what it says, once its variables are in it; text that is none stays text. */
function jsonText(source: string): Field {
  const printed = text(source, writeJson);
  return {
    constant: printed.constant,
    print: (rendering) => {
      const said = printed.print(rendering) as string;
      try {
        return JSON.parse(said) as Json;
      } catch {
        return said;
      }
    },
  };
}

function compileJson(value: Json): Field {
  if (typeof value === "string") return text(value);
  if (Array.isArray(value)) {
    const items = value.map(compileJson);
    return {
      constant: items.every((item) => item.constant),
      print: (rendering) => items.map((item) => item.print(rendering)),
    };
  }
  if (!isObject(value)) return { constant: true, print: () => value };
  const fields = Object.entries(value)
    .filter(([key, inner]) => key !== "__proto__" && inner !== undefined)
    .map(([key, inner]) => [key, compileJson(inner as Json)] as const);
  return {
    constant: fields.every(([, field]) => field.constant),
    print: (rendering) => Object.fromEntries(fields.map(([key, field]) => [key, field.print(rendering)])),
  };
}
