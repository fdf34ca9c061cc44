/**
 * Calls every method of every store, each in the ways that make it ask the database something different. One call
 * after the other, always the same: what it makes the stores say is compared with test/storage/sql/.
 */
import type { ApiKey, DeviceToken, EnvironmentId } from "../../src/engine/model.ts";
import type { Acceptance, Settlement } from "../../src/engine/ports.ts";
import { newId } from "../../src/lib/ids.ts";
import { captureStore } from "../../src/storage/captured.ts";
import type { Database } from "../../src/storage/database.ts";
import { delayedStore } from "../../src/storage/delayed.ts";
import { deliveryStore } from "../../src/storage/deliveries.ts";
import { documentStore } from "../../src/storage/documents.ts";
import { environmentStore } from "../../src/storage/environments.ts";
import { housekeepingStore } from "../../src/storage/housekeeping.ts";
import { idempotencyStore } from "../../src/storage/idempotency.ts";
import { inboxStore } from "../../src/storage/inbox.ts";
import { listStore } from "../../src/storage/lists.ts";
import { membershipStore } from "../../src/storage/memberships.ts";
import { messageChangeStore } from "../../src/storage/message-changes.ts";
import { messageStore } from "../../src/storage/messages.ts";
import { requestStore } from "../../src/storage/requests.ts";
import { tokenStore } from "../../src/storage/tokens.ts";
import { userStore } from "../../src/storage/users.ts";
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
  progressOf,
  T0,
} from "../conformance/fixtures.ts";

const LATER = T0 + 10_000_000;
const HELD = LATER + 1000;
const ALL = 1000;
/** One more than storage removes of a tenant's members in one commit. */
const MANY_MEMBERS = 5001;

/** The stores by the file that makes them. */
export const NOUNS = {
  captured: captureStore,
  delayed: delayedStore,
  deliveries: deliveryStore,
  documents: documentStore,
  environments: environmentStore,
  housekeeping: housekeepingStore,
  idempotency: idempotencyStore,
  inbox: inboxStore,
  lists: listStore,
  memberships: membershipStore,
  "message-changes": messageChangeStore,
  messages: messageStore,
  requests: requestStore,
  tokens: tokenStore,
  users: userStore,
} as const satisfies { readonly [noun: string]: (db: Database) => object };

export type Noun = keyof typeof NOUNS;
export type Stores = { readonly [noun in Noun]: ReturnType<(typeof NOUNS)[noun]> };

/**
 * Wants a database that nobody else uses, with nothing in it.
 * @param given the same stores, not listened to: they store what the methods of others need to find.
 */
export async function callEveryMethod(stores: Stores, given: Stores): Promise<void> {
  await environments(stores);
  await users(stores);
  await lists(stores);
  await memberships(stores);
  await tokens(stores);
  await documents(stores);
  await idempotency(stores);
  await captured(stores);
  await requests(stores);
  await delayed(stores, given);
  await deliveries(stores, given);
  await messages(stores, given);
  await messageChanges(stores, given);
  await inbox(stores, given);
  // Last, because it throws away what the others have left.
  await housekeeping(stores, given);
}

async function environments({ environments: store }: Stores): Promise<void> {
  const environment = {
    id: newEnvironmentId(),
    name: "test",
    signingSecret: "s",
    publicKey: "p",
    appCode: "AAAAA-BBBBB",
    feedId: "f",
    createdAt: T0,
  };
  const key = (hash: string): ApiKey => ({
    id: newId("key", T0),
    environmentId: environment.id,
    mode: "published",
    hash,
    hint: "abcd",
    createdAt: T0,
    revokedAt: null,
  });
  const first = key("1");
  await store.create(environment, [first]);
  await store.addKey(key("2"));
  await store.update({ ...environment, name: "renamed" });
  await store.environments();
  await store.keys(environment.id);
  await store.findKey("1");
  await store.revokeKey(environment.id, first.id, T0);
}

