/** Mails: HTML the author wrote or blocks that make some, inside a layout, with a text beside it. */
import { NO_CONTENT, type Rendered } from "../../engine/model.ts";
import { RenderError } from "../../engine/ports.ts";
import { Refusal } from "../../engine/refusal.ts";
import { isObject, type Json, type JsonObject } from "../../lib/json.ts";
import { withPixel } from "../elemental/email.ts";
import { safeHref } from "../links.ts";
import { lookUp } from "../liquid/context.ts";
import type { Steps } from "../liquid/drive.ts";
import { htmlTextWithLinks } from "../liquid/html/text.ts";
import { compile } from "../liquid/language.ts";
import { Markup, PrintableList, pathOf } from "../liquid/values.ts";
import { escapeHtml } from "../markdown/print-html.ts";
import { type Field, Fields, failure, type MessageRendering, type MessageTemplate, oneLine } from "./message.ts";
import { trackLinks } from "./track-links.ts";
import { printBlocks, readBlocks, type VisualBlock } from "./visual-blocks.ts";

const DEFAULT_ATTACHMENTS = "attachments";
const FONT = "font-family:-apple-system,BlinkMacSystemFont,'Segoe UI',Roboto,Helvetica,Arial,sans-serif";

interface EmailTemplate {
  readonly subject: Field;
  readonly html: Field | null;
  readonly blocks: readonly VisualBlock[] | null;
  readonly text: Field | null;
  readonly layoutKey: string | null;
  readonly before: Field | null;
  readonly attachments: string;
}

export function readEmailTemplate(template: JsonObject): MessageTemplate {
  const read = readFields(new Fields(template));
  return (message) => renderEmail(read, message);
}

function readFields(fields: Fields): EmailTemplate {
  if (fields.value("is_mjml") === true) {
    throw new Refusal("invalid", "MJML is not supported: write HTML", { field: fields.path("is_mjml") });
  }
  const subject = fields.required("subject");
  const hasBlocks = fields.value("visual_blocks") !== undefined;
  const html = hasBlocks ? null : fields.required("html_body");
  if (hasBlocks && fields.value("html_body")) {
    throw new Refusal("invalid", "a mail has either html_body or visual_blocks", { field: fields.path("html_body") });
  }
  const settings = fields.within("settings");
  const layoutKey = settings.optional("layout_key")?.text.source ?? "";
  return {
    subject,
    html,
    blocks: hasBlocks ? readBlocks(fields, "visual_blocks") : null,
    text: fields.optional("text_body"),
    layoutKey: layoutKey === "" ? null : layoutKey,
    before: settings.optional("pre_content"),
    attachments: settings.optional("attachment_key")?.text.source || DEFAULT_ATTACHMENTS,
  };
}

function* renderEmail(template: EmailTemplate, message: MessageRendering): Steps<Rendered> {
  const { rendering, budget } = message;
  const subject = oneLine(yield* message.print(template.subject, "plain"));
  // Body and layout share a context: what comes before the body may set what the layout shows.
  const context = message.context("html");
  const before = template.before === null ? "" : yield* message.print(template.before, context);
  const body =
    template.blocks === null
      ? yield* message.print(template.html as Field, context)
      : yield* printBlocks(template.blocks, message, context);
  const layout = template.layoutKey === null ? null : yield* layoutOf(template.layoutKey, message);
  const written = template.text === null ? null : yield* message.print(template.text, "plain");
  const content = written ?? htmlTextWithLinks(body);

  let page = before + body;
  let text = content;
  if (layout !== null) {
    Object.assign(context.bottom(), { content: new Markup("html", page), footer_links: layout.footerLinks });
    page = yield* message.print(layout.html, context);
    const plain = message.context("plain");
    Object.assign(plain.bottom(), { content, footer_links: layout.footerLinks });
    if (layout.text.text.source.trim() !== "") text = yield* message.print(layout.text, plain);
  } else if (template.blocks !== null) page = plainPage(page, subject);

  const links: string[] = [];
  const html = withPixel(trackLinks(page, rendering.trackLink, links), rendering.openPixel);
  budget.text(html.length);
  const attachments = attachmentsOf(rendering.scope.data, template.attachments);
  const raw = attachments.length === 0 ? null : { attachments };
  return { ...NO_CONTENT, subject, html, text, body: text, links, raw };
}

interface Layout {
  readonly html: Field;
  readonly text: Field;
  readonly footerLinks: PrintableList;
}

function* layoutOf(key: string, message: MessageRendering): Steps<Layout> {
  const name = `layout "${key.slice(0, 100)}"`;
  const found = yield* lookUp(message.session, JSON.stringify(["layout", key]), (sources) => sources.layout(key));
  if (found === null) throw new RenderError(`there is no ${name}`);
  try {
    const footerLinks = PrintableList.from(found.footerLinks) as PrintableList;
    footerLinks.html = found.footerLinks.map(footerLink).join(" · ");
    return {
      html: { name, text: compile(found.html) },
      text: { name: `${name} (text)`, text: compile(found.text) },
      footerLinks,
    };
  } catch (error) {
    throw failure(error, name);
  }
}

function footerLink({ text, url }: JsonObject): string {
  const href = typeof url === "string" ? safeHref(url, "web") : null;
  const label = escapeHtml(typeof text === "string" ? text : "");
  return href === null ? label : `<a href="${escapeHtml(href)}">${label}</a>`;
}

/** What blocks stand on when no layout is asked for. */
function plainPage(content: string, subject: string): string {
  return (
    '<!doctype html><html><head><meta charset="utf-8"><meta name="viewport" content="width=device-width,initial-scale=1">' +
    `<title>${escapeHtml(subject)}</title></head><body style="margin:0;padding:24px 0;${FONT};font-size:16px;line-height:1.5">` +
    '<table role="presentation" width="100%" cellpadding="0" cellspacing="0" border="0" style="max-width:600px;margin:0 auto">' +
    `<tr><td>${content}</td></tr></table></body></html>`
  );
}

/** Files of the trigger's data: `{name, content_type, content}` with the content in base64. Others are left to the sender. */
function attachmentsOf(data: JsonObject, key: string): JsonObject[] {
  const path = key.startsWith("data.") ? key.slice("data.".length) : key;
  const found = pathOf(data, path);
  if (!Array.isArray(found)) return [];
  return (found as readonly Json[]).filter(isObject).map((file) => ({
    filename: file.name ?? file.filename ?? null,
    contentType: file.content_type ?? file.contentType ?? null,
    data: file.content ?? file.data ?? "",
  }));
}
