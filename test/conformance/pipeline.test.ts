import assert from "node:assert/strict";
import { test } from "node:test";
import type { Delivery, Message } from "../../src/engine/model.ts";
import type { Acceptance, Settlement, Store } from "../../src/engine/ports.ts";
import { forEachDatabase } from "./databases.ts";
import {
  accepting,
  aDelivery,
  aMessage,
  anAttempt,
  anItem,
  aRequest,
  inboxSend,
  mailSend,
  newEnvironmentId,
  T0,
} from "./fixtures.ts";

/** Far later than anything another test of the suite leaves waiting. */
const LATER = T0 + 10_000_000;

type Next = Settlement["next"];

forEachDatabase((name, open) => {
  /** Claims everything that is due, so that a test begins with an empty queue. */
  async function drained(store: Store): Promise<Store> {
    for (let left = 1; left > 0; ) left = (await store.pipeline.claimDeliveries(LATER * 2, 1000, LATER * 1000)).length;
    for (let left = 1; left > 0; ) left = (await store.pipeline.claimMessages(LATER * 2, 1000, LATER * 1000)).length;
    for (let left = 1; left > 0; ) left = (await store.pipeline.claimRequests(LATER * 2, 1000, LATER * 1000)).length;
    return store;
  }

  async function claimed(store: Store, ...sends: readonly Acceptance[]): Promise<Delivery[]> {
    await store.pipeline.accept(sends);
    const due = await store.pipeline.claimDeliveries(LATER, 1000, LATER + 1000);
    return sends
      .flatMap((s) => s.planned.flatMap((p) => p.deliveries))
      .map((d) => due.find((c) => c.id === d.id) as Delivery);
  }

  function settlement(delivery: Delivery, next: Next, over: Partial<Settlement> = {}): Settlement {
    return { delivery, leaseUntil: delivery.leaseUntil as number, attempt: anAttempt(delivery), next, ...over };
  }

  function failed(failover: readonly Delivery[] = []): Next {
    return { state: "failed", at: LATER, error: "550", failover, ifLast: { state: "undeliverable", reason: "failed" } };
  }

  async function messageNow(store: Store, { environmentId, id }: Message): Promise<Message> {
    const record = await store.messages.read(environmentId, id);
    assert.ok(record);
    return record.message;
  }

  // ——— accepting ———————————————————————————————————————————————————————————————————————————————————————————————————

  test(`${name}: an accepted request is read back field by field, whatever its texts hold`, async () => {
    const store = await open();
    const env = newEnvironmentId();
    const odd = `q"uo'te\\ {},NULL ü😀 \n\t`;
    const request = aRequest(env, {
      spec: { ...aRequest(env).spec, data: { nul: "\0", lone: "\ud800", odd, deep: { list: [1, null, true] } } },
    });
    const message = aMessage(request, {
      reason: "bounced",
      error: odd,
      tenantId: "acme",
      entry: 3,
      viaTenant: true,
      listId: odd,
      event: odd,
      tags: [odd, "b"],
      traceId: odd,
      preferences: { a: 1 },
      storedProfile: { nul: "\0" },
      plan: { kind: "all", steps: [{ kind: "leaf", channel: "sms", providerId: "prv_1", provider: "twilio" }] },
      sentAt: T0 + 1,
    });
    const delivery = aDelivery(message, { override: { x: [odd] }, reference: { id: odd }, data: { nul: "\0", odd } });
    assert.deepEqual(await store.pipeline.accept([accepting(request, [{ message, deliveries: [delivery] }])]), [
      { kind: "accepted" },
    ]);
    const record = await store.messages.read(env, message.id);
    assert.deepEqual(record, { message, request, deliveries: [delivery], attempts: [], events: [] });
    assert.deepEqual(await store.messages.readDelivery(env, delivery.id), delivery);
  });

  test(`${name}: an inbox delivery is stored as delivered`, async () => {
    const store = await open();
    const env = newEnvironmentId();
    const send = inboxSend(env, "ann", { item: { state: "pending", deliveredAt: null, sentAt: null } });
    await store.pipeline.accept([send]);
    const item = await store.messages.readDelivery(env, send.item.id);
    assert.equal(item?.state, "delivered");
    assert.equal(item?.deliveredAt, T0);
    assert.equal(await store.inbox.count(env, { userId: "ann" }, T0), 1);
  });

  test(`${name}: a batch that cannot be stored leaves nothing behind`, async () => {
    const store = await open();
    const env = newEnvironmentId();
    const good = inboxSend(env, "ann");
    const bad = inboxSend(env, "bob", { message: { state: "no such state" as "sent" } });
    await assert.rejects(store.pipeline.accept([good, bad]));
    assert.equal(await store.messages.readRequest(env, good.request.id), null);
    assert.equal(await store.inbox.count(env, { userId: "ann" }, T0), 0);
  });

  test(`${name}: of 1,000 calls with one key, in batches and at once, one is accepted and 999 get its answer`, async () => {
    const store = await open();
    const env = newEnvironmentId();
    const sends = Array.from({ length: 1000 }, (_, i) => keyed(inboxSend(env, "ann"), "k", `answer ${i}`));
    const results = (
      await Promise.all(Array.from({ length: 20 }, (_, i) => store.pipeline.accept(sends.slice(i * 50, i * 50 + 50))))
    ).flat();
    const winner = results.findIndex((r) => r.kind === "accepted");
    assert.equal(results.filter((r) => r.kind === "accepted").length, 1);
    const expected = { kind: "replayed", answer: { status: 202, body: `answer ${winner}` } };
    for (const [i, result] of results.entries()) if (i !== winner) assert.deepEqual(result, expected);
    assert.equal((await store.messages.list(env, {}, { limit: 10 })).items.length, 1);
    assert.equal(await store.inbox.count(env, { userId: "ann" }, T0), 1);
  });

  test(`${name}: a key is one environment's and one scope's, and free again after its end`, async () => {
    const store = await open();
    const [a, b] = [newEnvironmentId(), newEnvironmentId()];
    const first = keyed(inboxSend(a, "ann"), "k", "first", T0 + 100);
    const kinds = await store.pipeline.accept([
      first,
      keyed(inboxSend(b, "ann"), "k", "other environment"),
      {
        ...first,
        request: aRequest(a),
        planned: [],
        idempotency: { ...first.idempotency, scope: "other" },
      } as Acceptance,
      keyed(inboxSend(a, "ann", { at: T0 + 50 }), "k", "too early"),
    ]);
    assert.deepEqual(
      kinds.map((k) => k.kind),
      ["accepted", "accepted", "accepted", "replayed"],
    );
    const [again] = await store.pipeline.accept([keyed(inboxSend(a, "ann", { at: T0 + 100 }), "k", "second")]);
    assert.equal(again?.kind, "accepted");
    const [replayed] = await store.pipeline.accept([keyed(inboxSend(a, "ann", { at: T0 + 101 }), "k", "third")]);
    assert.deepEqual(replayed, { kind: "replayed", answer: { status: 202, body: "second" } });
  });

  test(`${name}: a key that a generic call holds is busy, and replays once that call is done`, async () => {
    const store = await open();
    const env = newEnvironmentId();
    await store.idempotency.begin(env, "send", "k", T0, T0 + 1000, 60_000);
    assert.deepEqual(await store.pipeline.accept([keyed(inboxSend(env, "ann"), "k", "x")]), [{ kind: "busy" }]);
    assert.equal(await store.inbox.count(env, { userId: "ann" }, T0), 0);
    await store.idempotency.finish(env, "send", "k", { status: 200, body: "generic" });
    assert.deepEqual(await store.pipeline.accept([keyed(inboxSend(env, "ann"), "k", "x")]), [
      { kind: "replayed", answer: { status: 200, body: "generic" } },
    ]);
  });

  // ——— expanding ———————————————————————————————————————————————————————————————————————————————————————————————————

  test(`${name}: an expanding request goes page by page, each under its lease, to its end`, async () => {
    const store = await drained(await open());
    const env = newEnvironmentId();
    const request = aRequest(env, { state: "expanding" });
    await store.pipeline.accept([accepting(request, [])]);
    const [held] = await store.pipeline.claimRequests(LATER, 10, LATER + 1000);
    assert.deepEqual(held, request);
    assert.deepEqual(await store.pipeline.claimRequests(LATER + 999, 10, LATER + 5000), []);

    const page = [inboxSend(env, "ann"), inboxSend(env, "bob")].map(({ message, item }) => ({
      message: { ...message, requestId: request.id },
      deliveries: [item],
    }));
    const lease = { held: LATER + 1000, next: LATER + 2000 };
    assert.equal(await store.pipeline.commitPage(request, lease, "page 2", page), true);
    // The same page once more, by someone who does not know: neither cursor nor lease are as they were.
    assert.equal(await store.pipeline.commitPage(request, lease, "page 2", page), false);
    const second = { ...request, cursor: "page 2" };
    assert.equal(await store.pipeline.commitPage(second, lease, null, []), false);
    assert.equal(await store.pipeline.commitPage(second, { held: LATER + 2000, next: LATER + 3000 }, null, []), true);
    assert.equal((await store.messages.readRequest(env, request.id))?.state, "expanded");
    assert.deepEqual(await store.pipeline.claimRequests(LATER * 2, 10, LATER * 3), []);
    assert.equal((await store.messages.list(env, { requestId: request.id }, { limit: 10 })).items.length, 2);
  });

  test(`${name}: a request whose lease has lapsed is claimed again and goes on at its cursor`, async () => {
    const store = await drained(await open());
    const request = aRequest(newEnvironmentId(), { state: "expanding" });
    await store.pipeline.accept([accepting(request, [])]);
    await store.pipeline.claimRequests(LATER, 10, LATER + 1000);
    await store.pipeline.commitPage(request, { held: LATER + 1000, next: LATER + 2000 }, "page 2", []);
    assert.deepEqual(await store.pipeline.claimRequests(LATER + 1999, 10, LATER + 9000), []);
    assert.deepEqual(await store.pipeline.claimRequests(LATER + 2000, 10, LATER + 9000), [
      { ...request, cursor: "page 2" },
    ]);
    assert.equal(
      await store.pipeline.commitPage({ ...request, cursor: "page 2" }, { held: LATER + 2000, next: 0 }, "x", []),
      false,
    );
  });

  // ——— delayed messages ————————————————————————————————————————————————————————————————————————————————————————————

  test(`${name}: a delayed message is claimed when its time has come and replaced by what planning made of it`, async () => {
    const store = await drained(await open());
    const request = aRequest(newEnvironmentId());
    const message = aMessage(request, { state: "delayed", dueAt: T0 + 500, plannedAt: null });
    await store.pipeline.accept([accepting(request, [{ message, deliveries: [] }])]);
    assert.deepEqual(await store.pipeline.claimMessages(T0 + 499, 10, T0 + 1000), []);
    assert.equal(await store.pipeline.nextDueAt(), T0 + 500);
    const [held] = await store.pipeline.claimMessages(T0 + 500, 10, T0 + 1000);
    assert.deepEqual(held, { ...message, leaseUntil: T0 + 1000 });
    assert.deepEqual(await store.pipeline.claimMessages(T0 + 999, 10, T0 + 2000), []);

    const planned: Message = { ...message, state: "routed", plannedAt: T0 + 600, storedProfile: { name: "Ann" } };
    const deliveries = [aDelivery(planned), anItem(planned)];
    assert.deepEqual(await store.pipeline.commitPlanned([{ message: planned, deliveries }], T0 + 1000), [true]);
    assert.deepEqual(await store.pipeline.commitPlanned([{ message: planned, deliveries: [] }], T0 + 1000), [false]);
    const record = await store.messages.read(message.environmentId, message.id);
    assert.deepEqual(record?.message, planned);
    assert.deepEqual(record?.deliveries, deliveries);
    assert.equal(await store.inbox.count(message.environmentId, { userId: "ann" }, T0), 1);
    assert.deepEqual(await store.pipeline.claimMessages(LATER, 10, LATER * 2), []);
  });

  test(`${name}: planning is not written for a message that was canceled or claimed by another meanwhile`, async () => {
    const store = await drained(await open());
    const request = aRequest(newEnvironmentId());
    const make = () => aMessage(request, { state: "delayed", dueAt: T0, plannedAt: null });
    const [canceled, lost, kept] = [make(), make(), make()] as [Message, Message, Message];
    await store.pipeline.accept([
      accepting(
        request,
        [canceled, lost, kept].map((message) => ({ message, deliveries: [] })),
      ),
    ]);
    await store.pipeline.claimMessages(T0, 10, T0 + 1000);
    await store.pipeline.cancel(request.environmentId, canceled.id, T0 + 1);
    // The lease lapses, and others take one of the two left.
    const [second] = await store.pipeline.claimMessages(T0 + 1000, 1, T0 + 5000);
    const planned = [canceled, lost, kept].map((m) => {
      const message: Message = { ...m, state: "routed", plannedAt: T0 + 600 };
      return { message, deliveries: [aDelivery(message)] };
    });
    const written = await store.pipeline.commitPlanned(planned, T0 + 1000);
    assert.deepEqual(
      written,
      [canceled, lost, kept].map((m) => m.id !== canceled.id && m.id !== second?.id),
    );
    for (const [i, m] of [canceled, lost, kept].entries()) {
      assert.equal((await store.messages.listDeliveries(m.environmentId, m.id)).length, written[i] ? 1 : 0);
    }
    assert.equal((await messageNow(store, canceled)).state, "canceled");
  });

  // ——— the queue ———————————————————————————————————————————————————————————————————————————————————————————————————

  test(`${name}: hands a due delivery to one claimer only`, async () => {
    const store = await drained(await open());
    const env = newEnvironmentId();
    await store.pipeline.accept(Array.from({ length: 300 }, () => mailSend(env)));
    const claims = await Promise.all(
      Array.from({ length: 20 }, () => store.pipeline.claimDeliveries(T0, 20, T0 + 1000)),
    );
    const ids = claims.flat().map((d) => d.id);
    assert.equal(new Set(ids).size, ids.length);
    const rest = await store.pipeline.claimDeliveries(T0, 1000, T0 + 1000);
    assert.equal(ids.length + rest.length, 300);
    assert.ok(claims.flat().every((d) => d.leaseUntil === T0 + 1000));
  });

  test(`${name}: claims the oldest first, nothing before its time, and a lapsed lease again`, async () => {
    const store = await drained(await open());
    const env = newEnvironmentId();
    const dues = [30, 10, 20, 40].map((ms) => mailSend(env, { delivery: { dueAt: T0 + ms } }));
    await store.pipeline.accept(dues);
    assert.equal(await store.pipeline.nextDueAt(), T0 + 10);
    const first = await store.pipeline.claimDeliveries(T0 + 30, 2, T0 + 1000);
    assert.deepEqual(
      first.map((d) => d.dueAt),
      [T0 + 10, T0 + 20],
    );
    assert.equal((await store.pipeline.claimDeliveries(T0 + 30, 10, T0 + 2000)).length, 1);
    assert.equal(await store.pipeline.nextDueAt(), T0 + 40);
    assert.equal((await store.pipeline.claimDeliveries(T0 + 40, 10, T0 + 3000)).length, 1);
    assert.equal(await store.pipeline.nextDueAt(), T0 + 1000);
    assert.deepEqual(await store.pipeline.claimDeliveries(T0 + 999, 10, T0 + 4000), []);
    const lapsed = await store.pipeline.claimDeliveries(T0 + 1000, 10, T0 + 4000);
    assert.deepEqual(lapsed.map((d) => d.id).sort(), first.map((d) => d.id).sort());
  });

  test(`${name}: leases are renewed and released by who holds them only`, async () => {
    const store = await drained(await open());
    const [a, b] = (await claimed(store, mailSend(newEnvironmentId()), mailSend(newEnvironmentId()))) as [
      Delivery,
      Delivery,
    ];
    const held = LATER + 1000;
    await store.pipeline.renewLeases([a.id], held, LATER + 2000);
    await store.pipeline.renewLeases([b.id], held - 1, LATER + 9000);
    await store.pipeline.renewLeases([], held, LATER + 9000);
    const lapsed = await store.pipeline.claimDeliveries(LATER + 1000, 10, LATER + 3000);
    assert.deepEqual(
      lapsed.map((d) => d.id),
      [b.id],
    );
    await store.pipeline.releaseLeases([a.id], held);
    assert.deepEqual(await store.pipeline.claimDeliveries(LATER + 1999, 10, LATER + 4000), []);
    await store.pipeline.releaseLeases([a.id], LATER + 2000);
    assert.equal((await store.pipeline.claimDeliveries(LATER + 1001, 10, LATER + 4000))[0]?.id, a.id);
  });

  // ——— settling ————————————————————————————————————————————————————————————————————————————————————————————————————

  test(`${name}: a sent delivery is settled with its attempt, and its message has been sent`, async () => {
    const store = await drained(await open());
    const send = mailSend(newEnvironmentId());
    const [held] = (await claimed(store, send)) as [Delivery];
    const attempt = anAttempt(held, { statusCode: 250 });
    const next: Next = { state: "sent", at: LATER, reference: { id: "x" } };
    assert.deepEqual(await store.pipeline.settle([settlement(held, next, { attempt })]), ["written"]);
    const record = await store.messages.read(held.environmentId, held.messageId);
    assert.equal(record?.message.state, "sent");
    assert.equal(record?.message.sentAt, LATER);
    assert.deepEqual(record?.attempts, [attempt]);
    assert.deepEqual(record?.deliveries, [
      { ...send.delivery, state: "sent", attempts: 1, startedAt: T0, reference: { id: "x" }, sentAt: LATER },
    ]);
    assert.deepEqual(await store.pipeline.claimDeliveries(LATER * 2, 10, LATER * 3), []);
  });

  test(`${name}: a repetition is due at its time; a first time is kept, a state never falls`, async () => {
    const store = await drained(await open());
    const [held] = (await claimed(store, mailSend(newEnvironmentId()))) as [Delivery];
    const again: Next = { state: "pending", dueAt: LATER + 50, error: "451", startedAt: T0 + 7 };
    await store.pipeline.settle([settlement(held, again, { attempt: anAttempt(held, { outcome: "failed" }) })]);
    assert.equal(await store.pipeline.nextDueAt(), LATER + 50);
    const [second] = (await store.pipeline.claimDeliveries(LATER + 50, 1, LATER + 2000)) as [Delivery];
    assert.deepEqual([second.attempts, second.error, second.startedAt], [1, "451", T0 + 7]);
    await store.inbox.progress(held.environmentId, [
      { event: { ...eventOf(held), kind: "opened", at: LATER }, state: "opened" },
    ]);
    await store.pipeline.settle([settlement(second, { state: "delivered", at: LATER + 60, reference: null })]);
    const message = (await store.messages.read(held.environmentId, held.messageId))?.message;
    assert.deepEqual(
      [message?.state, message?.openedAt, message?.sentAt, message?.deliveredAt],
      ["opened", LATER, LATER + 60, LATER + 60],
    );
  });

  // A push goes to all of a user's browsers; what reached one is not to reach it again with the next try.
  test(`${name}: a repetition keeps what its sender has to know, and its message has been sent if somebody was reached`, async () => {
    const store = await drained(await open());
    const [held] = (await claimed(store, mailSend(newEnvironmentId()))) as [Delivery];
    const pending = { state: "pending", dueAt: LATER + 50, error: "429", startedAt: T0 + 7 } as const;
    await store.pipeline.settle([settlement(held, { ...pending, reference: { reached: 1 }, sentAt: LATER + 1 })]);
    const stateNow = async () => {
      const message = await messageNow(store, { environmentId: held.environmentId, id: held.messageId } as Message);
      return [message.state, message.sentAt];
    };
    assert.deepEqual(await stateNow(), ["sent", LATER + 1]);
    const [second] = (await store.pipeline.claimDeliveries(LATER + 50, 1, LATER + 2000)) as [Delivery];
    assert.deepEqual([second.state, second.reference, second.sentAt], ["pending", { reached: 1 }, LATER + 1]);
    await store.pipeline.settle([settlement(second, pending)]);
    const [third] = (await store.pipeline.claimDeliveries(LATER + 50, 1, LATER + 3000)) as [Delivery];
    assert.deepEqual(third.reference, { reached: 1 }, "what is not told anew stays");
    await store.pipeline.settle([settlement(third, { state: "sent", at: LATER + 90, reference: { reached: 2 } })]);
    assert.deepEqual(await stateNow(), ["sent", LATER + 1]);
  });

  test(`${name}: nothing of a settlement is written when the lease is lost`, async () => {
    const store = await drained(await open());
    const [held] = (await claimed(store, mailSend(newEnvironmentId()))) as [Delivery];
    const [other] = (await store.pipeline.claimDeliveries(LATER + 1000, 1, LATER + 9000)) as [Delivery];
    const late = settlement(held, failed([aDelivery({ ...(await messageOf(store, held)) })]));
    assert.deepEqual(await store.pipeline.settle([late]), ["lost"]);
    const record = await store.messages.read(held.environmentId, held.messageId);
    assert.deepEqual(record?.deliveries, [other]);
    assert.deepEqual(record?.attempts, []);
    assert.equal(record?.message.state, "routed");
    const twice = settlement(other, { state: "sent", at: LATER, reference: null });
    assert.deepEqual(await store.pipeline.settle([twice, { ...twice, attempt: anAttempt(other) }]), [
      "written",
      "lost",
    ]);
    assert.deepEqual(await store.pipeline.settle([twice]), ["lost"]);
  });

  test(`${name}: the last of several failures ends the message, whether they come together or at once`, async () => {
    const store = await drained(await open());
    const request = aRequest(newEnvironmentId());
    const message = aMessage(request);
    const deliveries = Array.from({ length: 8 }, () => aDelivery(message));
    const held = await claimed(store, accepting(request, [{ message, deliveries }]));
    await store.pipeline.settle([settlement(held[0] as Delivery, failed())]);
    assert.equal((await messageNow(store, message)).state, "routed");
    await Promise.all(held.slice(1, 6).map((d) => store.pipeline.settle([settlement(d, failed())])));
    assert.equal((await messageNow(store, message)).state, "routed");
    await Promise.all([
      store.pipeline.settle([settlement(held[6] as Delivery, failed())]),
      store.pipeline.settle([settlement(held[7] as Delivery, failed())]),
    ]);
    const ended = await messageNow(store, message);
    assert.deepEqual([ended.state, ended.reason, ended.error], ["undeliverable", "failed", "550"]);
  });

  test(`${name}: a failure does not end a message of which another delivery was sent`, async () => {
    const store = await drained(await open());
    const request = aRequest(newEnvironmentId());
    const message = aMessage(request);
    const held = await claimed(
      store,
      accepting(request, [{ message, deliveries: [aDelivery(message), aDelivery(message)] }]),
    );
    await store.pipeline.settle([
      settlement(held[0] as Delivery, { state: "sent", at: LATER, reference: null }),
      settlement(held[1] as Delivery, failed()),
    ]);
    const now = await messageNow(store, message);
    assert.deepEqual([now.state, now.reason], ["sent", null]);
  });

  test(`${name}: a failure starts the deliveries in its place; one to the inbox is there at once`, async () => {
    const store = await drained(await open());
    const send = mailSend(newEnvironmentId());
    const [held] = (await claimed(store, send)) as [Delivery];
    const sms = aDelivery(send.message, { channel: "sms", dueAt: LATER });
    const item = anItem(send.message, { state: "pending", deliveredAt: null, sentAt: null, createdAt: LATER });
    await store.pipeline.settle([settlement(held, failed([sms, item]))]);
    const record = await store.messages.read(held.environmentId, held.messageId);
    assert.deepEqual(
      record?.deliveries.map((d) => [d.channel, d.state]),
      [
        ["email", "failed"],
        ["sms", "pending"],
        ["inbox", "delivered"],
      ],
    );
    assert.deepEqual([record?.message.state, record?.message.deliveredAt], ["delivered", LATER]);
    assert.equal(await store.inbox.count(held.environmentId, { userId: "ann" }, LATER), 1);
    assert.equal((await store.pipeline.claimDeliveries(LATER, 10, LATER * 2))[0]?.id, sms.id);
  });

  test(`${name}: a message canceled meanwhile gets no deliveries in place of a failed one`, async () => {
    const store = await drained(await open());
    const send = mailSend(newEnvironmentId());
    const [held] = (await claimed(store, send)) as [Delivery];
    assert.equal((await store.pipeline.cancel(held.environmentId, held.messageId, LATER))?.canceled, true);
    const instead = anItem(send.message, { createdAt: LATER });
    assert.deepEqual(await store.pipeline.settle([settlement(held, failed([instead]))]), ["written"]);
    const record = await store.messages.read(held.environmentId, held.messageId);
    assert.deepEqual(
      record?.deliveries.map((d) => d.state),
      ["failed"],
    );
    assert.equal(record?.message.state, "canceled");
    assert.equal(record?.attempts.length, 1);
    assert.equal(await store.inbox.count(held.environmentId, { userId: "ann" }, LATER), 0);
  });

  test(`${name}: a message canceled during a try is not tried again when the try fails`, async () => {
    const store = await drained(await open());
    const [held] = (await claimed(store, mailSend(newEnvironmentId()))) as [Delivery];
    assert.equal((await store.pipeline.cancel(held.environmentId, held.messageId, LATER))?.canceled, true);
    const again: Next = { state: "pending", dueAt: LATER + 5, error: "451", startedAt: LATER };
    assert.deepEqual(await store.pipeline.settle([settlement(held, again)]), ["written"]);
    const record = await store.messages.read(held.environmentId, held.messageId);
    assert.deepEqual([record?.deliveries[0]?.state, record?.attempts.length], ["canceled", 1]);
    assert.deepEqual(await store.pipeline.claimDeliveries(LATER * 2, 10, LATER * 3), []);
  });

  test(`${name}: a message canceled during a try that nobody settles or that is given back is not tried again`, async () => {
    const store = await drained(await open());
    const env = newEnvironmentId();
    const [lapsed, released] = (await claimed(store, mailSend(env), mailSend(env))) as [Delivery, Delivery];
    for (const { messageId } of [lapsed, released]) await store.pipeline.cancel(env, messageId, LATER);
    await store.pipeline.releaseLeases([released.id], released.leaseUntil as number);
    assert.deepEqual(await store.pipeline.claimDeliveries(LATER * 2, 10, LATER * 3), []);
    for (const { id } of [lapsed, released]) {
      const now = await store.messages.readDelivery(env, id);
      assert.deepEqual([now?.state, now?.leaseUntil], ["canceled", null]);
    }
  });

  test(`${name}: what was decided on while another delivery was pending is decided on again once it is not`, async () => {
    const store = await drained(await open());
    const env = newEnvironmentId();
    const request = aRequest(env);
    const message = aMessage(request);
    const deliveries = [0, 1, 2].map(() => aDelivery(message));
    const [a, b, c] = (await claimed(store, accepting(request, [{ message, deliveries }]))) as [
      Delivery,
      Delivery,
      Delivery,
    ];
    const besides = (delivery: Delivery, ...others: readonly Delivery[]): Settlement =>
      settlement(delivery, { ...(failed() as Next & { state: "failed" }), besides: others.map(({ id }) => id) });
    // In one batch the first counts for those behind it.
    assert.deepEqual(await store.pipeline.settle([besides(a, b, c), besides(b, a, c)]), ["written", "again"]);
    assert.deepEqual(await store.pipeline.settle([besides(b, c, a)]), ["again"]);
    assert.equal((await store.messages.readDelivery(env, b.id))?.state, "pending");
    const both = await Promise.all([store.pipeline.settle([besides(b, c)]), store.pipeline.settle([besides(c, b)])]);
    assert.deepEqual(both.flat().sort(), ["again", "written"]);
    assert.equal((await messageNow(store, message)).state, "routed");
    const [last] = both[0]?.[0] === "again" ? [b] : [c];
    assert.deepEqual(await store.pipeline.settle([besides(last)]), ["written"]);
    assert.equal((await messageNow(store, message)).state, "undeliverable");
  });

  test(`${name}: simulated and canceled settlements end their delivery`, async () => {
    const store = await drained(await open());
    const [a, b] = (await claimed(store, mailSend(newEnvironmentId()), mailSend(newEnvironmentId()))) as [
      Delivery,
      Delivery,
    ];
    await store.pipeline.settle([
      settlement(a, { state: "simulated", at: LATER, reference: null }),
      settlement(b, { state: "canceled", at: LATER }, { attempt: null }),
    ]);
    assert.equal((await store.messages.readDelivery(a.environmentId, a.id))?.state, "simulated");
    assert.equal((await messageOf(store, a)).state, "simulated");
    const canceled = await store.messages.readDelivery(b.environmentId, b.id);
    assert.deepEqual([canceled?.state, canceled?.attempts, canceled?.leaseUntil], ["canceled", 0, null]);
  });

  // ——— canceling ———————————————————————————————————————————————————————————————————————————————————————————————————

  test(`${name}: canceling takes along what no one has claimed, once, in its own environment only`, async () => {
    const store = await drained(await open());
    const send = mailSend(newEnvironmentId());
    await store.pipeline.accept([send]);
    const { environmentId, id } = send.message;
    assert.equal(await store.pipeline.cancel(newEnvironmentId(), id, T0 + 1), null);
    const first = await store.pipeline.cancel(environmentId, id, T0 + 1);
    assert.deepEqual(first, { message: { ...send.message, state: "canceled", canceledAt: T0 + 1 }, canceled: true });
    const second = await store.pipeline.cancel(environmentId, id, T0 + 2);
    assert.deepEqual(second, { message: first?.message, canceled: false });
    assert.equal((await store.messages.readDelivery(environmentId, send.delivery.id))?.state, "canceled");
    assert.deepEqual(await store.pipeline.claimDeliveries(LATER, 10, LATER * 2), []);
  });

  test(`${name}: what was sent cannot be canceled`, async () => {
    const store = await drained(await open());
    const send = mailSend(newEnvironmentId(), { message: { state: "sent" } });
    await store.pipeline.accept([send]);
    const { environmentId, id } = send.message;
    assert.deepEqual(await store.pipeline.cancel(environmentId, id, T0), { message: send.message, canceled: false });
    assert.equal((await store.messages.readDelivery(environmentId, send.delivery.id))?.state, "pending");
  });

  test(`${name}: of canceling and claiming at the same time, each delivery belongs to exactly one`, async () => {
    const store = await drained(await open());
    const env = newEnvironmentId();
    const sends = Array.from({ length: 60 }, () => mailSend(env));
    await store.pipeline.accept(sends);
    const [claims] = await Promise.all([
      Promise.all(Array.from({ length: 6 }, () => store.pipeline.claimDeliveries(T0, 10, T0 + 1000))),
      Promise.all(sends.map((s) => store.pipeline.cancel(env, s.message.id, T0))),
    ]);
    const claimedIds = new Set(claims.flat().map((d) => d.id));
    for (const { delivery } of sends) {
      const now = await store.messages.readDelivery(env, delivery.id);
      assert.equal(now?.state, claimedIds.has(delivery.id) ? "pending" : "canceled");
    }
  });

  async function messageOf(store: Store, delivery: Delivery): Promise<Message> {
    const record = await store.messages.read(delivery.environmentId, delivery.messageId);
    assert.ok(record);
    return record.message;
  }
});

let events = 0;
function eventOf(delivery: Delivery) {
  const { environmentId, messageId, id } = delivery;
  return { id: `evt_${events++}` as const, environmentId, messageId, deliveryId: id, data: null };
}

function keyed(send: Acceptance, key: string, body: string, expiresAt = T0 + 1000): Acceptance {
  return { ...send, idempotency: { scope: "send", key, expiresAt, answer: { status: 202, body } } };
}
