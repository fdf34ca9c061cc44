import assert from "node:assert/strict";
import { afterEach, beforeEach, test } from "node:test";
import pino from "pino";
import { forEachDatabase } from "../../test/conformance/databases.ts";
import { type SendingTarget, startSendingTarget } from "../../test/facades/courier/sending-target.ts";
import { allIdle } from "../../test/support/all-idle.ts";
import { httpReceiver } from "../../test/support/http-receiver.ts";
import { SECRET_KEY, startServer } from "../../test/support/server.ts";
import { outgoing } from "../channels/outgoing.fixture.ts";
import { FakeClock } from "../lib/clock.ts";
import { newId } from "../lib/ids.ts";
import { type DeliverDeps, Deliverer } from "./deliver.ts";
import type { Outcome } from "./model.ts";
import type { Settlement, Store } from "./ports.ts";
import { PROVIDER } from "./templates.ts";

const content = { title: "T", body: "B" };
const DAY_MS = 24 * 3_600_000;
let target: SendingTarget;

beforeEach(async () => {
  target = await startSendingTarget();
});
afterEach(() => target.close());

const providersTried = () => target.sent.map(({ delivery }) => delivery.provider);

// Each of two providers that failed together took the other one for still pending, so nobody started the next channel:
// the message ended undeliverable although its text message was never tried.
test("when all providers of a channel fail at once, the next channel is tried, once", async () => {
  for (const provider of ["smtp", "second-mail"]) target.outcomes.set(provider, { kind: "rejected", reason: "no" });
  const id = await target.send({
    to: { email: "a@x.io", phone_number: "+1" },
    content,
    routing: { method: "single", channels: ["email", "sms"] },
    channels: { email: { routing_method: "all" } },
  });
  assert.equal((await target.settled(id)).status, "SENT");
  assert.deepEqual(providersTried().sort(), ["second-mail", "smtp", "twilio"]);
});

test("when parallel parts of a route fail at once, each goes on with its own next provider", async () => {
  for (const provider of ["smtp", "second-mail", "twilio"])
    target.outcomes.set(provider, { kind: "rejected", reason: "no" });
  const id = await target.send({
    to: { user_id: "u1", email: "a@x.io", phone_number: "+1" },
    content,
    routing: {
      method: "all",
      channels: [
        { method: "single", channels: ["email", "inbox"] },
        { method: "single", channels: ["sms", "email"] },
      ],
    },
  });
  assert.equal((await target.settled(id)).status, "DELIVERED");
  // smtp and second-mail for the first part, twilio and then the same two for the second.
  while (target.sent.length < 5) await new Promise((next) => setImmediate(next));
  assert.deepEqual(providersTried().sort(), ["second-mail", "second-mail", "smtp", "smtp", "twilio"]);
});

// The 72 hours counted from the call, so a provider that was down for a moment ended every message delayed by more.
test("the time limit of a message runs from the end of its delay", async () => {
  target.outcomes.set("smtp", { kind: "failed", reason: "busy" });
  const id = await target.send({
    to: { email: "a@x.io" },
    content,
    delay: { duration: 4 * DAY_MS },
    channels: { email: { providers: ["smtp"] } },
  });
  target.clock.advance(4 * DAY_MS);
  while (target.sent.length < 1) await new Promise((next) => setImmediate(next));
  target.outcomes.set("smtp", { kind: "sent" });
  const settled = target.settled(id, ["DELAYED"]);
  // The next try is due within a second; it is looked for more often than that.
  for (let i = 0; i < 200 && target.sent.length < 2; i++) {
    target.clock.advance(100);
    await new Promise((next) => setImmediate(next));
  }
  assert.equal((await settled).status, "SENT");
});

test("the end of the message is told apart from that of its last provider", async () => {
  target.outcomes.set("smtp", { kind: "failed", reason: "busy" });
  const channels = { email: { providers: ["smtp"] } };
  for (const [limits, reason] of [
    [{ timeout: { message: 100 } }, "FAILED"],
    [{ timeout: { provider: 100 } }, "PROVIDER_ERROR"],
    [{ timeout: { channel: 100 } }, "PROVIDER_ERROR"],
  ] as const) {
    const id = await target.send({ to: { email: "a@x.io" }, content, channels, ...limits });
    const ended = await target.settled(id);
    assert.deepEqual([ended.status, ended.reason, ended.error], ["UNDELIVERABLE", reason, "busy"]);
  }
});

