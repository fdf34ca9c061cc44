/**
 * Calls every method of every store, each in the ways that make it ask the database something different. One call
 * after the other, always the same: what it makes the stores say is compared with test/storage/sql/.
 */
import type { ApiKey, Delivery, DeviceToken, EnvironmentId } from "../../src/engine/model.ts";
import type { Acceptance, Settlement, TenantChange } from "../../src/engine/ports.ts";
import type { TenantBody } from "../../src/engine/templates.ts";
import type { AppAcceptance, Walk } from "../../src/engine/webhooks/ports.ts";
import {
  KNOCK_WEBHOOK,
  keyInTime,
  type PartyRef,
  type Run,
  type TriggerSpec,
  USERS,
} from "../../src/engine/workflow/model.ts";
import { newId } from "../../src/lib/ids.ts";
import type { JsonObject } from "../../src/lib/json.ts";
import { appMessageStore } from "../../src/storage/app-messages.ts";
import { audienceStore } from "../../src/storage/audiences.ts";
import { bulkOperationStore } from "../../src/storage/bulk-operations.ts";
import { captureStore } from "../../src/storage/captured.ts";
import type { Database } from "../../src/storage/database.ts";
import { delayedStore } from "../../src/storage/delayed.ts";
import { deliveryStore } from "../../src/storage/deliveries.ts";
import { deviceStore } from "../../src/storage/devices.ts";
import { documentStore } from "../../src/storage/documents.ts";
import { endpointAttemptStore } from "../../src/storage/endpoint-attempts.ts";
import { endpointHealthStore } from "../../src/storage/endpoint-health.ts";
import { endpointPairStore } from "../../src/storage/endpoint-pairs.ts";
import { endpointQueueStore } from "../../src/storage/endpoint-queue.ts";
import { environmentStore } from "../../src/storage/environments.ts";
import { happeningStore } from "../../src/storage/happenings.ts";
import { housekeepingStore } from "../../src/storage/housekeeping.ts";
import { idempotencyStore } from "../../src/storage/idempotency.ts";
import { inboxStore } from "../../src/storage/inbox.ts";
import { inboxBriefStore } from "../../src/storage/inbox-brief.ts";
import { listStore } from "../../src/storage/lists.ts";
import { membershipStore } from "../../src/storage/memberships.ts";
import { userMergeStore } from "../../src/storage/merge-users.ts";
import { messageChangeStore } from "../../src/storage/message-changes.ts";
import { messageStore } from "../../src/storage/messages.ts";
import { objectSubscriptionStore } from "../../src/storage/object-subscriptions.ts";
import { partyStore } from "../../src/storage/parties.ts";
import { partyDocumentStore } from "../../src/storage/party-documents.ts";
import { recallStore } from "../../src/storage/recalls.ts";
import { requestStore } from "../../src/storage/requests.ts";
import { runStore } from "../../src/storage/runs.ts";
import { scheduleStore } from "../../src/storage/schedules.ts";
import { taskStore } from "../../src/storage/tasks.ts";
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
import { ANN, aBatching, aLeg, aSchedule, aState, aThrottle, aTrigger, waiting } from "../conformance/run-fixtures.ts";
import {
  anAppMessage,
  aTask,
  claimedOf,
  manually,
  newAppId,
  newEndpointId,
  publishing,
  toEndpoint,
  tried,
  ALL as WHOLE,
} from "../conformance/webhook-fixtures.ts";

const LATER = T0 + 10_000_000;
const HELD = LATER + 1000;
const ALL = 1000;
const BLANK: TenantBody = { name: "", parentId: null, brandId: null, properties: {}, userProfile: {}, extra: {} };
const renaming: TenantChange = { id: "acme", change: (old) => ({ ...(old ?? BLANK), name: "Acme" }) };
/** One more than storage removes of a tenant's members in one commit. */
const MANY_MEMBERS = 5001;
/** One more than goes with its batch in one commit. */
const LARGE_BATCH = 1001;
const TRIGGER: TriggerSpec = {
  key: "welcome",
  versionId: "wfv_1",
  actor: null,
  cancellationKey: null,
  source: { type: "api" },
  sandbox: false,
  skipDelay: false,
  depth: 0,
};

