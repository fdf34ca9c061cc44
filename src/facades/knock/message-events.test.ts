import assert from "node:assert/strict";
import { test } from "node:test";
import { type Attempt, type Delivery, type MessageEvent, NO_CONTENT } from "../../engine/model.ts";
import type { MessageRecord } from "../../engine/ports.ts";
import { newId } from "../../lib/ids.ts";
import { deliveryLogs, historyOf } from "./message-events.ts";
import { statusOf } from "./message-status.ts";

const AT = Date.UTC(2026, 0, 5, 12);
const ENV = newId("env", AT);

function mail(over: Partial<Delivery> = {}): Delivery {
  const base = {
    id: newId("dlv", AT),
    channel: "email",
    state: "pending",
    attempts: 0,
    provider: "smtp",
    content: NO_CONTENT,
    createdAt: AT,
  };
  return { ...base, sentAt: null, deliveredAt: null, error: null, ...over } as Delivery;
}

function tries(delivery: Delivery, ...outcomes: readonly Attempt["outcome"][]): readonly Attempt[] {
  return outcomes.map((outcome, i) => ({
    id: newId("att", AT),
    environmentId: ENV,
    messageId: "msg_1",
    deliveryId: delivery.id,
    number: i + 1,
    startedAt: AT + i * 10,
    endedAt: AT + i * 10 + 5,
    outcome,
    reason: outcome === "sent" ? null : "450 later",
    statusCode: outcome === "sent" ? null : 450,
  }));
}

function event(delivery: Delivery, kind: MessageEvent["kind"], at: number, data: MessageEvent["data"]): MessageEvent {
  return { id: newId("evt", AT), environmentId: ENV, messageId: "msg_1", deliveryId: delivery.id, kind, at, data };
}

function told(delivery: Delivery, attempts: readonly Attempt[] = [], events: readonly MessageEvent[] = []) {
  const another = mail();
  const record = { attempts: [...attempts, ...tries(another, "failed")], events } as unknown as MessageRecord;
  return historyOf(delivery, record).toReversed();
}

test("each try that failed is told with its number, and then what it came to", () => {
  const delivery = mail({ state: "failed", attempts: 2, error: "550 no such user" });
  const lines = told(delivery, tries(delivery, "failed", "rejected"));
  assert.deepEqual(
    lines.map(({ type, at, data }) => [type, at - AT, data]),
    [
      ["message.created", 0, null],
      ["message.queued", 0, null],
      ["message.delivery_attempted", 5, { attempt: 1, max_attempts: 8, retryable: true }],
      ["message.delivery_attempted", 15, { attempt: 2, max_attempts: 8, retryable: false }],
      ["message.undelivered", 15, { failure_reason: "fatal_error", failure_details: "550 no such user" }],
    ],
  );
  assert.equal(new Set(lines.map(({ key }) => key)).size, 5);
  const given = mail({ state: "failed" });
  assert.deepEqual(told(given, tries(given, "failed")).at(-1)?.data, {
    failure_reason: "retries_exhausted",
    failure_details: "",
  });
});

test("what was heard since is told in Knock's words; a bounce stands in place of a failure", () => {
  const delivery = mail({ state: "sent", sentAt: AT + 5 });
  const lines = told(delivery, tries(delivery, "sent"), [
    event(delivery, "delivered", AT + 10, null),
    event(delivery, "opened", AT + 11, { trackingId: "secret" }),
    event(delivery, "clicked", AT + 12, { trackingId: "secret", href: "https://a.example/" }),
    event(delivery, "bounced", AT + 13, { reason: "full" }),
    event(mail(), "read", AT + 14, null),
  ]);
  assert.deepEqual(
    lines.map(({ type, data }) => [type, data]),
    [
      ["message.created", null],
      ["message.queued", null],
      ["message.sent", null],
      ["message.delivered", null],
      ["message.seen", null],
      ["message.link_clicked", { url: "https://a.example/" }],
      ["message.bounced", { reason: "full" }],
    ],
  );
  const failed = mail({ state: "failed" });
  const types = told(failed, [], [event(failed, "bounced", AT, null)]).map(({ type }) => type);
  assert.deepEqual(types, ["message.created", "message.queued", "message.bounced"]);
});

test("what is not sent, and what a webhook answered", () => {
  const types = (over: Partial<Delivery>) => told(mail(over)).map(({ type }) => type.slice("message.".length));
  assert.deepEqual(types({ state: "simulated" }), ["created", "not_sent"]);
  assert.deepEqual(types({ state: "canceled" }), ["created", "not_sent"]);
  assert.deepEqual(types({ state: "sent", sentAt: AT, channel: "webhook" }), [
    "created",
    "queued",
    "sent",
    "delivered",
  ]);
  assert.deepEqual(types({ state: "delivered", deliveredAt: AT, channel: "inbox" }), ["created", "delivered"]);
});

test("tries are logged, newest first, with what was answered; an inbox has none", () => {
  const delivery = mail();
  const record = { attempts: tries(delivery, "failed", "sent"), events: [] } as unknown as MessageRecord;
  assert.deepEqual(
    deliveryLogs(delivery, record).map(({ response, service_name }) => [service_name, response]),
    [
      ["smtp", { status: 200, headers: {}, body: "" }],
      ["smtp", { status: 450, headers: {}, body: "450 later" }],
    ],
  );
  assert.deepEqual(deliveryLogs(mail({ channel: "inbox" }), record), []);
});

test("a status follows the state, the tries and what was heard", () => {
  const heard = (kind: "delivered" | "bounced") => [{ deliveryId: newId("dlv", AT), kind, at: AT }];
  const status = (over: Partial<Delivery>, signals: Parameters<typeof statusOf>[1] = []) =>
    statusOf(mail(over), signals);
  assert.equal(status({}), "queued");
  assert.equal(status({ attempts: 1 }), "delivery_attempted");
  assert.equal(status({ state: "sent" }), "sent");
  assert.equal(status({ state: "sent" }, heard("delivered")), "delivered");
  assert.equal(status({ state: "sent", channel: "webhook" }), "delivered");
  assert.equal(status({ state: "sent" }, [...heard("delivered"), ...heard("bounced")]), "bounced");
  assert.equal(status({ state: "failed" }), "undelivered");
  assert.equal(status({ state: "failed" }, heard("bounced")), "bounced");
  assert.equal(status({ state: "delivered" }), "delivered");
  assert.equal(status({ state: "simulated" }), "not_sent");
  assert.equal(status({ state: "canceled" }), "not_sent");
});