async function users({ users: store }: Stores): Promise<void> {
  const env = newEnvironmentId();
  for (const name of ["Ann", "Anna"]) await store.modifyUser(env, "ann", T0, () => ({ name }));
  await store.facts(env, ["ann", "bob"]);
  await store.readUser(env, "ann");
  await store.deleteUser(env, "ann");
}

async function lists({ lists: store }: Stores): Promise<void> {
  const env = newEnvironmentId();
  const page = { limit: 10 };
  const to = (listId: string, userId = "ann") => ({ listId, userId, preferences: null });
  for (const name of ["News", "The news"]) await store.putList(env, { id: "news", name, preferences: null }, T0);
  await store.subscribe(env, [to("news"), to("news", "bob")], T0);
  await store.subscribe(env, [to("made.by.this")], T0);
  await store.subscribe(env, [to("news", "cyd")], T0, { listId: "news", replace: true });
  await store.readList(env, "news");
  await store.lists(env, "", () => true, page);
  await store.subscribers(env, "news", page);
  await store.subscribersOfAny(env, ["news", "made.by.this"], page);
  await store.subscriptionsOf(env, "cyd", page);
  await store.unsubscribe(env, "news", "cyd");
  await store.unsubscribeFromAll(env, "ann");
  await store.deleteList(env, "news", T0);
  await store.restoreList(env, "news", T0);
  await store.deleteList(env, "news", T0);
  await store.subscribe(env, [to("news")], T0);
  await store.deleteList(env, "news", T0);
  await store.putList(env, { id: "news", name: "News", preferences: null }, T0);
}

async function memberships({ memberships: store }: Stores): Promise<void> {
  const env = newEnvironmentId();
  const page = { limit: 10 };
  const member = (tenantId: string, i: number) => ({ tenantId, userId: `u${i}`, profile: null, createdAt: T0 });
  await store.putMemberships(env, [member("acme", 1), member("beta", 1), member("beta", 2)]);
  await store.readMembership(env, "u1", "acme");
  await store.tenantsOf(env, "u1", page);
  await store.membersOfAny(env, ["acme", "beta"], page);
  await store.filterMembers(env, ["u1", "u2"], ["acme", "beta"]);
  await store.deleteMembership(env, "u2", "beta");
  await store.deleteMembershipsOfUser(env, "u1");
  await store.putMemberships(
    env,
    Array.from({ length: MANY_MEMBERS }, (_, i) => member("large", i)),
  );
  await store.deleteMembershipsOfTenant(env, "large");
}

async function tokens({ tokens: store }: Stores): Promise<void> {
  const env = newEnvironmentId();
  const token: DeviceToken = {
    token: "t",
    userId: "ann",
    provider: "firebase-fcm",
    state: "active",
    stateReason: null,
    expiresAt: null,
    device: null,
    properties: null,
    tracking: null,
    createdAt: T0,
    updatedAt: T0,
  };
  await store.putTokens(env, [token]);
  await store.tokens(env, "ann");
  await store.readToken(env, "ann", "t");
  await store.modifyToken(env, "ann", "t", (old) => old);
  await store.failTokens(env, ["t"], "gone", T0);
  await store.deleteToken(env, "ann", "t");
}

async function documents({ documents: store }: Stores): Promise<void> {
  const env = newEnvironmentId();
  const write = (id: string, expect: number | "absent" | "any", body: object | null = {}) =>
    store.write(env, [{ kind: "k", id, body: body === null ? null : { ...body }, expect }], T0);
  await write("a", "absent");
  await write("b", "any");
  await write("a", 1);
  await store.read(env, "k", "a");
  await store.readMany(env, [
    { kind: "k", id: "a" },
    { kind: "k", id: "none" },
  ]);
  for (const newestFirst of [false, true]) {
    await store.list(env, "k", { limit: 10, newestFirst });
    await store.list(env, "k", { limit: 10, after: "a", newestFirst });
  }
  await write("b", "any", null);
}

async function idempotency({ idempotency: store }: Stores): Promise<void> {
  const env = newEnvironmentId();
  const begin = () => store.begin(env, "scope", "key", T0, T0 + 1000, 1000);
  await begin();
  await store.finish(env, "scope", "key", { status: 200, body: "{}" });
  await begin();
  await store.abandon(env, "scope", "other");
}

