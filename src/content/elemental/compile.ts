/** A checked document as nodes in which every text, condition and style has been read. */
import type { JsonObject } from "../../lib/json.ts";
import { parseTemplate, type Template } from "../handlebars/parse.ts";
import { type Localized, normalLocale } from "../locale.ts";
import type { Block, Inline, Piece } from "../markdown/parse.ts";
import { markdownText, type RichText } from "../rich-text.ts";
import { type Condition, compileCondition, compileLoop, type Loop } from "./condition.ts";
import { type Css, compileCss, isSet, safeCss, safeWidth } from "./css.ts";
import type { Element } from "./document.ts";
import { compileRaw, type Raw } from "./raw.ts";

export type TextStyle = "p" | "h1" | "h2" | "h3";

interface Common {
  /** Names of channels and providers it is for; null for all. */
  readonly channels: readonly string[] | null;
  readonly condition: Condition | null;
  readonly loop: Loop | null;
  readonly ref: string | null;
  /** What `refs.<ref>` tells beside `visible`. */
  readonly published: JsonObject;
}

export type Node = Common &
  (
    | { readonly type: "meta"; readonly title: Localized<Template> }
    | {
        readonly type: "text" | "quote";
        readonly text: Localized<RichText>;
        readonly style: TextStyle;
        readonly css: Css;
        readonly borderColor: Css;
      }
    | {
        readonly type: "action";
        readonly label: Localized<Template>;
        readonly href: Localized<Template>;
        readonly actionId: Template | null;
        readonly style: "button" | "link";
        readonly backgroundColor: Template | null;
        readonly css: Css;
        readonly align: Css;
        readonly tracked: boolean;
      }
    | {
        readonly type: "image";
        readonly src: Localized<Template>;
        readonly href: Localized<Template>;
        readonly alt: Template | null;
        readonly width: Template | null;
        readonly align: Css;
        readonly tracked: boolean;
      }
    | { readonly type: "divider"; readonly color: Css; readonly width: Css }
    | { readonly type: "html"; readonly content: Localized<Template> }
    | { readonly type: "group"; readonly children: readonly Node[] }
    | { readonly type: "columns"; readonly columns: readonly Node[] }
    | {
        readonly type: "column";
        readonly width: Template | null;
        readonly css: Css;
        readonly children: readonly Node[];
      }
    | { readonly type: "list"; readonly ordered: boolean; readonly css: Css; readonly items: readonly Node[] }
    | {
        readonly type: "list-item";
        readonly text: Localized<RichText>;
        readonly css: Css;
        readonly children: readonly Node[];
      }
  );

export interface ChannelNode extends Common {
  readonly name: string;
  readonly content: Localized<Content>;
}

/** What a channel element holds. */
export type Content =
  | { readonly kind: "nodes"; readonly nodes: readonly Node[] }
  | { readonly kind: "raw"; readonly raw: Raw };

export interface CompiledDocument {
  /** Everything outside channel elements; beside those, only `meta`. */
  readonly nodes: readonly Node[];
  readonly channels: readonly ChannelNode[] | null;
  /** True when nothing in it depends on who reads it, styles aside. */
  readonly constant: boolean;
  readonly localized: boolean;
}

const TEXT_STYLES: ReadonlyMap<unknown, TextStyle> = new Map([
  ["h1", "h1"],
  ["h2", "h2"],
  ["h3", "h3"],
]);
const BOX = ["color", "background_color", "padding", "font_size", "line_height"];
const BORDER = ["border_color", "border_width", "border_size", "border_radius", "border_style"];
const FLAGS = ["bold", "italic", "strikethrough", "underline"];

/** The elements come from `validateElemental`. */
export function compileDocument(elements: readonly Element[]): CompiledDocument {
  const compiler = new Compiler();
  const channels = elements.filter((element) => element.type === "channel");
  const nodes = compiler.nodes(elements.filter((element) => element.type !== "channel"));
  return {
    nodes,
    channels: channels.length === 0 ? null : channels.map((element) => compiler.channel(element)),
    constant: compiler.constant,
    localized: compiler.localized,
  };
}

class Compiler {
  constant = true;
  localized = false;

