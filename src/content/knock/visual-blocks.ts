/** The blocks that people lay a mail out with, as tables: what every mail client understands. */
import { isObject, type Json, type JsonObject } from "../../lib/json.ts";
import { safeCss, safeWidth } from "../elemental/css.ts";
import { safeHref, safeImage } from "../links.ts";
import type { Mode, TemplateContext } from "../liquid/context.ts";
import type { Steps } from "../liquid/drive.ts";
import { markdownHtml } from "../liquid/html/markdown.ts";
import { compile, partial, print, soleValue } from "../liquid/language.ts";
import { pathOf } from "../liquid/values.ts";
import { escapeHtml } from "../markdown/print-html.ts";
import { type Field, type Fields, failure, type MessageRendering, oneLine, readText, wrong } from "./message.ts";

/** A block that was read: HTML, or what prints some, seeing what blocks before it assigned. */
export type VisualBlock = string | PrintBlock;
type PrintBlock = (message: MessageRendering, context: TemplateContext) => Steps<string>;

const MAX_BLOCKS = 200;
const MAX_DEPTH = 5;
const DEFAULT_COLOR = "#000000";
const DEFAULT_CONTRAST = "#ffffff";

/** @throws Refusal("invalid") naming the block at fault. */
export function readBlocks(fields: Fields, name: string, depth = 0): readonly VisualBlock[] {
  if (depth > MAX_DEPTH) throw wrong(fields.path(name), `nested at most ${MAX_DEPTH} deep`);
  return fields.list(name, MAX_BLOCKS).map((block) => readBlock(block, depth));
}

export function* printBlocks(
  blocks: readonly VisualBlock[],
  message: MessageRendering,
  context: TemplateContext,
): Steps<string> {
  let html = "";
  for (const block of blocks) {
    html += typeof block === "string" ? block : yield* block(message, context);
    message.budget.text(html.length);
  }
  return html;
}

function readBlock(fields: Fields, depth: number): VisualBlock {
  const frame = frameOf(fields);
  switch (fields.value("type")) {
    case "markdown": {
      const content = fields.optional("content") ?? fields.required("content");
      return function* (message, context) {
        // A context of its own mode, with the names of the one around.
        const marked = context.inner(context.bottom(), { shares: true, mode: "marked" });
        const text = yield* message.print(content, marked);
        return frame(markdownHtml(text, message.session.values, message.budget));
      };
    }
    case "html": {
      const content = fields.optional("content") ?? fields.required("content");
      return function* (message, context) {
        return frame(yield* message.print(content, context));
      };
    }
    case "divider":
      return frame('<hr style="border:0;border-top:1px solid #d1d5db;margin:0">');
    case "image":
      return readImage(fields, frame);
    case "button_set":
      return readButtons(fields, frame);
    case "row":
      return readRow(fields, frame, depth);
    case "partial":
      return readPartial(fields, frame);
    default:
      throw wrong(fields.path("type"), "markdown, html, divider, image, button_set, row or partial");
  }
}

type Frame = (html: string) => string;

/** Paddings are pixels; whatever else is given is left out. */
function frameOf(fields: Fields): Frame {
  const layout = fields.within("layout_attrs");
  const padding = (["top", "right", "bottom", "left"] as const)
    .map((side) => `${pixels(layout.value(`padding_${side}`)) ?? (side === "top" || side === "bottom" ? 8 : 0)}px`)
    .join(" ");
  const align = layout.value("horizontal_align");
  const aligned = align === "center" || align === "right" || align === "left" ? ` align="${align}"` : "";
  return (html) =>
    `<table role="presentation" width="100%" cellpadding="0" cellspacing="0" border="0"><tr>` +
    `<td${aligned} style="padding:${padding}">${html}</td></tr></table>`;
}

function pixels(value: Json | undefined): number | null {
  return typeof value === "number" && value >= 0 && value <= 1_000 ? value : null;
}

function readImage(fields: Fields, frame: Frame): VisualBlock {
  const url = fields.required("url");
  const alt = fields.optional("alt");
  const action = fields.optional("action");
  const width = fields.within("style_attrs").optional("width");
  return function* (message) {
    const src = safeImage(yield* message.print(url, "plain"));
    if (src === null) return "";
    const said = escapeHtml(oneLine((yield* message.optional(alt, "plain")) ?? ""));
    const size = safeWidth((yield* message.optional(width, "plain")) ?? "");
    const sized = size === null ? "" : ` width="${size}"`;
    const image = `<img src="${escapeHtml(src)}" alt="${said}"${sized} style="max-width:100%;border:0;display:block">`;
    const href = action === null ? null : safeHref(yield* message.print(action, "plain"), "app");
    return frame(href === null ? image : `<a href="${escapeHtml(href)}">${image}</a>`);
  };
}

interface Button {
  readonly label: Field;
  readonly action: Field;
  readonly isOutline: boolean;
  readonly style: Fields;
  readonly size: Fields;
}