async function captured({ captured: store }: Stores): Promise<void> {
  const env = newEnvironmentId();
  const { delivery } = mailSend(env);
  const { messageId, id: deliveryId } = delivery;
  const one = { environmentId: env, messageId, deliveryId, channel: "email" as const, provider: "capture", at: T0 };
  await store.add([{ ...one, id: newId("cap", T0), address: {}, payload: {} }]);
  await store.list(env, {}, { limit: 10 });
  await store.list(env, { channel: "email", messageId }, { limit: 10, after: newId("cap", LATER) });
  await store.clear(env);
}

/** With two tags, so that they are written too. */
function tagged(env: EnvironmentId): ReturnType<typeof inboxSend> {
  return inboxSend(env, "ann", { message: { tags: ["a", "b"] } });
}

async function requests({ requests: store }: Stores): Promise<void> {
  const env = newEnvironmentId();
  await store.accept([inboxSend(env, "ann"), tagged(env), mailSend(env)]);
  const keyed = (): Acceptance => ({
    ...inboxSend(env, "ann"),
    idempotency: { scope: "send", key: "k", expiresAt: LATER, answer: { status: 202, body: "" } },
  });
  await store.accept([keyed()]);
  await store.accept([keyed()]);

  const request = aRequest(env, { state: "expanding" });
  await store.accept([accepting(request, [])]);
  await store.claimRequests(LATER, ALL, HELD);
  const lease = { held: HELD, next: HELD };
  const { message, item } = inboxSend(env, "bob");
  await store.commitPage(request, lease, "1", [{ message, deliveries: [item] }]);
  await store.commitPage({ ...request, cursor: "1" }, lease, null, []);
}

async function delayed({ delayed: store }: Stores, { requests: { accept } }: Stores): Promise<void> {
  const request = aRequest(newEnvironmentId());
  const message = aMessage(request, { state: "delayed", dueAt: T0, plannedAt: null });
  await accept([accepting(request, [{ message, deliveries: [] }])]);
  await store.claimMessages(LATER, ALL, HELD);
  const planned = { ...message, state: "routed" as const, plannedAt: LATER, tags: ["a"] };
  await store.commitPlanned([{ message: planned, deliveries: [anItem(planned)] }], HELD);
}

async function deliveries({ deliveries: store }: Stores, { requests: { accept } }: Stores): Promise<void> {
  const env = newEnvironmentId();
  const sends = Array.from({ length: 5 }, () => mailSend(env));
  const due = sends.map((send) => send.delivery);
  await accept(sends);
  await store.nextDueAt();
  await store.claimDeliveries(LATER, ALL, HELD);
  const ids = due.map(({ id }) => id);
  await store.renewLeases(ids, HELD, HELD + 1);
  await store.releaseLeases(ids, HELD + 1);
  await store.claimDeliveries(LATER, ALL, HELD);

  const nexts: Settlement["next"][] = [
    { state: "pending", dueAt: LATER * 2, error: "450", startedAt: T0 },
    { state: "sent", at: LATER, reference: { id: "x" } },
    { state: "failed", at: LATER, error: "550", failover: [], ifLast: { state: "undeliverable", reason: "failed" } },
    {
      state: "failed",
      at: LATER,
      error: "550",
      failover: sends.slice(3, 4).map(({ message }) => anItem(message)),
      ifLast: { state: "undeliverable", reason: "failed" },
    },
  ];
  for (const [i, next] of nexts.entries()) {
    const { delivery } = sends[i] as (typeof sends)[0];
    await store.settle([{ delivery, leaseUntil: HELD, attempt: anAttempt(delivery), next }]);
  }
  for (const { message } of sends.slice(4)) await store.cancel(env, message.id, LATER);
}

