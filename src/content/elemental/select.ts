/**
 * What of a document one reader gets on one channel: elements filtered, repeated, translated and filled, with nothing
 * left to decide. What it looks like is up to lay-out.ts and email.ts.
 */
import type { Json } from "../../lib/json.ts";
import type { Rendering } from "../handlebars/evaluate.ts";
import type { Template } from "../handlebars/parse.ts";
import type { Localized } from "../locale.ts";
import type { FilledText, RichText } from "../rich-text.ts";
import type { CompiledDocument, Content, Node, TextStyle } from "./compile.ts";
import { writeHtml } from "./raw.ts";

export type Piece =
  | {
      readonly type: "text" | "quote";
      readonly text: FilledText;
      readonly style: TextStyle;
      readonly css: string;
      readonly borderColor: string;
    }
  | {
      readonly type: "action";
      readonly label: string;
      /** As written; whether it may become a link is asked when it is printed. */
      readonly href: string;
      readonly actionId: string | null;
      readonly style: "button" | "link";
      readonly backgroundColor: string | null;
      readonly css: string;
      readonly align: string;
      readonly tracked: boolean;
    }
  | {
      readonly type: "image";
      readonly src: string;
      readonly href: string;
      readonly alt: string;
      readonly width: string;
      readonly align: string;
      readonly tracked: boolean;
    }
  | { readonly type: "divider"; readonly color: string; readonly width: string }
  | { readonly type: "html"; readonly html: string }
  | { readonly type: "columns"; readonly columns: readonly Column[] }
  | { readonly type: "list"; readonly ordered: boolean; readonly css: string; readonly items: readonly Item[] };

export interface Column {
  readonly width: string;
  readonly css: string;
  readonly pieces: readonly Piece[];
}

export interface Item {
  readonly text: FilledText | null;
  readonly css: string;
  readonly pieces: readonly Piece[];
}

export interface Selection {
  readonly title: string | null;
  readonly pieces: readonly Piece[];
  readonly raw: (Content & { readonly kind: "raw" }) | null;
}

/**
 * @returns null when the document has nothing for the channel of this rendering.
 * @throws RenderError
 */
export function select(document: CompiledDocument, rendering: Rendering): Selection | null {
  const selector = new Selector(rendering);
  const pieces = selector.pieces(document.nodes);
  if (document.channels === null) return { title: selector.title, pieces, raw: null };
  // The title beside the channel elements serves those that bring none.
  const outer = selector.title;
  selector.title = null;
  const channel = [...rendering.names, "default"]
    .map((name) => document.channels?.find((candidate) => candidate.name === name))
    .find((candidate) => candidate !== undefined);
  if (channel === undefined || !selector.shows(channel)) return null;
  const content = rendering.pick(channel.content);
  if (content?.kind === "raw") return { title: outer, pieces: [], raw: content };
  const inner = selector.pieces(content?.nodes ?? []);
  return { title: selector.title ?? outer, pieces: inner, raw: null };
}

class Selector {
  title: string | null = null;
  readonly #rendering: Rendering;

  constructor(rendering: Rendering) {
    this.#rendering = rendering;
  }

  pieces(nodes: readonly Node[]): Piece[] {
    const pieces: Piece[] = [];
    for (const node of nodes) this.#each(node, () => this.#add(node, pieces));
    return pieces;
  }

  /** Whether an element that stands once is shown; tells the later ones. */
  shows(node: Pick<Node, "channels" | "condition" | "ref" | "published">): boolean {
    const visible =
      (node.channels === null || this.#rendering.isFor(node.channels)) &&
      (node.condition === null || node.condition(this.#rendering));
    this.#publish(node, visible);
    return visible;
  }

  #publish(node: Pick<Node, "ref" | "published">, visible: boolean): void {
    if (node.ref !== null) this.#rendering.refs.set(node.ref, { ...node.published, visible });
  }

  /** Calls `add` as often as the node stands here, with the names of its loop in force. */
  #each(node: Node, add: () => void): void {
    this.#rendering.step();
    if (node.loop === null) {
      if (this.shows(node)) add();
      return;
    }
    let visible = false;
    if (node.channels === null || this.#rendering.isFor(node.channels)) {
      node.loop(this.#rendering).forEach((item: Json, index) => {
        this.#rendering.step();
        this.#rendering.within({ item, index }, () => {
          if (node.condition !== null && !node.condition(this.#rendering)) return;
          visible = true;
          add();
        });
      });
    }
    this.#publish(node, visible);
  }

  #print(template: Template | null): string {
    return template === null ? "" : this.#rendering.print(template);
  }

  #localized(localized: Localized<Template>): string {
    return this.#print(this.#rendering.pick(localized));
  }

  #text(localized: Localized<RichText>): FilledText | null {
    return this.#rendering.pick(localized)?.fill(this.#rendering) ?? null;
  }

  #add(node: Node, to: Piece[]): void {
    const rendering = this.#rendering;
    switch (node.type) {
      case "meta":
        if (this.title === null && rendering.pick(node.title) !== null) this.title = this.#localized(node.title);
        return;
      case "group":
        for (const child of node.children) this.#each(child, () => this.#add(child, to));
        return;
      case "text":
      case "quote": {
        const text = this.#text(node.text);
        if (text === null) return;
        const { type, style } = node;
        to.push({ type, text, style, css: this.#css(node.css), borderColor: this.#css(node.borderColor) });
        return;
      }
      case "action":
        to.push({
          type: "action",
          label: this.#localized(node.label),
          href: this.#localized(node.href),
          actionId: node.actionId === null ? null : this.#print(node.actionId),
          style: node.style,
          backgroundColor: node.backgroundColor === null ? null : this.#print(node.backgroundColor),
          css: this.#css(node.css),
          align: this.#css(node.align),
          tracked: node.tracked,
        });
        return;
      case "image":
        to.push({
          type: "image",
          src: this.#localized(node.src),
          href: this.#localized(node.href),
          alt: this.#print(node.alt),
          width: this.#print(node.width),
          align: this.#css(node.align),
          tracked: node.tracked,
        });
        return;
      case "divider":
        to.push({ type: "divider", color: this.#css(node.color), width: this.#css(node.width) });
        return;
      case "html": {
        const content = rendering.channel === "email" ? rendering.pick(node.content) : null;
        if (content !== null) to.push({ type: "html", html: rendering.print(content, writeHtml) });
        return;
      }
      case "columns": {
        const columns: Column[] = [];
        for (const column of node.columns) {
          this.#each(column, () => {
            if (column.type !== "column") return;
            const pieces = this.pieces(column.children);
            columns.push({ width: this.#print(column.width), css: this.#css(column.css), pieces });
          });
        }
        to.push({ type: "columns", columns });
        return;
      }
      case "list": {
        const items: Item[] = [];
        for (const item of node.items) {
          this.#each(item, () => {
            if (item.type !== "list-item") return;
            const text = this.#text(item.text);
            items.push({ text, css: this.#css(item.css), pieces: this.pieces(item.children) });
          });
        }
        to.push({ type: "list", ordered: node.ordered, css: this.#css(node.css), items });
        return;
      }
      default:
        // Columns and items are added by what they stand in.
        return;
    }
  }

  /** Styles are printed in mails only. */
  #css(css: (rendering: Rendering) => string): string {
    return this.#rendering.channel === "email" ? css(this.#rendering) : "";
  }
}