const SIZES: { readonly [size: string]: string } = {
  sm: "padding:6px 12px;font-size:14px",
  md: "padding:10px 18px;font-size:16px",
  lg: "padding:14px 24px;font-size:18px",
};

function readButtons(fields: Fields, frame: Frame): VisualBlock {
  const gap = pixels(fields.within("layout_attrs").value("column_gap")) ?? 8;
  const buttons = fields.list("buttons", 10).map((button): Button => {
    const variant = button.value("variant") ?? "solid";
    if (variant !== "solid" && variant !== "outline") throw wrong(button.path("variant"), "solid or outline");
    return {
      label: button.required("label"),
      action: button.required("action"),
      isOutline: variant === "outline",
      style: button.within("style_attrs"),
      size: button.within("size_attrs"),
    };
  });
  return function* (message) {
    const branding = message.rendering.scope.vars.branding ?? {};
    const cells: string[] = [];
    for (const button of buttons) {
      const href = safeHref(oneLine(yield* message.print(button.action, "plain")), "app");
      const label = escapeHtml(oneLine(yield* message.print(button.label, "plain")));
      if (href !== null) cells.push(anchor(label, href, button, branding));
    }
    if (cells.length === 0) return "";
    const row = cells.map((cell) => `<td style="padding-right:${gap}px">${cell}</td>`).join("");
    return frame(`<table role="presentation" cellpadding="0" cellspacing="0" border="0"><tr>${row}</tr></table>`);
  };
}

function anchor(label: string, href: string, { isOutline, style, size }: Button, branding: Json): string {
  const brand = colorOf(pathOf(branding, "primary_color")) ?? DEFAULT_COLOR;
  const contrast = colorOf(pathOf(branding, "primary_color_contrast")) ?? DEFAULT_CONTRAST;
  const css = [
    "display:inline-block;text-decoration:none;font-weight:600",
    size.value("is_fullwidth") === true ? "width:100%;box-sizing:border-box;text-align:center" : "",
    SIZES[String(size.value("size") ?? "md")] ?? SIZES.md,
    `background-color:${colorOf(style.value("background_color")) ?? (isOutline ? "transparent" : brand)}`,
    `color:${colorOf(style.value("text_color")) ?? (isOutline ? brand : contrast)}`,
    `border:${pixels(style.value("border_width")) ?? 1}px solid ${colorOf(style.value("border_color")) ?? brand}`,
    `border-radius:${pixels(style.value("border_radius")) ?? 4}px`,
  ];
  return `<a href="${escapeHtml(href)}" style="${css.filter((part) => part !== "").join(";")}">${label}</a>`;
}

function colorOf(value: unknown): string | null {
  return typeof value === "string" ? safeCss("color", value) : null;
}

/** Columns beside each other; of a row without columns, its blocks one below the other. */
function readRow(fields: Fields, frame: Frame, depth: number): VisualBlock {
  const columns = fields.list("columns", 6).map((column) => readBlocks(column, "blocks", depth + 1));
  const own = readBlocks(fields, "blocks", depth + 1);
  const all = own.length === 0 ? columns : [...columns, own];
  return function* (message, context) {
    const share = Math.floor(100 / Math.max(1, all.length));
    let cells = "";
    for (const blocks of all) {
      cells += `<td width="${share}%" valign="top">${yield* printBlocks(blocks, message, context)}</td>`;
    }
    const table = `<table role="presentation" width="100%" cellpadding="0" cellspacing="0" border="0"><tr>${cells}</tr></table>`;
    return cells === "" ? "" : frame(table);
  };
}

/** Attributes are texts with Liquid; one that is a single expression hands its list or object on as it is. */
function readPartial(fields: Fields, frame: Frame): VisualBlock {
  const key = fields.value("key");
  if (typeof key !== "string" || key === "") throw wrong(fields.path("key"), "the key of a partial");
  const attrs = fields.value("attrs") ?? {};
  if (!isObject(attrs)) throw wrong(fields.path("attrs"), "an object");
  for (const [name, value] of Object.entries(attrs)) {
    if (typeof value === "string") readText(value, fields.path(`attrs.${name}`));
  }
  return function* (_message, context) {
    try {
      const names = yield* attributes(attrs, context);
      return frame(yield* partial(key, names, context));
    } catch (error) {
      throw failure(error, fields.path("key"));
    }
  };
}

function* attributes(attrs: JsonObject, context: TemplateContext): Steps<object> {
  const names: Record<string, unknown> = Object.create(null);
  const inner = context.inner(context.bottom(), { shares: true, mode: "plain" satisfies Mode });
  for (const [name, value] of Object.entries(attrs)) {
    if (typeof value !== "string") {
      names[name] = value;
      continue;
    }
    const sole = yield* soleValue(compile(value), inner);
    names[name] = typeof sole === "object" && sole !== null ? sole : yield* print(compile(value), inner);
  }
  return names;
}
