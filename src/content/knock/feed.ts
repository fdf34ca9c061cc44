/** In-app messages: markdown for a feed, where it is shown as HTML in somebody else's page. */
import { NO_CONTENT, type Rendered, type RenderedAction } from "../../engine/model.ts";
import type { JsonObject } from "../../lib/json.ts";
import { safeHref } from "../links.ts";
import type { Steps } from "../liquid/drive.ts";
import { markdownText, readMarked, safeMarkdownHtml } from "../liquid/html/markdown.ts";
import { decodeHtml } from "../liquid/html/scan.ts";
import { Fields, type MessageRendering, type MessageTemplate, oneLine } from "./message.ts";
import { trackLinks } from "./track-links.ts";

/** By place; the first is the one that stands out. */
const BUTTONS = ["primary", "secondary"] as const;

export function readFeedTemplate(template: JsonObject): MessageTemplate {
  const fields = new Fields(template);
  const body = fields.required("markdown_body");
  const actionUrl = fields.optional("action_url");
  const buttons = fields.list("action_buttons", BUTTONS.length).map((button) => ({
    label: button.required("label"),
    action: button.required("action"),
  }));

  return function* (message): Steps<Rendered> {
    const { rendering, budget, session } = message;
    const marked = yield* message.print(body, "marked");
    const read = readMarked(marked, session.values, budget);
    const links: string[] = [];
    const html = trackLinks(safeMarkdownHtml(read, session.values), rendering.trackLink, links);
    budget.text(html.length);

    const { blocks } = read;
    const [first] = blocks;
    const title = first?.kind === "heading" ? markdownText([first], session.values) : "";
    // What says nothing in plain text, as a picture, leaves its place empty.
    const text = markdownText(title === "" ? blocks : blocks.slice(1), session.values)
      .trimEnd()
      .replace(/^\n+/, "");

    const feed: JsonObject[] = [{ name: "body", type: "markdown", content: body.text.source, rendered: html }];
    const clickUrl = actionUrl === null ? null : yield* address(message, actionUrl);
    if (actionUrl !== null && clickUrl !== null) {
      feed.push({ name: "action_url", type: "text", content: actionUrl.text.source, rendered: clickUrl });
    }
    const actions: RenderedAction[] = [];
    const shown: JsonObject[] = [];
    for (const [i, button] of buttons.entries()) {
      const href = yield* address(message, button.action);
      const label = oneLine(yield* message.print(button.label, "plain"));
      // A button that leads nowhere is left out; the one behind it takes its place.
      if (href === null || label === "") continue;
      shown.push({ name: BUTTONS[shown.length] ?? `button_${i}`, label, action: href });
      actions.push({ content: label, href, actionId: null, style: "button", backgroundColor: null });
    }
    if (shown.length > 0) feed.push({ name: "actions", type: "button_set", buttons: shown });
    const imageUrl = firstImage(html);
    return {
      ...NO_CONTENT,
      title: oneLine(title),
      text,
      body: text,
      imageUrl,
      clickUrl,
      actions,
      links,
      raw: { feed },
    };
  };
}

/** For those who show one picture beside the text: an address of the web. @param html sanitized, so that its quotes are. */
function firstImage(html: string): string | null {
  for (const [, src = ""] of html.matchAll(/<img [^>]*?\bsrc="([^"]*)"/g)) {
    const address = decodeHtml(src);
    if (/^https?:/i.test(address)) return address;
  }
  return null;
}

/** Where a click leads: into the web, the app, or the site itself. The page goes there without asking. */
function* address(message: MessageRendering, field: Parameters<MessageRendering["print"]>[0]): Steps<string | null> {
  return safeHref(oneLine(yield* message.print(field, "plain")), "app");
}
