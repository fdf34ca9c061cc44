import assert from "node:assert/strict";
import { test } from "node:test";
import type { Attempt, Delivery, Message, MessageEvent, Request, SendSpec } from "../../engine/model.ts";
import type { MessageRecord } from "../../engine/ports.ts";
import { historyOf } from "./history.ts";
import { messageOutput, messageProviders } from "./message-views.ts";

const AT = Date.UTC(2026, 0, 5, 12);
const ID = "00000000000000000000000001";

const content: Delivery["content"] = {
  subject: "S",
  title: "T",
  html: "<p>",
  text: "x",
  body: "b",
  imageUrl: null,
  clickUrl: null,
  actions: [],
  blocks: [],
  links: [],
  raw: null,
};

// The casts: of a record, only what a history is told from.
function record(
  message: Partial<Message>,
  spec: Partial<SendSpec> = {},
  deliveries: readonly Partial<Delivery>[] = [],
  events: readonly Partial<MessageEvent>[] = [],
  attempts: readonly Partial<Attempt>[] = [],
): MessageRecord {
  const recipients = [{ kind: "user", userId: null, profile: { email: "a@x.io" } }];
  const inline = { kind: "inline", language: "elemental", source: {} };
  const base = {
    reason: null,
    error: null,
    userId: null,
    recipient: "a@x.io",
    entry: 0,
    viaTenant: false,
    listId: null,
  };
  const times = { sentAt: null, deliveredAt: null, openedAt: null, clickedAt: null, canceledAt: null, dueAt: null };
  const names = { event: "", templateId: "", storedProfile: null };
  const own = { id: `msg_${ID}`, requestId: `req_${ID}`, state: "sent", createdAt: AT, plannedAt: AT };
  const delivery = {
    channel: "email",
    provider: "smtp",
    providerId: "prv_1",
    state: "sent",
    content,
    createdAt: AT,
    startedAt: AT + 1,
    sentAt: AT + 2,
    deliveredAt: null,
    error: null,
    reference: null,
  };
  return {
    message: { ...base, ...times, ...names, ...own, ...message } as Message,
    request: { spec: { recipients, content: inline, data: {}, ...spec } } as unknown as Request,
    deliveries: deliveries.map((one) => ({ ...delivery, ...one }) as Delivery),
    attempts: attempts as Attempt[],
    events: events.map((one) => ({ deliveryId: null, data: null, ...one }) as MessageEvent),
  };
}
const types = (one: MessageRecord): string[] => historyOf(one).map(({ type }) => type);

test("signals come in the order of their times, with their place and reference", () => {
  const one = record(
    { state: "clicked" },
    {},
    [{ id: "dlv_a", reference: { id: "r" } }],
    [
      { kind: "clicked", at: AT + 9, deliveryId: "dlv_a", data: { href: "https://x.io" } },
      { kind: "opened", at: AT + 8, deliveryId: "dlv_a" },
      { kind: "delivered", at: AT + 7, deliveryId: "dlv_a" },
      { kind: "read", at: AT + 10, deliveryId: "dlv_a" },
    ],
  );
  assert.deepEqual(types(one).slice(-5), ["SENT", "DELIVERED", "OPENED", "CLICKED", "READ"]);
  const delivered = historyOf(one).find(({ type }) => type === "DELIVERED");
  assert.deepEqual(delivered?.reference, { id: "r" });
  assert.deepEqual(delivered?.integration, { id: "prv_1", provider: "smtp" });
  assert.deepEqual(historyOf(one).find(({ type }) => type === "CLICKED")?.details, { href: "https://x.io" });
  const [provider] = messageProviders(one);
  assert.deepEqual([provider?.status, provider?.delivered, provider?.clicked], ["CLICKED", AT + 7, AT + 9]);
});

test("a bounce makes the provider's entry undeliverable, but not after a delivery", () => {
  const bounced = { kind: "bounced", at: AT + 5, deliveryId: "dlv_a", data: { reason: "gone" } } as const;
  const one = record({ state: "undeliverable" }, {}, [{ id: "dlv_a" }], [bounced]);
  assert.equal(messageProviders(one)[0]?.status, "UNDELIVERABLE");
  assert.equal(historyOf(one).at(-1)?.error_message, "gone");
  const late = record({}, {}, [{ id: "dlv_a" }], [{ kind: "delivered", at: AT + 4, deliveryId: "dlv_a" }, bounced]);
  assert.equal(messageProviders(late)[0]?.status, "DELIVERED");
});

test("an opted-out message says why, without any delivery", () => {
  const one = record({ state: "undeliverable", reason: "unsubscribed", error: "opted out" });
  assert.deepEqual(types(one), ["ENQUEUED", "PROFILE_LOADED", "UNDELIVERABLE"]);
  assert.equal(historyOf(one).at(-1)?.error_message, "opted out");
});

test("a failed delivery fails at the end of its last attempt", () => {
  const failed = { id: "dlv_a", state: "failed", sentAt: null, error: "refused" } as const;
  const attempts = [1, 2].map((n) => ({
    deliveryId: "dlv_a" as const,
    startedAt: AT + n * 10,
    endedAt: AT + n * 10 + 5,
  }));
  const one = record({ state: "undeliverable" }, {}, [failed], [], attempts);
  const last = historyOf(one).at(-1);
  assert.deepEqual([last?.type, last?.ts, last?.error_message], ["UNDELIVERABLE", AT + 25, "refused"]);
});

test("what was submitted stands in the first entry", () => {
  const spec: Partial<SendSpec> = {
    data: { n: 0, m: 9 },
    recipients: [{ kind: "user", userId: "u1", profile: { locale: "fr" }, data: { n: 1 } }],
    channels: { email: { override: { subject: "o" } }, sms: {} },
    providers: { smtp: { override: { body: {} } } },
  };
  const [first] = historyOf(record({ event: "e", recipient: "u1" }, spec));
  assert.deepEqual(first, {
    ts: AT,
    type: "ENQUEUED",
    data: { n: 1, m: 9 },
    event: "e",
    profile: { locale: "fr" },
    override: { channels: { email: { subject: "o" } }, providers: { smtp: { body: {} } } },
    recipient: "u1",
  });
});

test("a delay beyond 90 days, or into the past, is no delay", () => {
  for (const delay of [{ durationMs: 91 * 86_400_000 }, { until: "off" }, { until: "2020-01-01" }, { durationMs: 0 }]) {
    assert.equal(types(record({}, { delay })).includes("DELAYED"), false, JSON.stringify(delay));
  }
  assert.ok(types(record({}, { delay: { durationMs: 1 } })).includes("DELAYED"));
});

test("of several tries on a channel, the output shows the last", () => {
  const deliveries = [
    { id: "dlv_b", content: { ...content, subject: "second" } },
    { id: "dlv_a", content: { ...content, subject: "first" } },
    { id: "dlv_c", channel: "chat" },
  ] as const;
  const output = messageOutput(record({}, {}, deliveries).deliveries);
  assert.deepEqual(
    output.map((item) => [item.channel, item.content.subject, item.content.html]),
    [
      ["email", "second", "<p>"],
      ["direct_message", "", ""],
    ],
  );
});
