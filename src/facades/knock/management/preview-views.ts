/** Rendered content in the form of the template that it was rendered from. */
import type { Rendered } from "../../../engine/model.ts";
import type { ChannelType } from "../../../engine/workflow/model.ts";
import { isObject, type Json, type JsonObject } from "../../../lib/json.ts";
import { given } from "./reader.ts";

/** @param template what was rendered: settings that are no text are shown as they are. */
export function showRendered(type: ChannelType, template: JsonObject, rendered: Rendered): JsonObject {
  switch (type) {
    case "in_app_feed":
      return feedTemplate(rendered);
    case "email":
      return {
        settings: isObject(template.settings) ? template.settings : {},
        subject: rendered.subject,
        html_body: rendered.html,
        // What previews of a workflow's step call it.
        html_content: rendered.html,
        text_body: rendered.text,
      };
    case "sms":
      return given({ text_body: rendered.body, settings: template.settings });
    case "push":
      return given({ title: rendered.title, text_body: rendered.body, settings: template.settings });
    case "chat": {
      const json = rendered.raw?.json_body ?? rendered.raw?.json ?? null;
      return given({
        markdown_body: rendered.text === "" ? rendered.body : rendered.text,
        json_body: json === null ? undefined : JSON.stringify(json),
        summary: typeof rendered.raw?.summary === "string" ? rendered.raw.summary : undefined,
      });
    }
    case "http":
      return isObject(rendered.raw?.request) ? rendered.raw.request : {};
  }
}

function feedTemplate({ raw, body }: Rendered): JsonObject {
  const blocks = Array.isArray(raw?.feed) ? (raw.feed as readonly Json[]).filter(isObject) : [];
  const named = (name: string): JsonObject | undefined => blocks.find((block) => block.name === name);
  const buttons = named("actions")?.buttons;
  return given({
    markdown_body: named("body")?.rendered ?? body,
    action_url: named("action_url")?.rendered,
    action_buttons: Array.isArray(buttons)
      ? (buttons as readonly Json[]).filter(isObject).map(({ label, action }) => ({ label, action }))
      : undefined,
  });
}