/** The stores by the file that makes them. */
export const NOUNS = {
  "app-messages": appMessageStore,
  audiences: audienceStore,
  "bulk-operations": bulkOperationStore,
  captured: captureStore,
  delayed: delayedStore,
  deliveries: deliveryStore,
  devices: deviceStore,
  documents: documentStore,
  "endpoint-attempts": endpointAttemptStore,
  "endpoint-health": endpointHealthStore,
  "endpoint-pairs": endpointPairStore,
  "endpoint-queue": endpointQueueStore,
  environments: environmentStore,
  happenings: happeningStore,
  housekeeping: housekeepingStore,
  idempotency: idempotencyStore,
  inbox: inboxStore,
  "inbox-brief": inboxBriefStore,
  lists: listStore,
  memberships: membershipStore,
  "merge-users": userMergeStore,
  "message-changes": messageChangeStore,
  messages: messageStore,
  "object-subscriptions": objectSubscriptionStore,
  parties: partyStore,
  "party-documents": partyDocumentStore,
  recalls: recallStore,
  requests: requestStore,
  runs: runStore,
  schedules: scheduleStore,
  tasks: taskStore,
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
  await parties(stores);
  await mergeUsers(stores, given);
  await devices(stores);
  await documents(stores);
  await idempotency(stores);
  await captured(stores);
  await requests(stores);
  await delayed(stores, given);
  await deliveries(stores, given);
  await messages(stores, given);
  await inboxBrief(stores, given);
  await recalls(stores, given);
  await messageChanges(stores, given);
  await happenings(stores, given);
  await inbox(stores, given);
  await appMessages(stores, given);
  await endpointQueue(stores, given);
  await endpointSettling(stores, given);
  await endpointHealth(stores);
  await endpointAttempts(stores);
  await endpointPairs(stores);
  await tasks(stores, given);
  await runs(stores, given);
  await runGates(stores, given);
  await runCancels(stores, given);
  await schedules(stores);
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

function aToken(token: string, userId: string): DeviceToken {
  return {
    token,
    userId,
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
}

async function tokens({ tokens: store }: Stores): Promise<void> {
  const env = newEnvironmentId();
  await store.putTokens(env, [aToken("t", "ann")]);
  await store.tokens(env, "ann");
  await store.readToken(env, "ann", "t");
  await store.modifyToken(env, "ann", "t", (old) => old);
  await store.failTokens(env, ["t"], "gone", T0);
  await store.deleteToken(env, "ann", "t");
}

async function parties(stores: Stores): Promise<void> {
  const env = newEnvironmentId();
  const [ann, project] = [user("ann"), { collection: "projects", id: "p" }];
  const both = { after: keyInTime(T0, "b"), before: keyInTime(T0, "a"), limit: 10 };

  const { parties: store, "party-documents": documents } = stores;
  const change = { kind: "channel", name: "c", body: (old: JsonObject | null) => ({ ...old }) } as const;
  const remove = { kind: "preferences", name: "default", body: null } as const;
  const properties = { name: "A" };
  await store.write(env, [{ party: ann, properties, documents: [change, remove] }], T0);
  await store.write(env, [{ party: project, properties, documents: [] }], T0, [renaming]);
  await store.write(env, [], T0, [renaming]);
  await store.facts(env, [ann, project]);
  for (const walk of [{ limit: 10 }, { before: keyInTime(T0, "a"), limit: 10 }, both]) {
    await store.users(env, walk);
    await store.objects(env, "projects", walk);
  }
  await documents.modifyDocument(env, ann, "channel", "d", T0, () => ({}));
  await documents.document(env, ann, "channel", "c");
  await documents.documents(env, ann, "channel");

  const { "object-subscriptions": subscriptions } = stores;
  const pair = { object: project, recipient: ann, properties: null };
  const walk = { after: keyInTime(T0, "projects/q", "$users/bob"), limit: 10 };
  await subscriptions.subscribe(env, [pair], T0);
  for (const filter of [
    { object: project },
    { recipient: ann },
    { object: project, recipients: [ann] },
    { recipient: ann, objects: [project] },
  ]) {
    await subscriptions.subscriptions(env, filter, walk);
  }
  await subscriptions.subscribersOf(env, project, { limit: 10 });
  await subscriptions.unsubscribe(env, [pair]);
  await subscriptions.subscribe(env, [pair], T0);

  const { audiences } = stores;
  const member = { userId: "ann", tenantId: null };
  await audiences.putMembers(env, "vip", [member], T0);
  await audiences.members(env, "vip", { after: keyInTime(T0, "b", ""), limit: 10 });
  await audiences.isMember(env, "vip", "ann", null);
  await audiences.deleteMembers(env, "vip", [member]);
  await store.delete(env, [ann, project]);

  const { "bulk-operations": bulkOperations } = stores;
  await bulkOperations.putBulkOperation(env, { id: "op", body: {}, createdAt: T0 });
  await bulkOperations.bulkOperation(env, "op");
}

/** Of a user who has something of each. */
async function mergeUsers({ "merge-users": store }: Stores, given: Stores): Promise<void> {
  const env = newEnvironmentId();
  for (const id of ["ann", "bob"]) await given.users.modifyUser(env, id, T0, () => ({}));
  // Nobody is to claim it before it is gone.
  const dueAt = Number.MAX_SAFE_INTEGER;
  const trigger = aTrigger(env, {
    recipient: user("bob"),
    run: { dueAt, state: aState({ carries: newId("bat", T0) }) },
  });
  await given.requests.accept([trigger, inboxSend(env, "bob")]);
  await given.tokens.putTokens(env, [aToken("of bob", "bob")]);
  // Both are at one gate, and a request has yet to reach the one.
  const batching = ["ann", "bob"].map((id) => aTrigger(env, { recipient: user(id) }));
  const request = aRequest(env, { state: "expanding" });
  const recipients = [{ kind: "user" as const, userId: "bob", profile: {} }];
  const expanding = accepting({ ...request, spec: { ...request.spec, recipients } }, []);
  await given.requests.accept([...batching, expanding]);
  await given.runs.claim(LATER, ALL, HELD);
  await given.runs.commit(
    batching.map(({ run }) => aLeg(run, { gate: aBatching(run, "k") })),
    HELD,
  );
  await store.mergeUsers(env, "ann", "bob", T0);
}

function user(id: string): PartyRef {
  return { collection: USERS, id };
}

async function devices({ devices: store }: Stores): Promise<void> {
  const env = newEnvironmentId();
  const device = { userId: "ann", registered: true, token: "t", language: "de", info: {}, tags: {} };
  await store.modify(env, "a", T0, () => null);
  const tokens = { gets: "t", listed: () => aToken("t", "ann") };
  await store.modify(env, "a", T0, () => device, tokens);
  await store.modify(env, "b", T0, () => device, tokens);
  await store.read(env, ["a", "none"]);
  await store.withTokens(env, ["t"]);
  await store.ofUser(env, "ann", 10);
  await store.users(env, { limit: 1 });
  await store.languages(env, ["ann"]);
  await store.moveAll(env, "ann", "bob", T0);
  await store.modify(env, "b", T0, () => null);
}

async function inboxBrief({ "inbox-brief": store }: Stores, { requests: { accept } }: Stores): Promise<void> {
  const env = newEnvironmentId();
  const sends = [inboxSend(env, "ann"), inboxSend(env, "ann")] as const;
  await accept(sends);
  const filter = { userId: "ann", archived: false };
  await store.brief(env, filter, T0, { limit: 1 });
  await store.brief(env, filter, T0, { limit: 1, before: sends[0].item.id });
  await store.stamp(env, "ann");
  await store.itemsOf(env, [sends[0].message.id]);
  await store.everGot(env, "ann", T0, { limit: 1 });
  await store.everGot(env, "ann", T0, { limit: 1, after: sends[1].message.id });
}

async function recalls({ recalls: store }: Stores, { requests: { accept } }: Stores): Promise<void> {
  const env = newEnvironmentId();
  const { request, item } = inboxSend(env, "ann");
  await store.begin(env, request.id, T0, HELD);
  const send = inboxSend(env, "ann");
  await accept([send]);
  const recall = { environmentId: env, requestId: send.request.id, cursor: null };
  await store.begin(env, recall.requestId, T0, T0);
  await store.claim(LATER, ALL, HELD);
  await store.messages(recall, 10);
  await store.advance(recall, [{ userId: item.userId, until: LATER }], send.message.id, HELD);
  await store.advance(recall, [], null, HELD);
  await store.ofUser(env, "ann", T0);
  await store.move(env, "ann", "bob");
  await store.requests(env, recall.requestId, recall.requestId, 10);
  await store.sweep(LATER, ALL);
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
  const told = [publishing(anAppMessage(env, newAppId()))];
  await store.write(env, [{ kind: "k", id: "c", body: {}, expect: "any" }], T0, { told });
}

async function idempotency({ idempotency: store }: Stores): Promise<void> {
  const env = newEnvironmentId();
  const begin = () => store.begin(env, "scope", "key", T0, T0 + 1000, 1000);
  await begin();
  await store.finish(env, "scope", "key", { status: 200, body: "{}" });
  await begin();
  await store.abandon(env, "scope", "other");
  await store.find(env, "scope", "key", T0);
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
  await store.accept([{ ...inboxSend(env, "ann"), tenants: [renaming] }]);
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
      besides: sends.slice(4).map(({ delivery }) => delivery.id),
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
  await store.readDeliveries(env, [item.id]);
  await store.readMessages(env, [message.id]);
  await store.listDeliveries(env, message.id);
  await store.reached(env, request.id, ["ann"]);
  await store.signals(env, [message.id]);
  for (const filter of [
    {},
    { recipient: ANN, tenantId: "acme", channelId: "c", tags: ["a"], events: ["e"] },
    { recipient: { collection: "projects", id: "p" }, ids: [item.id], messageId: message.id },
    { requestId: request.id, tenantIds: [null], from: T0, until: LATER, linkClicked: true },
    { hasTenant: true, data: { text: "a", number: 1 }, marks: [{ field: "read", value: false }] },
    { stages: ["waiting", "tried", "sent", "delivered", "failed", "bounced", "withheld"] },
  ] as const) {
    await store.deliveriesPage(env, filter, page);
  }
  await store.deliveriesPage(env, {}, { ...page, after: item.id });
  await store.deliveriesPage(env, {}, { ...page, before: item.id });
}

/** With an endpoint whoever makes something happen notes it, too. */
async function happenings({ happenings: store, ...stores }: Stores, given: Stores): Promise<void> {
  const env = newEnvironmentId();
  const webhook = { kind: KNOCK_WEBHOOK, id: newId("ohk", T0), body: {}, expect: "absent" } as const;
  await given.documents.write(env, [webhook], T0);
  const { request, message } = aTrigger(env, { waits: false, record: { status: "completed" } });
  await stores.requests.accept([accepting(request, [{ message, deliveries: [] }])]);
  const claimed = await store.claim(LATER, ALL, HELD);
  const by = mailSend(env);
  await store.replace(
    claimed.map((happening, i) => ({
      happening,
      by: i === 0 ? { message: by.message, deliveries: [by.delivery], request: by.request } : null,
    })),
    HELD,
  );
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
    { userId, tenantIds: ["acme", null], archived: true },
    { userId, hasTenant: true, until: LATER, interacted: false, events: ["welcome"] },
    { userId, channelIds: ["a", null] },
    { userId, channelIds: ["a"] },
    { userId, tenantId: "acme", seen: true, data: { text: "a", number: 1, flag: true, nothing: null } },
  ] as const) {
    await store.list(env, filter, T0, page);
    await store.count(env, filter, T0);
    await store.piles(env, filter, T0);
  }
  // Between two items, and from one upwards.
  const bounded = { userId, tenantId: null, read: true, archived: false };
  await store.list(env, bounded, T0, { ...page, before: acme.item.id });
  await store.list(env, bounded, T0, { ...page, after: own.item.id, before: acme.item.id });
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

/** Walks from the beginning, onwards and back. */
const WALKS: readonly Walk[] = [
  WHOLE,
  { limit: 10, from: { key: "x", back: false }, order: "descending" },
  { limit: 10, from: { key: "x", back: true }, order: "descending" },
];
const FILTER = { eventTypes: ["a"], channels: ["b", "c"], tag: "d", from: T0, to: LATER };

async function appMessages({ "app-messages": store }: Stores, { documents }: Stores): Promise<void> {
  const [env, app] = [newEnvironmentId(), newAppId()];
  const make = (eventId: string | null = null) => {
    const message = anAppMessage(env, app, { eventId });
    return publishing(message, [toEndpoint(message, newEndpointId())]);
  };
  await documents.write(env, [{ kind: "app-endpoints", id: app, body: {}, expect: "any" }], T0);
  const keyed = (generation: number): AppAcceptance => ({
    ...make(),
    generation,
    idempotency: { scope: "publish", key: "k", expiresAt: LATER, answer: { status: 202, body: "" } },
  });
  await store.accept([make(), make("e")]);
  for (const generation of [2, 1, 1]) await store.accept([keyed(generation)]);
  const { message } = make("f");
  await store.accept([publishing(message)]);
  await store.read(env, app, message.id);
  await store.read(env, app, { eventId: "f" });
  await store.readMany([message]);
  for (const walk of WALKS) await store.list(env, app, {}, walk, true);
  await store.list(env, app, FILTER, WHOLE, false);
  await store.expunge(env, app, message.id);
  await store.expungeMany(env, app, [message.id]);
  await store.expireContent(T0, ALL);
}

async function endpointQueue({ "endpoint-queue": store }: Stores, { "app-messages": given }: Stores): Promise<void> {
  const message = anAppMessage(newEnvironmentId(), newAppId());
  const endpoint = newEndpointId();
  await given.accept([publishing(message, [toEndpoint(message, endpoint)])]);
  await store.addManual([manually(message, endpoint)]);
  await store.nextParked(null);
  await store.parkClaimed(await store.claimOf(endpoint, T0, ALL, HELD), HELD, LATER);
}

/** What settling has to say of deliveries to endpoints. */
async function endpointSettling({ deliveries }: Stores, given: Stores): Promise<void> {
  const message = anAppMessage(newEnvironmentId(), newAppId());
  const endpoint = newEndpointId();
  const own = toEndpoint(message, endpoint);
  await given["app-messages"].accept([publishing(message, [own])]);
  const told = [publishing(anAppMessage(message.environmentId, message.appId))];
  const settleNext = async (delivery: Delivery, over: Parameters<typeof tried>[2]): Promise<void> => {
    const claims = { appMessages: given["endpoint-queue"], pipeline: given.deliveries };
    await deliveries.settle([tried(await claimedOf(claims, delivery, T0, HELD), "failed", over)]);
  };
  await settleNext(own, { health: { failingSince: T0 }, told, wipeContent: true });
  const manual = manually(message, endpoint);
  await given["endpoint-queue"].addManual([manual]);
  await settleNext(manual, { health: "well" });
}

async function endpointHealth({ "endpoint-health": store }: Stores): Promise<void> {
  await store.failingSince(newEnvironmentId(), newEndpointId());
  await store.clearFailing(newEnvironmentId(), newEndpointId());
}

async function endpointAttempts({ "endpoint-attempts": store }: Stores): Promise<void> {
  const [env, app, endpointId] = [newEnvironmentId(), newAppId(), newEndpointId()];
  const messageId = newId("msg", T0);
  for (const walk of WALKS) await store.listAttempts(env, app, { endpointId }, walk);
  for (const filter of [
    { messageId },
    { endpointId, messageId },
    { endpointId, outcomes: ["failed"] as const },
    { endpointId, outcomes: ["sent", "failed"] as const, statusCodeClass: 500, ...FILTER },
  ]) {
    await store.listAttempts(env, app, filter, WHOLE);
    await store.countAttempts(env, app, filter, ALL);
  }
  await store.readAttempt(env, app, newId("att", T0));
  await store.expungeAttempt(env, app, newId("att", T0));
  await store.attemptCounts(env, app, endpointId, T0, LATER);
  await store.attemptCountsByType(env, app, T0, LATER, null);
  await store.attemptCountsByType(env, app, T0, LATER, ["a"]);
}

async function endpointPairs({ "endpoint-pairs": store }: Stores): Promise<void> {
  const [env, app, endpoint] = [newEnvironmentId(), newAppId(), newEndpointId()];
  for (const walk of WALKS) {
    await store.endpointsOf(env, app, newId("msg", T0), walk);
    await store.messagesOf(env, app, endpoint, {}, walk, true);
  }
  await store.messagesOf(env, app, endpoint, { ...FILTER, statuses: ["failed"] }, WHOLE, false);
  await store.failedAt(env, app, endpoint, { from: T0, to: LATER }, null, ALL);
  await store.untriedAt(env, app, endpoint, { from: T0, to: LATER }, null, ALL);
  await store.countPairs(env, app, T0, LATER);
}

async function tasks({ tasks: store }: Stores, { "app-messages": given }: Stores): Promise<void> {
  const env = newEnvironmentId();
  const task = aTask(env);
  const message = anAppMessage(env, newAppId());
  const endpoint = newEndpointId();
  await given.accept([publishing(message)]);
  await store.create(task);
  await store.read(env, task.id);
  for (const walk of WALKS) await store.list(env, {}, walk);
  await store.list(env, { state: "running", kind: "recover" }, WHOLE);
  await store.claim(LATER, ALL, HELD);
  const effects = {
    manual: [manually(message, endpoint)],
    missing: [toEndpoint(message, endpoint)],
    again: [toEndpoint(message, endpoint)],
    messages: [publishing(anAppMessage(env, message.appId))],
    expunge: { appId: message.appId, ids: [message.id] },
  };
  await store.commitPage(task, { held: HELD, next: HELD }, effects, () => task);
  await store.release(task.id, HELD);
}

async function runs({ runs: store, requests: pipeline }: Stores, { requests: { accept } }: Stores): Promise<void> {
  const env = newEnvironmentId();
  const trigger = aTrigger(env, { run: { cancellationKey: "k" } });
  const { run, message } = trigger;
  await pipeline.accept([trigger, aTrigger(env, { waits: false })]);
  await store.claim(LATER, ALL, HELD);
  await store.renew([run.messageId], HELD, HELD + 1);
  await store.release([run.messageId], HELD + 1);
  await store.read(env, run.messageId);
  await store.claim(LATER, ALL, HELD);
  const leg = {
    deliveries: [anItem(message), aDelivery(message)],
    requests: [aRequest(env, { state: "expanding" })],
    updates: [
      { party: ANN, properties: { a: 1 } },
      { party: { collection: "projects", id: "p" }, properties: { a: 1 } },
    ],
    tenants: [renaming],
  };
  await store.commit([aLeg(run, { ...leg, next: waiting(T0) })], HELD);
  await accept([aTrigger(env)]);
  const others = await store.claim(LATER, ALL, HELD);
  await store.commit(
    others.map((other) => aLeg(other)),
    HELD,
  );

  const page = { limit: 10 };
  const project = { collection: "projects", id: "p" };
  for (const filter of [
    {},
    { workflow: "welcome" },
    { statuses: ["completed"] },
    { statuses: ["cancelled"] },
    { statuses: ["paused"] },
    { statuses: ["queued", "processing"] },
    { statuses: ["processing"] },
    { statuses: ["completed", "processing", "paused"], tenantId: "acme", recipient: ANN, from: T0, until: LATER },
    { hasErrors: true, recipient: project },
    { hasErrors: false },
  ] as const) {
    await store.list(env, filter, T0, page);
  }
  await store.list(env, {}, T0, { ...page, after: message.id });
  await store.list(env, {}, T0, { ...page, before: message.id });
  await store.list(env, { statuses: ["queued"] }, T0, { ...page, after: message.id, before: message.id });
  await store.deliveries(
    env,
    leg.deliveries.map(({ id }) => id),
  );
  await store.hasRun(env, "welcome", ANN, undefined, message.id);
  await store.hasRun(env, "welcome", project, "acme", message.id);
}

async function runGates({ runs: store }: Stores, given: Stores): Promise<void> {
  const env = newEnvironmentId();
  const triggers = Array.from({ length: 5 }, () => aTrigger(env));
  await given.requests.accept(triggers);
  await given.runs.claim(LATER, ALL, HELD);
  const [first, second, third, fourth] = triggers.map(({ run }) => run) as [Run, Run, Run, Run, Run];
  await store.commit([aLeg(first, { gate: aThrottle("k", { pass: waiting(T0) }) })], HELD);
  const gate = aBatching(second, "k");
  await store.commit([aLeg(second, { gate })], HELD);
  await store.commit([aLeg(third, { gate: aBatching(third, "k", { slideMs: 100_000 }) })], HELD);
  await store.commit([aLeg(fourth, { gate: aBatching(fourth, "other", { leading: true }) })], HELD);
  await store.batch(env, gate.batchId, "asc", 10);
  await store.batch(env, gate.batchId, "desc", 10);
  const carrier = (await given.runs.claim(LATER, ALL, HELD)).find(({ messageId }) => messageId === second.messageId);
  await store.commit([aLeg(carrier as Run, { closes: { batchId: gate.batchId, version: 2 } })], HELD);

  // One that is too large to be deleted at once.
  const many = Array.from({ length: LARGE_BATCH }, () => aTrigger(env));
  await given.requests.accept(many);
  await given.runs.claim(LATER, ALL, HELD);
  const large = many.map(({ run }) => aLeg(run, { gate: aBatching(run, "large") }));
  await given.runs.commit(large, HELD);
  const opener = (await given.runs.claim(LATER, ALL, HELD)).find(
    ({ messageId }) => messageId === large[0]?.run.messageId,
  );
  await store.commit([aLeg(opener as Run)], HELD);
}

async function runCancels({ runs: store, deliveries: pipeline }: Stores, given: Stores): Promise<void> {
  const env = newEnvironmentId();
  const of = (cancellationKey: string) => aTrigger(env, { run: { cancellationKey } });
  const [first, second, waits, message, carrier] = ["a", "b", "a", "c", "d"].map(of) as ReturnType<typeof of>[];
  await given.requests.accept([first, second, waits, message, carrier].flatMap((trigger) => trigger ?? []));
  await given.runs.claim(LATER, ALL, HELD);
  const legs = [first, second, carrier].flatMap((trigger, i) =>
    trigger === undefined ? [] : [aLeg(trigger.run, { gate: aBatching(trigger.run, i === 2 ? "d" : "k") })],
  );
  await given.runs.commit(legs, HELD);
  const content = { kind: "workflow" as const, trigger: { ...TRIGGER, cancellationKey: "a" } };
  const request = aRequest(env, { state: "expanding" });
  await given.requests.accept([accepting({ ...request, spec: { ...request.spec, content } }, [])]);
  const cancel = (key: string, recipients: readonly PartyRef[] | null) =>
    store.cancel(env, "welcome", key, recipients, T0, (old) => ({ ...old, status: "cancelled" }));
  await cancel("a", null);
  await cancel("b", [ANN]);
  for (const trigger of [message, carrier])
    if (trigger !== undefined) await pipeline.cancel(env, trigger.message.id, T0);
}

async function schedules({ schedules: store }: Stores): Promise<void> {
  const env = newEnvironmentId();
  const [schedule, other] = [aSchedule(env), aSchedule(env)];
  await store.create([schedule, other]);
  await store.read(env, [schedule.id]);
  await store.update([{ ...schedule, data: { a: 1 } }]);
  const page = { limit: 10 };
  await store.list(env, {}, page);
  await store.list(env, { workflow: "w", recipients: [ANN], tenantId: "acme" }, { ...page, after: schedule.id });
  await store.list(env, { workflow: "w" }, { ...page, before: schedule.id });
  await store.claim(LATER, ALL, HELD);
  await store.fire(schedule, HELD, aRequest(env, { state: "expanding" }), null);
  await store.delete(env, [schedule.id]);
}

async function housekeeping({ housekeeping: store }: Stores, given: Stores): Promise<void> {
  const { accept } = given.requests;
  await accept([tagged(newEnvironmentId())]);
  const empty = aRequest(newEnvironmentId());
  await accept([accepting(empty, [])]);
  await given["app-messages"].accept([publishing(anAppMessage(newEnvironmentId(), newAppId()))]);
  await store.sweep(LATER * 2, { messagesMs: 1, inboxMs: 1, capturedMs: 1 }, 10 * ALL);
}
