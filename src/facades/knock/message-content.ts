/** What a message says, as Knock shows it for each kind of channel. */
import type { Delivery } from "../../engine/model.ts";
import { isObject, type Json, type JsonObject } from "../../lib/json.ts";
import { feedBlocks } from "./blocks.ts";
import { toMessageId } from "./ids.ts";
import { toIso } from "./wire.ts";

export function contentView(delivery: Delivery): JsonObject {
  return {
    __typename: "MessageContent",
    message_id: toMessageId(delivery.id),
    inserted_at: toIso(delivery.createdAt),
    data: dataOf(delivery),
  };
}

function dataOf(delivery: Delivery): JsonObject {
  const { channel, content, address, override } = delivery;
  const given = (name: string): Json => override?.[name] ?? null;
  switch (channel) {
    case "inbox":
      return { __typename: "MessageInAppFeedContent", blocks: feedBlocks(delivery) };
    case "email":
      return {
        __typename: "MessageEmailContent",
        to: address.email ?? "",
        from: given("from") ?? "",
        cc: given("cc"),
        bcc: given("bcc"),
        reply_to: given("reply_to"),
        subject_line: content.subject,
        html_body: content.html,
        text_body: content.text,
      };
    case "sms":
      return { __typename: "MessageSmsContent", to: address.phone ?? "", body: content.text };
    case "push":
      return {
        __typename: "MessagePushContent",
        token: Array.isArray(address.tokens) ? ((address.tokens[0] as Json | undefined) ?? "") : "",
        title: content.title,
        body: content.body,
        data: isObject(content.raw?.data) ? content.raw.data : delivery.data,
      };
    case "chat":
      return {
        __typename: "MessageChatContent",
        connection: address,
        template: {
          blocks: [{ name: "body", type: "markdown", content: content.blocks[0]?.text ?? content.text }],
          json_content: isObject(content.raw?.json) ? content.raw.json : null,
          summary: typeof content.raw?.summary === "string" ? content.raw.summary : content.title || null,
        },
        metadata: null,
      };
    case "webhook":
      return { __typename: "MessageHttpContent", ...(isObject(content.raw?.request) ? content.raw.request : {}) };
  }
}
