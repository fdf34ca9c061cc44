import assert from "node:assert/strict";
import { test } from "node:test";
import type { EnvironmentId, MessageChange, Request } from "../../src/engine/model.ts";
import type { Acceptance, Planned, Store } from "../../src/engine/ports.ts";
import { newId, withPrefix } from "../../src/lib/ids.ts";
import { forEachDatabase } from "./databases.ts";
import {
  accepting,
  aDelivery,
  aMessage,
  anAttempt,
  aRequest,
  inboxSend,
  mailSend,
  newEnvironmentId,
  progressOf,
  T0,
} from "./fixtures.ts";

const LATER = T0 + 10_000_000;
const HELD = LATER + 1000;

forEachDatabase((name, open) => {
  /** An environment with an endpoint, and nothing left over from other tests. */
  async function listening(): Promise<{ store: Store; env: EnvironmentId }> {
    const store = await open();
    for (let left = 1; left > 0; ) left = (await store.messageChanges.claim(LATER * 2, 1000, LATER * 1000)).length;
    for (let left = 1; left > 0; ) left = (await store.pipeline.claimDeliveries(LATER * 2, 1000, LATER * 1000)).length;
    const env = newEnvironmentId();
    await addEndpoint(store, env);
    return { store, env };
  }

  async function addEndpoint(store: Store, env: EnvironmentId): Promise<string> {
    const id = newId("ohk", T0);
    const body = { url: "https://x.io/", secret: null, events: [] };
    await store.documents.write(env, [{ kind: "outbound-webhook", id, body, expect: "absent" }], T0);
    return id;
  }

  function claim(store: Store, now = LATER, leaseUntil = HELD): Promise<readonly MessageChange[]> {
    return store.messageChanges.claim(now, 1000, leaseUntil);
  }

  /** Claims what was noted and lets it go untold. @returns message ids and states. */
  async function noted(store: Store): Promise<[string, string][]> {
    const changes = await claim(store);
    const gone = await store.messageChanges.replace(
      changes.map((change) => ({ change, by: null })),
      HELD,
    );
    assert.ok(gone.every(Boolean));
    return changes.map(({ messageId, state }) => [messageId, state]);
  }

  async function claimedMail(store: Store, send: Acceptance) {
    await store.pipeline.accept([send]);
    const deliveries = await store.pipeline.claimDeliveries(LATER, 1000, HELD);
    return deliveries.filter((d) => d.messageId === send.planned[0]?.message.id);
  }

  function telling(change: MessageChange): Planned & { readonly request: Request } {
    const request = aRequest(change.environmentId);
    const message = aMessage(request, {
      id: withPrefix("msg", request.id),
      userId: null,
      recipient: change.messageId,
      toEndpoints: true,
    });
    return { request, message, deliveries: [aDelivery(message, { channel: "webhook", provider: "outbound-webhook" })] };
  }

  test(`${name}: a message that is born is noted with all it has become, in an environment with an endpoint`, async () => {
    const { store, env } = await listening();
    const inbox = inboxSend(env, "ann");
    const mail = mailSend(env);
    const dead = mailSend(env, { message: { state: "unroutable", reason: "no_channels", error: "none" } });
    const elsewhere = inboxSend(newEnvironmentId(), "ann");
    await store.pipeline.accept([inbox, mail, dead, elsewhere]);
    const none = { reason: null, error: null, openedAt: null, clickedAt: null, canceledAt: null, revision: 1 };
    const at = (sentAt: number | null) => ({ ...none, environmentId: env, sentAt, deliveredAt: sentAt });
    assert.deepEqual(await claim(store), [
      { ...at(T0), messageId: inbox.message.id, state: "delivered" },
      { ...at(null), messageId: mail.message.id, state: "routed" },
      { ...at(null), messageId: dead.message.id, state: "unroutable", reason: "no_channels", error: "none" },
    ]);
  });

  test(`${name}: nothing is noted once the last endpoint is gone`, async () => {
    const { store, env } = await listening();
    const id = await addEndpoint(store, newEnvironmentId());
    assert.ok(id);
    const { items } = await store.documents.list(env, "outbound-webhook", { limit: 10 });
    for (const document of items) {
      await store.documents.write(env, [{ kind: document.kind, id: document.id, body: null, expect: "any" }], T0);
    }
    await store.pipeline.accept([inboxSend(env, "ann")]);
    assert.deepEqual(await noted(store), []);
  });

  test(`${name}: each state is noted once, in the commit that brings it about`, async () => {
    const { store, env } = await listening();
    const send = mailSend(env);
    const [delivery] = await claimedMail(store, send);
    assert.ok(delivery);
    const next = { state: "sent", at: LATER, reference: null } as const;
    await store.pipeline.settle([{ delivery, leaseUntil: HELD, attempt: anAttempt(delivery), next }]);
    const { id } = send.message;
    // Both still there, in the order of the states.
    const states = await noted(store);
    assert.deepEqual(states, [
      [id, "routed"],
      [id, "sent"],
    ]);
    await store.inbox.progress(env, [progressOf(delivery, "opened", "opened", LATER)]);
    assert.deepEqual(await noted(store), [[id, "opened"]]);
    await store.inbox.progress(env, [progressOf(delivery, "opened", "opened", LATER + 1)]);
    await store.inbox.progress(env, [progressOf(delivery, "read", null, LATER + 1)]);
    assert.deepEqual(await noted(store), [], "opened again, read: that is history and no change");
  });

  test(`${name}: expanding, planning after a delay and canceling are noted`, async () => {
    const { store, env } = await listening();
    const request = aRequest(env, { state: "expanding" });
    await store.pipeline.accept([accepting(request, [])]);
    const [held] = (await store.pipeline.claimRequests(LATER, 1000, HELD)).filter((r) => r.id === request.id);
    assert.ok(held);
    const delayed = aMessage(request, { state: "delayed", dueAt: T0 + 5, plannedAt: null });
    const planned = [{ message: delayed, deliveries: [] }];
    assert.ok(await store.pipeline.commitPage(held, { held: HELD, next: HELD }, null, planned));
    assert.deepEqual(await noted(store), [[delayed.id, "delayed"]]);
    await store.pipeline.claimMessages(LATER, 1000, HELD);
    const routed = { ...delayed, state: "routed", plannedAt: LATER } as const;
    assert.deepEqual(await store.pipeline.commitPlanned([{ message: routed, deliveries: [] }], HELD), [true]);
    assert.deepEqual(await noted(store), [[delayed.id, "routed"]]);
    assert.ok((await store.pipeline.cancel(env, delayed.id, LATER))?.canceled);
    const [change] = await claim(store);
    assert.deepEqual([change?.messageId, change?.state, change?.canceledAt], [delayed.id, "canceled", LATER]);
  });

  test(`${name}: a provider that gave up is noted although the message goes on, a second one that sent it too`, async () => {
    const { store, env } = await listening();
    const send = mailSend(env);
    const [delivery] = await claimedMail(store, send);
    assert.ok(delivery);
    await noted(store);
    const failover = [aDelivery(send.message, { dueAt: T0 }), aDelivery(send.message, { dueAt: T0 })];
    const ifLast = { state: "undeliverable", reason: "failed" } as const;
    const failed = { state: "failed", at: LATER, error: "550", failover, ifLast } as const;
    await store.pipeline.settle([{ delivery, leaseUntil: HELD, attempt: anAttempt(delivery), next: failed }]);
    assert.deepEqual(await noted(store), [[send.message.id, "routed"]]);
    for (const _ of failover) {
      const [one] = await store.pipeline.claimDeliveries(LATER, 1, HELD);
      assert.ok(one);
      const next = { state: "sent", at: LATER, reference: null } as const;
      await store.pipeline.settle([{ delivery: one, leaseUntil: HELD, attempt: anAttempt(one), next }]);
      assert.deepEqual(await noted(store), [[send.message.id, "sent"]]);
    }
    const again = { state: "pending", dueAt: LATER, error: "421", startedAt: T0 } as const;
    const other = mailSend(env);
    const [retried] = await claimedMail(store, other);
    assert.ok(retried);
    await noted(store);
    await store.pipeline.settle([{ delivery: retried, leaseUntil: HELD, attempt: anAttempt(retried), next: again }]);
    assert.deepEqual(await noted(store), [], "a try that will be repeated changes nothing to be seen");
  });

  test(`${name}: what is heard of a provider is noted when the message was further already`, async () => {
    const { store, env } = await listening();
    const send = inboxSend(env, "ann");
    const mail = aDelivery(send.message, { state: "sent" });
    await store.pipeline.accept([{ ...send, planned: [{ message: send.message, deliveries: [send.item, mail] }] }]);
    await noted(store);
    await store.inbox.progress(env, [progressOf(mail, "bounced", "undeliverable", LATER)]);
    assert.deepEqual(await noted(store), [[send.message.id, "delivered"]]);
  });

  test(`${name}: a claimed change is nobody else's until the lease lapses, and wakes who waits for it`, async () => {
    const { store, env } = await listening();
    await store.pipeline.accept([inboxSend(env, "ann")]);
    assert.ok(((await store.pipeline.nextDueAt()) ?? LATER) <= T0);
    assert.equal((await claim(store)).length, 1);
    assert.equal((await claim(store)).length, 0);
    assert.equal((await claim(store, HELD, HELD + 1000)).length, 1);
  });

  test(`${name}: a change is replaced together with the message to endpoints, which is listed nowhere and no change itself`, async () => {
    const { store, env } = await listening();
    const send = inboxSend(env, "ann");
    await store.pipeline.accept([send]);
    const [change] = await claim(store);
    assert.ok(change);
    const by = telling(change);
    assert.deepEqual(await store.messageChanges.replace([{ change, by }], HELD), [true]);
    const [delivery] = (await store.pipeline.claimDeliveries(LATER, 1000, HELD)).filter(
      (d) => d.messageId === by.message.id,
    );
    assert.ok(delivery);
    const next = { state: "sent", at: LATER, reference: null } as const;
    await store.pipeline.settle([{ delivery, leaseUntil: HELD, attempt: anAttempt(delivery), next }]);
    const record = await store.messages.read(env, by.message.id);
    assert.deepEqual([record?.message.toEndpoints, record?.message.state, record?.attempts.length], [true, "sent", 1]);
    assert.deepEqual(await noted(store), []);
    const filters = [{}, { id: by.message.id }, { recipient: send.message.id }, { providers: ["outbound-webhook"] }];
    for (const filter of filters) {
      const { items } = await store.messages.list(env, filter, { limit: 10 });
      assert.deepEqual(
        items.filter((message) => message.id === by.message.id),
        [],
      );
    }
    assert.deepEqual(await store.messageChanges.replace([{ change, by: telling(change) }], HELD), [false]);
  });

  test(`${name}: what changed again while it was claimed is not replaced, but claimed anew`, async () => {
    const { store, env } = await listening();
    const send = inboxSend(env, "ann");
    const mail = aDelivery(send.message, { state: "sent" });
    await store.pipeline.accept([{ ...send, planned: [{ message: send.message, deliveries: [send.item, mail] }] }]);
    const [before] = await claim(store);
    assert.ok(before);
    await store.inbox.progress(env, [progressOf(mail, "bounced", "undeliverable", LATER)]);
    // The same moment, hence the same lease: only the revision tells the two claims apart.
    const [after] = await claim(store);
    assert.ok(after);
    assert.deepEqual(await store.messageChanges.replace([{ change: before, by: telling(before) }], HELD), [false]);
    assert.equal((await store.pipeline.claimDeliveries(LATER, 1000, HELD)).length, 0, "nothing was written of it");
    assert.deepEqual(await store.messageChanges.replace([{ change: after, by: telling(after) }], HELD), [true]);
  });

  test(`${name}: two workers share the changes of many sends without doubling one`, async () => {
    const { store, env } = await listening();
    const sends = Array.from({ length: 60 }, (_, i) => inboxSend(env, `u${i}`));
    await store.pipeline.accept(sends);
    const batches = await Promise.all(Array.from({ length: 6 }, () => store.messageChanges.claim(LATER, 25, HELD)));
    const ids = batches.flat().map((change) => change.messageId);
    assert.equal(new Set(ids).size, ids.length);
    const rest = await claim(store);
    assert.equal(ids.length + rest.length, 60);
  });
});