  nodes(elements: unknown): readonly Node[] {
    if (!Array.isArray(elements)) return [];
    return (elements as readonly Element[]).flatMap((element) => {
      const node = this.#node(element);
      return node === null ? [] : [node];
    });
  }

  channel(element: Element): ChannelNode {
    const content = this.#localized(element, (fields): Content | null => {
      if (fields.raw !== undefined && fields.raw !== null) {
        const raw = compileRaw(fields.raw as JsonObject);
        if (!raw.constant) this.constant = false;
        return { kind: "raw", raw };
      }
      return Array.isArray(fields.elements) ? { kind: "nodes", nodes: this.nodes(fields.elements) } : null;
    });
    const base: Content = content.base ?? { kind: "nodes", nodes: [] };
    return { ...this.#common(element), name: element.channel as string, content: { ...content, base } };
  }

  #common(element: Element): Common {
    const condition = compileCondition(element.if);
    const loop = compileLoop(element.loop);
    if (condition !== null || loop !== null) this.constant = false;
    const ref = typeof element.ref === "string" && element.ref !== "" ? element.ref : null;
    const { elements: _, locales: __, ...published } = element;
    return {
      channels: Array.isArray(element.channels) ? (element.channels as readonly string[]) : null,
      condition,
      loop,
      ref,
      published: ref === null ? {} : published,
    };
  }

  #node(element: Element): Node | null {
    const common = this.#common(element);
    const css = (...fields: string[]): Css => compileCss(element, fields);
    switch (element.type) {
      case "meta":
        return { ...common, type: "meta", title: this.#templates(element, "title") };
      case "text":
      case "quote":
        return {
          ...common,
          type: element.type,
          text: this.#richText(element),
          style: TEXT_STYLES.get(element.text_style) ?? "p",
          css: css("align", ...BOX, ...(element.type === "text" ? BORDER : []), ...FLAGS),
          borderColor: css("border_color", "borderColor"),
        };
      case "action":
        return {
          ...common,
          type: "action",
          label: this.#templates(element, "content"),
          href: this.#templates(element, "href"),
          actionId: this.#template(element.action_id),
          style: element.style === "link" ? "link" : "button",
          backgroundColor: this.#template(element.background_color),
          css: css(...BOX.filter((field) => field !== "background_color"), ...BORDER),
          align: css("align"),
          tracked: !isSet(element.disable_tracking),
        };
      case "image":
        return {
          ...common,
          type: "image",
          src: this.#templates(element, "src"),
          href: this.#templates(element, "href"),
          alt: this.#template(element.alt_text ?? element.altText),
          width: this.#template(element.width),
          align: css("align"),
          tracked: !isSet(element.disable_tracking),
        };
      case "divider":
        return { ...common, type: "divider", color: css("color"), width: css("border_width", "border_size") };
      case "html":
        return { ...common, type: "html", content: this.#templates(element, "content") };
      case "group":
        return { ...common, type: "group", children: this.nodes(element.elements) };
      case "columns":
        return { ...common, type: "columns", columns: this.nodes(element.elements) };
      case "column":
        return {
          ...common,
          type: "column",
          width: this.#template(element.width),
          css: css(...BOX, ...BORDER),
          children: this.nodes(element.elements),
        };
      case "list":
        return {
          ...common,
          type: "list",
          ordered: element.list_type === "ordered",
          css: css("align", ...BOX),
          items: this.nodes(element.elements),
        };
      case "list-item":
        return {
          ...common,
          type: "list-item",
          text: this.#richText(element),
          css: css(...BOX, ...FLAGS),
          children: this.nodes(element.elements),
        };
      default:
        // Comments, and the pieces inside texts, which `#structured` has read.
        return null;
    }
  }

  #template(value: unknown): Template | null {
    if (typeof value !== "string" && typeof value !== "number") return null;
    const template = parseTemplate(String(value));
    if (template.literal === null) this.constant = false;
    return template;
  }

  #templates(element: Element, field: string): Localized<Template> {
    return this.#localized(element, (fields) => this.#template(fields[field]));
  }

  #localized<T>(element: Element, read: (fields: JsonObject) => T | null): Localized<T> {
    const base = read(element);
    if (typeof element.locales !== "object" || element.locales === null) return { base, byLocale: null };
    const byLocale = new Map<string, T>();
    for (const [locale, fields] of Object.entries(element.locales as JsonObject)) {
      const value = read(fields as JsonObject);
      if (value !== null) byLocale.set(normalLocale(locale), value);
    }
    if (byLocale.size > 0) this.localized = true;
    return { base, byLocale: byLocale.size > 0 ? byLocale : null };
  }

  #richText(element: Element): Localized<RichText> {
    return this.#localized(element, (fields) => {
      const text =
        typeof fields.content === "string"
          ? markdownText(fields.content)
          : Array.isArray(fields.elements)
            ? this.#structured(fields.elements as unknown as readonly Element[])
            : null;
      if (text !== null && !text.constant) this.constant = false;
      return text;
    });
  }

  /** Text given as pieces, each with its own emphasis: what markdown would say, without its signs. */
  #structured(elements: readonly Element[]): RichText | null {
    const pieces = elements.filter((e) => e.type === "string" || e.type === "link" || e.type === "img");
    if (pieces.length === 0) return null;
    const compiled = pieces.map((element) => ({ element, ...this.#inlinePiece(element) }));
    const constant = compiled.every((p) => p.templates.every((t) => t.base?.literal !== null && t.byLocale === null));
    return {
      constant,
      fill: (rendering) => {
        const values: string[] = [];
        const children = compiled.flatMap(({ condition, templates, build, channels }): Inline[] => {
          if (channels !== null && !rendering.isFor(channels)) return [];
          if (condition !== null && !condition(rendering)) return [];
          const numbers = templates.map((localized): Piece => {
            const template = rendering.pick(localized);
            return values.push(template === null ? "" : rendering.print(template)) - 1;
          });
          return [build(numbers)];
        });
        const blocks: Block[] = [{ kind: "paragraph", children }];
        return { blocks, values };
      },
    };
  }

  #inlinePiece(element: Element): {
    readonly condition: Condition | null;
    readonly channels: readonly string[] | null;
    readonly templates: readonly Localized<Template>[];
    readonly build: (values: readonly Piece[]) => Inline;
  } {
    const { condition, channels } = this.#common(element);
    if (channels !== null) this.constant = false;
    const emphasis = (children: readonly Inline[]): Inline => emphasized(element, children);
    const tracked = !isSet(element.disable_tracking);
    if (element.type === "img") {
      const alt = { base: this.#template(element.alt_text ?? element.altText ?? ""), byLocale: null };
      const templates = [this.#templates(element, "src"), alt, this.#templates(element, "href")];
      const width = safeWidth(String(element.width ?? ""));
      const hasHref = typeof element.href === "string";
      const build = ([src, text, href]: readonly Piece[]): Inline => {
        const image: Inline = { kind: "image", src: [src as Piece], alt: [text as Piece], width };
        return hasHref ? { kind: "link", href: [href as Piece], tracked, children: [image] } : image;
      };
      return { condition, channels, templates, build };
    }
    const label = this.#templates(element, "content");
    if (element.type === "string") {
      const build = ([text]: readonly Piece[]): Inline => emphasis([{ kind: "text", pieces: [text as Piece] }]);
      return { condition, channels, templates: [label], build };
    }
    const build = ([text, href]: readonly Piece[]): Inline => {
      const children: Inline[] = [{ kind: "text", pieces: [text as Piece] }];
      return emphasis([{ kind: "link", href: [href as Piece], tracked, children }]);
    };
    return { condition, channels, templates: [label, this.#templates(element, "href")], build };
  }
}

const INLINE_FLAGS = [
  ["bold", "strong"],
  ["italic", "emphasis"],
  ["strikethrough", "strike"],
  ["underline", "underline"],
] as const;

function emphasized(element: Element, children: readonly Inline[]): Inline {
  let inner = children;
  for (const [flag, kind] of INLINE_FLAGS) if (isSet(element[flag])) inner = [{ kind, children: inner }];
  const color = typeof element.color === "string" ? safeCss("color", element.color) : null;
  const only = inner.length === 1 ? (inner[0] as Inline) : null;
  if (color === null && only !== null) return only;
  return { kind: "color", color: color ?? "inherit", children: inner };
}
