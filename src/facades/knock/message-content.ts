/** What a message says, as Knock shows it for each kind of channel. */
import type { Delivery, EnvironmentId } from "../../engine/model.ts";
import { PROVIDER, type ProviderBody } from "../../engine/templates.ts";
import { deepMerge, isObject, type Json, type JsonObject } from "../../lib/json.ts";
import { feedBlocks } from "./blocks.ts";
import { toMessageId } from "./ids.ts";
import type { Knock } from "./knock.ts";
import { toIso } from "./wire.ts";

/** In the order given. What a mail leaves to its provider, its sender above all, is that of the provider as it is now. */
export async function contentViews(
  { engine }: Pick<Knock, "engine">,
  environmentId: EnvironmentId,
  deliveries: readonly Delivery[],
): Promise<readonly JsonObject[]> {
  const mails = deliveries.filter(({ channel }) => channel === "email");
  const ids = [...new Set(mails.map(({ providerId }) => providerId))];
  const found = await engine.documents.readMany(
    environmentId,
    ids.map((id) => ({ kind: PROVIDER, id })),
  );
  const settings = new Map(
    ids.map((id, i) => [id, (found[i]?.body as unknown as ProviderBody | undefined)?.settings ?? {}]),
  );
  return deliveries.map((delivery) => ({
    __typename: "MessageContent",
    message_id: toMessageId(delivery.id),
    inserted_at: toIso(delivery.createdAt),
    data: dataOf(engine.workflows.opened(delivery), settings.get(delivery.providerId) ?? {}),
  }));
}

function dataOf(delivery: Delivery, settings: JsonObject): JsonObject {
  const { channel, content, address, override } = delivery;
  const given = (name: string): Json => override?.[name] ?? settings[name] ?? null;
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
        data: isObject(content.raw?.data) ? deepMerge(delivery.data, content.raw.data) : delivery.data,
      };
    case "chat":
      return {
        __typename: "MessageChatContent",
        // Of all that a person has in its profile for chats, a workflow's message goes to one connection.
        connection: Object.values(address).find(isObject) ?? {},
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
