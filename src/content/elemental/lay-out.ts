/** Content as lines of text, with what channels want apart from it: actions, pictures, the pieces in order. */
import type { Channel, RenderedAction } from "../../engine/model.ts";
import { type Links, safeImage } from "../links.ts";
import {
  bulleted,
  type Dialect,
  MARKDOWN,
  PLAIN_TEXT,
  PUSH_TEXT,
  printText,
  quoted,
  SLACK,
  UNQUOTED_TEXT,
} from "../markdown/print-text.ts";
import { safeCss } from "./css.ts";
import type { Item, Piece } from "./select.ts";

/** How a channel wants its text. */
export interface Manner {
  readonly dialect: Dialect;
  /** Whether an action is also a line of the text; else it is only in `actions`. */
  readonly actionLines: boolean;
  readonly title: boolean;
  /** What `blocks` says of a picture: its address where it will be shown, else its description. */
  readonly pictures: "address" | "description";
}

const MARKDOWN_CHATS: ReadonlySet<string> = new Set(["discord", "msteams", "ms_teams", "microsoft-teams", "teams"]);

export function mannerOf(channel: Channel, provider: string): Manner {
  switch (channel) {
    case "inbox":
      return { dialect: UNQUOTED_TEXT, actionLines: false, title: true, pictures: "description" };
    case "push":
      return { dialect: PUSH_TEXT, actionLines: false, title: true, pictures: "description" };
    case "webhook":
      return { dialect: UNQUOTED_TEXT, actionLines: true, title: true, pictures: "description" };
    case "chat": {
      const dialect = MARKDOWN_CHATS.has(provider) ? MARKDOWN : SLACK;
      return { dialect, actionLines: true, title: false, pictures: "address" };
    }
    case "sms":
      return { dialect: PLAIN_TEXT, actionLines: true, title: false, pictures: "description" };
    case "email":
      return { dialect: PLAIN_TEXT, actionLines: true, title: true, pictures: "description" };
  }
}

export interface LaidOut {
  readonly text: string;
  readonly imageUrl: string | null;
  readonly clickUrl: string | null;
  readonly actions: readonly RenderedAction[];
  readonly blocks: readonly { readonly type: string; readonly text: string }[];
}

export function layOut(pieces: readonly Piece[], manner: Manner, links: Links): LaidOut {
  const layout = new Layout(manner, links);
  const lines = layout.lines(pieces, layout.blocks);
  return {
    text: withoutOuterLines(lines.join("\n")),
    imageUrl: layout.imageUrl,
    clickUrl: layout.actions.find((action) => action.href !== "")?.href ?? null,
    actions: layout.actions,
    blocks: layout.blocks,
  };
}

type Blocks = { type: string; text: string }[];

class Layout {
  readonly actions: RenderedAction[] = [];
  readonly blocks: Blocks = [];
  imageUrl: string | null = null;
  readonly #manner: Manner;
  readonly #links: Links;

  constructor(manner: Manner, links: Links) {
    this.#manner = manner;
    this.#links = links;
  }

  /** @param blocks gets the pieces that stand on their own; null inside a list, which is one piece. */
  lines(pieces: readonly Piece[], blocks: Blocks | null): string[] {
    const lines: string[] = [];
    for (const piece of pieces) this.#add(piece, lines, blocks);
    return lines;
  }

  #add(piece: Piece, lines: string[], blocks: Blocks | null): void {
    const { dialect } = this.#manner;
    switch (piece.type) {
      case "text":
      case "quote": {
        let text = printText(piece.text.blocks, piece.text.values, this.#links, dialect);
        if (piece.style !== "p" && text !== "") text = dialect.heading(text);
        blocks?.push({ type: piece.type, text });
        lines.push(piece.type === "quote" ? quoted(text, dialect) : text);
        return;
      }
      case "action": {
        const href = this.#links.target(piece.href, "app") ?? "";
        const color = piece.backgroundColor === null ? null : safeCss("color", piece.backgroundColor);
        const { label, actionId, style } = piece;
        this.actions.push({ content: label, href, actionId, style, backgroundColor: color });
        blocks?.push({ type: "action", text: label });
        if (this.#manner.actionLines) lines.push(actionLine(dialect.escape(label, true), href, dialect));
        return;
      }
      case "image": {
        const src = safeImage(piece.src);
        if (src === null) return;
        this.imageUrl ??= src;
        blocks?.push({ type: "image", text: this.#manner.pictures === "address" ? src : piece.alt });
        return;
      }
      case "divider":
        blocks?.push({ type: "divider", text: "" });
        if (this.#manner.actionLines) lines.push("");
        return;
      case "html":
        blocks?.push({ type: "html", text: piece.html });
        return;
      case "columns":
        for (const column of piece.columns) for (const inner of column.pieces) this.#add(inner, lines, blocks);
        return;
      case "list": {
        const text = piece.items
          .map((item, i) => bulleted(this.#item(item), dialect, piece.ordered ? i + 1 : null))
          .join("\n");
        blocks?.push({ type: "list", text });
        if (text !== "") lines.push(text);
        return;
      }
    }
  }

  #item(item: Item): string {
    const text =
      item.text === null ? [] : [printText(item.text.blocks, item.text.values, this.#links, this.#manner.dialect)];
    return [...text, ...this.lines(item.pieces, null)].join("\n");
  }
}

function actionLine(label: string, href: string, dialect: Dialect): string {
  if (href === "" || label === "") return label || href;
  return dialect === SLACK || dialect === MARKDOWN ? dialect.link(label, href, href) : `${label}: ${href}`;
}

/** Without the empty lines that dividers leave at the ends. */
function withoutOuterLines(text: string): string {
  let start = 0;
  let end = text.length;
  while (text[start] === "\n") start++;
  while (end > start && text[end - 1] === "\n") end--;
  return text.slice(start, end);
}
