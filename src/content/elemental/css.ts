/** The style fields of an element as inline CSS. Values may hold variables, so each is checked when it is printed. */
import type { Json, JsonObject } from "../../lib/json.ts";
import type { Rendering } from "../handlebars/evaluate.ts";
import { parseTemplate, type Template } from "../handlebars/parse.ts";

export type Css = (rendering: Rendering) => string;

const PROPERTIES: { readonly [field: string]: string } = {
  color: "color",
  background_color: "background-color",
  padding: "padding",
  font_size: "font-size",
  line_height: "line-height",
  border_color: "border-color",
  borderColor: "border-color",
  border_width: "border-width",
  border_size: "border-width",
  border_radius: "border-radius",
  border_style: "border-style",
};
const ALIGNMENTS: { readonly [align: string]: string } = {
  left: "text-align:left",
  center: "text-align:center",
  right: "text-align:right",
  full: "text-align:justify",
};
const FLAGS: { readonly [field: string]: string } = {
  bold: "font-weight:700",
  italic: "font-style:italic",
  strikethrough: "text-decoration:line-through",
  underline: "text-decoration:underline",
};

/** Colours, lengths and names only: nothing that ends a declaration or fetches something. */
const HARMLESS = /^[#\w\s.,%()+-]{1,100}$/;

/** @returns the value if it may stand in a style attribute, with a unit for bare numbers where one is needed. */
export function safeCss(property: string, value: string): string | null {
  const trimmed = value.trim();
  if (!HARMLESS.test(trimmed) || /url|expression/i.test(trimmed)) return null;
  const bare = /^\d+(?:\.\d+)?$/.test(trimmed) && property !== "line-height" && !property.includes("color");
  return bare ? `${trimmed}px` : trimmed;
}

/** @returns the value if it may be a width attribute: pixels or a share. */
export function safeWidth(value: string): string | null {
  return /^\d{1,5}(?:\.\d+)?(?:px|%)?$/.test(value.trim()) ? value.trim().replace(/px$/, "") : null;
}

export function isSet(value: Json | undefined): boolean {
  return value === true || value === "true";
}

/** @param fields which style fields of the element count here. */
export function compileCss(element: JsonObject, fields: readonly string[]): Css {
  const fixed: string[] = [];
  const changing: { property: string; template: Template }[] = [];
  for (const field of fields) {
    const value = element[field];
    if (FLAGS[field] !== undefined) {
      if (isSet(value)) fixed.push(FLAGS[field]);
    } else if (field === "align") {
      if (typeof value === "string" && Object.hasOwn(ALIGNMENTS, value)) fixed.push(ALIGNMENTS[value] as string);
    } else if (typeof value === "string" || typeof value === "number") {
      const property = PROPERTIES[field] as string;
      const template = parseTemplate(String(value));
      if (template.literal === null) changing.push({ property, template });
      else {
        const safe = safeCss(property, template.literal);
        if (safe !== null) fixed.push(`${property}:${safe}`);
      }
    }
  }
  const bordered = fields.some((field) => field.startsWith("border_") && element[field] !== undefined);
  if (bordered && typeof element.border_style !== "string") fixed.push("border-style:solid");
  const all = fixed.join(";");
  if (changing.length === 0) return () => all;
  return (rendering) => {
    const declarations = [...fixed];
    for (const { property, template } of changing) {
      const safe = safeCss(property, rendering.print(template));
      if (safe !== null) declarations.push(`${property}:${safe}`);
    }
    return declarations.join(";");
  };
}