async function messages({ messages: store }: Stores, { requests: { accept } }: Stores): Promise<void> {
  const env = newEnvironmentId();
  const send = tagged(env);
  const { message, request, item } = send;
  const page = { limit: 10 };
  await accept([send]);
  await store.list(env, {}, page);
  await store.list(env, { archived: true }, { ...page, after: message.id });
  await store.list(env, { tags: ["a"] }, page);
  await store.list(env, { tags: ["a"], createdAfter: T0 }, { ...page, after: message.id });
  await store.list(env, { tags: ["a", "b"], trace: { traceId: "t", requestId: null } }, page);
  await store.list(
    env,
    {
      id: message.id,
      requestId: request.id,
      createdAfter: T0,
      event: "e",
      listId: "l",
      templateId: "t",
      providers: ["smtp"],
      recipient: "ann",
      states: ["sent", "delivered"],
      tenantId: "acme",
      trace: { traceId: "t", requestId: request.id },
    },
    page,
  );
  await store.read(env, message.id);
  await store.findByUser(env, request.id, "ann");
  await store.readRequest(env, request.id);
  await store.archiveRequest(env, request.id, T0);
  await store.readDelivery(env, item.id);
  await store.listDeliveries(env, message.id);
}

async function messageChanges(stores: Stores, given: Stores): Promise<void> {
  const { requests: pipeline, inbox, "message-changes": store } = stores;
  const env = newEnvironmentId();
  const body = { url: "https://x.example/", secret: null, events: [] };
  await given.documents.write(env, [{ kind: "outbound-webhook", id: newId("ohk", T0), body, expect: "absent" }], T0);
  // With somebody who wants to know, these note what they do.
  const send = inboxSend(env, "ann");
  await pipeline.accept([send]);
  await inbox.progress(env, [progressOf(send.item, "clicked", "clicked", T0)]);

  const changes = await store.claim(LATER, ALL, HELD);
  const request = aRequest(env);
  const message = aMessage(request, { userId: null, recipient: "x", toEndpoints: true });
  const by = { request, message, deliveries: [aDelivery(message, { channel: "webhook", provider: "outbound" })] };
  await store.replace(
    changes.map((change, i) => ({ change, by: i === 0 ? by : null })),
    HELD,
  );
}

async function inbox({ inbox: store }: Stores, { requests: { accept } }: Stores): Promise<void> {
  const env = newEnvironmentId();
  const userId = "ann";
  const acme = inboxSend(env, userId, { message: { tenantId: "acme" } });
  const own = inboxSend(env, userId, { item: { expiresAt: LATER } });
  await accept([acme, own]);
  const page = { limit: 10 };
  for (const filter of [
    { userId },
    { userId, tenantId: null, archived: false },
    { userId, tenantId: "acme", read: false, seen: false, tags: ["a"], from: T0 },
  ]) {
    await store.list(env, filter, T0, page);
    await store.count(env, filter, T0);
  }
  // Tags alone, and the time alone.
  await store.list(env, { userId, tags: ["a"] }, T0, { ...page, after: own.item.id });
  await store.count(env, { userId, from: T0 }, T0);
  await store.readByMessage(env, userId, own.message.id);

  const read = { field: "read", value: true, again: "keep" } as const;
  await store.change(env, userId, [{ ...read, deliveryId: own.item.id }], T0, (_change, delivery) => [
    progressOf(delivery, "opened", "opened", T0),
  ]);
  await store.changeAll(env, { userId }, read, T0, (delivery) => [progressOf(delivery, "read", null, T0)]);
  await store.progress(env, [progressOf(acme.item, "clicked", "clicked", T0)]);
  await store.change(env, null, [{ ...read, field: "deleted", deliveryId: acme.item.id }], T0, () => []);
  await store.expire(LATER, ALL);
}

async function housekeeping({ housekeeping: store }: Stores, { requests: { accept } }: Stores): Promise<void> {
  await accept([tagged(newEnvironmentId())]);
  const empty = aRequest(newEnvironmentId());
  await accept([accepting(empty, [])]);
  await store.sweep(LATER * 2, { messagesMs: 1, inboxMs: 1, capturedMs: 1 }, 10 * ALL);
}
