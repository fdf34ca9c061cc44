/** Messages of few fields: texts, notifications on phones, chats. */
import { NO_CONTENT, type Rendered } from "../../engine/model.ts";
import { RenderError } from "../../engine/ports.ts";
import { isObject, type JsonObject } from "../../lib/json.ts";
import { Links } from "../links.ts";
import type { Steps } from "../liquid/drive.ts";
import { readMarked } from "../liquid/html/markdown.ts";
import { htmlText } from "../liquid/html/text.ts";
import { MARKDOWN, printText } from "../markdown/print-text.ts";
import { Fields, type MessageTemplate, oneLine, parsedJson, wrong } from "./message.ts";

/** `raw.to` is the number to send to instead of the recipient's; `raw.overrides` is for the provider's request. */
export function readSmsTemplate(template: JsonObject): MessageTemplate {
  const fields = new Fields(template);
  const body = fields.required("text_body");
  const settings = fields.within("settings");
  const to = settings.optional("to_number");
  const overrides = settings.optional("payload_overrides");
  return function* (message): Steps<Rendered> {
    const text = yield* message.print(body, "plain");
    const number = oneLine((yield* message.optional(to, "plain")) ?? "");
    const over = yield* message.object(overrides);
    return { ...NO_CONTENT, text, body: text, raw: rawOf({ to: number === "" ? null : number, overrides: over }) };
  };
}

/** Silent ones say nothing: the app that gets them decides. `raw.data` is laid over the data of the message. */
export function readPushTemplate(template: JsonObject): MessageTemplate {
  const fields = new Fields(template);
  const settings = fields.within("settings");
  const type = settings.value("delivery_type") ?? "content";
  if (type !== "content" && type !== "silent") throw wrong(settings.path("delivery_type"), "content or silent");
  const isSilent = type === "silent";
  const title = isSilent ? fields.optional("title") : fields.required("title");
  const body = isSilent ? fields.optional("text_body") : fields.required("text_body");
  const overrides = settings.optional("payload_overrides");
  return function* (message): Steps<Rendered> {
    const over = yield* message.object(overrides);
    const data = isObject(over?.data) ? over.data : null;
    const raw = rawOf({ data, overrides: over, silent: isSilent ? true : null });
    if (isSilent) return { ...NO_CONTENT, raw };
    const text = (yield* message.optional(body, "plain")) ?? "";
    return { ...NO_CONTENT, title: oneLine((yield* message.optional(title, "plain")) ?? ""), text, body: text, raw };
  };
}

/** `raw.json` is a body in the words of the chat, instead of markdown; `raw.summary` is for its notification. */
export function readChatTemplate(template: JsonObject): MessageTemplate {
  const fields = new Fields(template);
  const json = fields.optional("json_body");
  const hasJson = json !== null && json.text.source.trim() !== "";
  const body = hasJson ? fields.optional("markdown_body") : fields.required("markdown_body");
  const summary = fields.optional("summary");
  return function* (message): Steps<Rendered> {
    const { budget, session } = message;
    const short = (yield* message.optional(summary, "plain")) ?? "";
    const raw: JsonObject = { summary: short === "" ? null : oneLine(short) };
    if (hasJson) {
      const value = parsedJson(yield* message.print(json, "json"));
      if (typeof value !== "object" || value === null) {
        throw new RenderError("json_body: this is no JSON", { field: "json_body" });
      }
      return { ...NO_CONTENT, text: short, body: short, raw: { ...raw, json: value } };
    }
    const blocks = body === null ? [] : readMarked(yield* message.print(body, "marked"), session.values, budget).blocks;
    const values = session.values.map((value) => (typeof value === "string" ? value : htmlText(value.text)));
    const text = printText(blocks, values, new Links(null, null), MARKDOWN);
    budget.text(text.length);
    return { ...NO_CONTENT, text, body: text, blocks: [{ type: "markdown", text }], raw: rawOf(raw) };
  };
}

/** Without what is absent; null when nothing is left. */
function rawOf(fields: JsonObject): JsonObject | null {
  const entries = Object.entries(fields).filter(([, value]) => value !== null && value !== undefined);
  return entries.length === 0 ? null : Object.fromEntries(entries);
}
