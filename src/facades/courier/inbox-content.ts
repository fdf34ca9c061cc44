/**
 * How the content of an item reads here. Other facades know messages without a title, which this one's clients call
 * "Untitled", and messages that lead somewhere as a whole, where these clients know only buttons. What was sent through
 * this facade is shown as it was written.
 */
import type { InboxItem, Rendered, RenderedAction } from "../../engine/model.ts";

const OWN = "courier";
/** Of the button for where a message leads as a whole. */
const OPEN = "Open";
/** As much of a line as is taken for a title; one without a blank is cut off there, and stands in the preview again. */
const LONGEST_TITLE = 200;
/** Schemes that a page may be led to. Anything else could run in it. */
const RUNS = /^(?:javascript|vbscript|data):/i;

export interface ShownContent {
  readonly title: string;
  readonly preview: string;
}

/** A message without a title begins with it: the first line that says something, and the rest below. */
export function shownContent({ content, via, origin }: Pick<InboxItem, "content" | "via" | "origin">): ShownContent {
  const { title, body } = content;
  if (title !== "" || (via === OWN && origin === undefined)) return { title, preview: body };
  const text = body.trimStart();
  const end = text.indexOf("\n");
  const line = (end < 0 ? text : text.slice(0, end)).trimEnd();
  const rest = end < 0 ? "" : text.slice(end + 1).trim();
  return line.length <= LONGEST_TITLE ? { title: line, preview: rest } : { title: beginningOf(line), preview: text };
}

function beginningOf(line: string): string {
  const cut = line.slice(0, LONGEST_TITLE);
  const blank = cut.lastIndexOf(" ");
  return `${(blank > LONGEST_TITLE / 2 ? cut.slice(0, blank) : cut).toWellFormed().replace(/\ufffd$/, "")}…`;
}

/** The buttons, and where the message leads as a whole if none of them leads there. Tracking ids count by place in it. */
export function shownActions({ actions, clickUrl }: Pick<Rendered, "actions" | "clickUrl">): readonly RenderedAction[] {
  if (clickUrl === null || clickUrl === "" || actions.some(({ href }) => href === clickUrl)) return actions;
  // Browsers leave out control characters before they look at the scheme.
  if (RUNS.test(clickUrl.replace(/[\p{Cc}\p{Cf} ]/gu, ""))) return actions;
  return [...actions, { content: OPEN, href: clickUrl, actionId: null, style: "link", backgroundColor: null }];
}
