import assert from "node:assert/strict";
import { test } from "node:test";
import { aDelivery, aMessage, aRequest, newEnvironmentId, progressOf, T0 } from "../../test/conformance/fixtures.ts";
import { recordAt } from "./message-changes.ts";
import type { MessageChange } from "./model.ts";
import type { MessageRecord } from "./ports.ts";

/** A mail that was routed, sent, delivered, opened and clicked, one second apart. */
function record(): MessageRecord {
  const request = aRequest(newEnvironmentId());
  const times = { sentAt: T0 + 1000, deliveredAt: T0 + 2000, openedAt: T0 + 3000, clickedAt: T0 + 4000 };
  const message = aMessage(request, { state: "clicked", ...times });
  const refused = aDelivery(message, { state: "failed", error: "550" });
  const mail = aDelivery(message, {
    state: "delivered",
    sentAt: times.sentAt,
    deliveredAt: times.deliveredAt,
    reference: { id: "x" },
  });
  const events = (["delivered", "opened", "clicked", "read"] as const).map(
    (kind, i) => progressOf(mail, kind, null, T0 + 2000 + i * 1000).event,
  );
  return { message, request, deliveries: [refused, mail], attempts: [], events };
}

function changeOf({ message }: MessageRecord, over: Partial<MessageChange>): MessageChange {
  return {
    environmentId: message.environmentId,
    messageId: message.id,
    state: "routed",
    reason: null,
    error: null,
    sentAt: null,
    deliveredAt: null,
    openedAt: null,
    clickedAt: null,
    canceledAt: null,
    revision: 1,
    ...over,
  };
}

function seen(over: Partial<MessageChange>) {
  const now = record();
  const { message, deliveries, events } = recordAt(now, changeOf(now, over));
  return [message.state, deliveries.map(({ state }) => state).join(), events.map(({ kind }) => kind).join()];
}

test("a record is told as it was at the change, however late that is", () => {
  const [sentAt, deliveredAt, openedAt, clickedAt] = [T0 + 1000, T0 + 2000, T0 + 3000, T0 + 4000];
  assert.deepEqual(seen({ state: "routed" }), ["routed", "failed,pending", "read"]);
  assert.deepEqual(seen({ state: "sent", sentAt }), ["sent", "failed,sent", "read"]);
  assert.deepEqual(seen({ state: "opened", sentAt, deliveredAt, openedAt }), [
    "opened",
    "failed,delivered",
    "delivered,opened,read",
  ]);
  assert.deepEqual(seen({ state: "clicked", sentAt, deliveredAt, openedAt, clickedAt }), [
    "clicked",
    "failed,delivered",
    "delivered,opened,clicked,read",
  ]);
});

test("the record that was read is left as it is", () => {
  const now = record();
  const before = structuredClone(now);
  recordAt(now, changeOf(now, {}));
  assert.deepEqual(now, before);
});