test("when the time of a channel is over, its other providers are passed over for the next channel", async () => {
  target.outcomes.set("smtp", { kind: "failed", reason: "busy" });
  const send = (channels: readonly string[]) =>
    target.send({
      to: { email: "a@x.io", phone_number: "+1" },
      content,
      routing: { method: "single", channels },
      channels: { email: { timeouts: { channel: 2_000, provider: 1_000 } } },
    });
  // The first try, the second after half a second, and then the provider's time is over: the channel's is not.
  const inTime = await send(["email", "sms"]);
  const settled = target.settled(inTime);
  for (let i = 0; i < 200 && target.sent.length < 3; i++) {
    target.clock.advance(50);
    await new Promise((next) => setImmediate(next));
  }
  assert.equal((await settled).status, "SENT");
  assert.deepEqual(providersTried(), ["smtp", "smtp", "second-mail"]);

  target.sent.length = 0;
  const late = await send(["email", "sms"]);
  const ended = target.settled(late);
  for (let i = 0; i < 200 && target.sent.length < 1; i++) await new Promise((next) => setImmediate(next));
  target.clock.advance(3_000);
  assert.equal((await ended).status, "SENT");
  assert.deepEqual(providersTried(), ["smtp", "smtp", "twilio"]);
});

// The end of the provider's time was looked at between tries only, so a silent one kept the message for a whole try.
test("a provider that never answers holds its message no longer than its own time", { timeout: 8_000 }, async (t) => {
  const server = await startServer();
  t.after(() => server.close());
  const silent = await httpReceiver();
  t.after(() => silent.close());
  silent.answer("hang");
  const message = {
    to: { email: "a@x.io", webhook: { url: silent.url } },
    content,
    routing: { method: "single" as const, channels: ["webhook", "email"] },
    timeout: { provider: { webhook: 1_000 } },
  };
  const { requestId } = await server.sdk.send.message({ message } as Parameters<typeof server.sdk.send.message>[0]);
  let status: string | undefined;
  while (status !== "SENT") ({ status } = await server.sdk.messages.retrieve(requestId));
  const captured = await fetch(`${server.url}/admin/captured?channel=email`, {
    headers: { authorization: `Bearer ${SECRET_KEY}` },
  });
  assert.equal(((await captured.json()) as { items: unknown[] }).items.length, 1);
});

// Each process took what the other one tried for still pending: neither started the text message, and the message ended
// undeliverable. Within one process the failures had been put in order, between processes nothing did.
forEachDatabase((name, open) => {
  test(`${name}: when two providers fail at once in two processes, the next channel is tried, once`, async (t) => {
    const store = await open();
    let both = Promise.withResolvers<void>();
    let waiting = 0;
    // What each of them has decided meets what the other has: the first settlements begin together.
    const together = (own: Store): Store => ({
      ...own,
      pipeline: {
        ...own.pipeline,
        settle: async (batch) => {
          if (++waiting === 2) both.resolve();
          await both.promise;
          return await own.pipeline.settle(batch);
        },
      },
    });
    const one = await startSendingTarget({ store }, 1, together);
    t.after(() => one.close());
    const other = await startSendingTarget(one, 1, together);
    t.after(() => other.close());
    const targets = [one, other];
    for (const { outcomes } of targets) {
      for (const provider of ["smtp", "second-mail"]) outcomes.set(provider, { kind: "rejected", reason: "no" });
    }
    for (let round = 0; round < 5; round++) {
      both = Promise.withResolvers();
      waiting = 0;
      const id = await one.send({
        to: { email: "a@x.io", phone_number: "+1" },
        content,
        routing: { method: "single", channels: ["email", "sms"] },
        channels: { email: { routing_method: "all" } },
      });
      await allIdle(targets);
      const tried = targets.map(({ sent }) => sent.splice(0).map(({ delivery }) => delivery.provider));
      assert.ok(
        tried.every((providers) => providers.length > 0),
        "each of them had one to try",
      );
      assert.deepEqual(tried.flat().sort(), ["second-mail", "smtp", "twilio"]);
      assert.equal((await one.call("GET", `/messages/${id}`)).body.status, "SENT");
    }
  });

  // Postgres refused the reason, and with it what came of every try that was recorded together: all of these mails were
  // sent again after their lease, and again.
  test(`${name}: what a provider says is recorded, whatever characters it uses`, async (t) => {
    const target = await startSendingTarget({ store: await open() });
    t.after(() => target.close());
    target.outcomes.set("smtp", { kind: "rejected", reason: "5\u00000" });
    const send = (provider: string) =>
      target.send({ to: { email: "a@x.io" }, content, channels: { email: { providers: [provider] } } });
    const ids = await Promise.all([send("smtp"), send("second-mail")]);
    await target.engine.dispatcher.idle();
    const [refused, sent] = await Promise.all(ids.map((id) => target.call("GET", `/messages/${id}`)));
    assert.deepEqual([refused?.body.status, refused?.body.error], ["UNDELIVERABLE", "5\ufffd0"]);
    assert.equal(sent?.body.status, "SENT");
  });

  test(`${name}: a failover that the database refuses ends its message, and no other try is made again`, async (t) => {
    const refusing = (own: Store): Store => ({
      ...own,
      pipeline: {
        ...own.pipeline,
        settle: async (batch) => {
          const isRefused = batch.some(({ next }) => next.state === "failed" && next.failover.length > 0);
          if (isRefused) throw new Error("no failover was expected");
          return await own.pipeline.settle(batch);
        },
      },
    });
    const target = await startSendingTarget({ store: await open() }, 16, refusing);
    t.after(() => target.close());
    target.outcomes.set("smtp", { kind: "rejected", reason: "no" });
    const send = (channels: readonly string[]) =>
      target.send({
        to: { email: "a@x.io", phone_number: "+1" },
        content,
        routing: { method: "single", channels },
        channels: { email: { providers: ["smtp"] } },
      });
    const ids = await Promise.all([send(["email", "sms"]), send(["sms"]), send(["sms"])]);
    await target.engine.dispatcher.idle();
    target.clock.advance(60_000);
    await target.engine.dispatcher.idle();
    const found = await Promise.all(ids.map((id) => target.call("GET", `/messages/${id}`)));
    assert.deepEqual(
      found.map(({ body }) => body.status),
      ["UNDELIVERABLE", "SENT", "SENT"],
    );
    assert.deepEqual(target.sent.map(({ delivery }) => delivery.provider).sort(), ["smtp", "twilio", "twilio"]);
  });

  // Memory may be a second old: the delivery had failed for good, because the provider "was removed".
  test(`${name}: a provider that another process made a moment ago is not taken for removed`, async (t) => {
    const one = await startSendingTarget({ store: await open() });
    const other = await startSendingTarget(one);
    t.after(() => other.close());
    const message = { to: { phone_number: "+1" }, content, routing: { method: "single" as const, channels: ["sms"] } };
    await other.send(message);
    await other.engine.dispatcher.idle();

    const id = newId("prv", one.clock.now());
    const body = { provider: "twilio", title: "new", alias: null, settings: {}, standIn: false, position: -1 };
    await one.engine.documents.write(
      one.environment.id,
      [{ kind: PROVIDER, id, body, expect: "absent" }],
      one.clock.now(),
    );
    one.outcomes.set("twilio", { kind: "failed", reason: "busy" });
    const sent = await one.send(message);
    await one.engine.dispatcher.idle();
    await one.close();
    other.clock.advance(900);
    await other.engine.dispatcher.idle();
    assert.equal((await other.call("GET", `/messages/${sent}`)).body.status, "SENT");
    assert.equal(other.sent.at(-1)?.delivery.providerId, id);
  });
});

// Given back unsettled, the push would have reached the same browser once more from the next process.
test("a try that is cut short is given back, unless it has reached somebody", async () => {
  const { delivery, provider } = outgoing({ channel: "push" });
  const settled: Settlement[] = [];
  const stop = AbortSignal.abort();
  const cut = (outcome: Outcome) => {
    const deliverer = new Deliverer({
      store: {
        pipeline: {
          settle: async (batch: readonly Settlement[]) => {
            settled.push(...batch);
            return batch.map(() => "written" as const);
          },
        },
        messages: { read: async () => null },
      },
      planning: { catalog: { provider: async () => provider }, kinds: new Map() },
      endpoints: { kinds: new Map() },
      senders: { send: async () => outcome },
      bus: { lookNow() {} },
      clock: new FakeClock(),
      log: pino({ level: "silent" }),
      roll: () => 0.5,
      tryTimeoutMs: 1_000,
      // What else there is, is not asked for.
    } as unknown as DeliverDeps);
    return deliverer.deliver(delivery, async () => 1, stop);
  };
  assert.equal(await cut({ kind: "failed", reason: "cut short" }), "stopped");
  assert.equal(settled.length, 0);
  const reference = { reached: 1 };
  assert.equal(await cut({ kind: "failed", reason: "cut short", reference, partly: true }), "settled");
  const [{ next } = assert.fail()] = settled;
  assert.deepEqual(next.state === "pending" && next.reference, reference);
});
