/** What each kind of task does on one page: pure bookkeeping around reads; the effects are written by the runner. */
import type { Clock, Millis } from "../../lib/clock.ts";
import { newId } from "../../lib/ids.ts";
import type { Json, JsonObject } from "../../lib/json.ts";
import type { Delivery, MessageId } from "../model.ts";
import type { Store } from "../ports.ts";
import { deliveryTo } from "./delivery-to.ts";
import { maySend, wants } from "./match.ts";
import type {
  AppEndpoint,
  AppEndpointId,
  AppId,
  AppMessage,
  AppMessageHead,
  EndpointMessage,
  Task,
  TaskKind,
} from "./model.ts";
import type { AppAcceptance, TaskEffects, Walk } from "./ports.ts";
import { endpointById, type Snapshots } from "./snapshots.ts";
import type { Applications, AppSnapshot } from "./webhooks.ts";

export interface TaskPageDeps {
  readonly store: Pick<Store, "appMessages">;
  readonly snapshots: Snapshots;
  readonly applications: Applications;
  readonly clock: Clock;
}

export interface TaskPage {
  /** Null: this was the last page. */
  readonly cursor: string | null;
  readonly effects: TaskEffects;
  /** Progress as it is afterwards, given which of `effects.messages` were written and how many deliveries begin. */
  readonly data: (written: readonly boolean[], begun: number) => JsonObject;
  /** Ends the task as failed. */
  readonly failed?: string;
}

type Page = (task: Task, deps: TaskPageDeps) => Promise<TaskPage>;

const PAGE = 100;
const APP_PAGE = 50;
/** Recovering sends again at most so many messages. */
const MOST_RECOVERED = 10_000;
/** Entries kept of results that have one for each application. */
const MOST_LISTED = 10_000;

export const TASK_PAGES: { readonly [kind in Exclude<TaskKind, "event-type-import">]: Page } = {
  recover: recoverPage,
  "replay-missing": replayMissingPage,
  "bulk-replay": bulkReplayPage,
  expunge: expungePage,
  broadcast: broadcastPage,
  "app-usage": appUsagePage,
  "event-type-usage": eventTypeUsagePage,
};

interface EndpointSpec {
  readonly appId: AppId;
  readonly endpointId: AppEndpointId;
  readonly from: Millis;
  readonly to: Millis;
}

/** Specs are written by `tasks.start` and read only here. */
function specOf<T>(task: Task): T {
  return task.spec as unknown as T;
}

async function endpointOf(task: Task, deps: TaskPageDeps): Promise<AppEndpoint | null> {
  const { appId, endpointId } = specOf<EndpointSpec>(task);
  const known = await deps.snapshots.get(task.environmentId, appId);
  const endpoint = known === null ? undefined : endpointById(known, endpointId);
  if (endpoint !== undefined) return endpoint;
  // Memory may be a second old: an endpoint that another process has just made must not be taken for gone.
  const fresh = await deps.snapshots.get(task.environmentId, appId, true);
  return (fresh === null ? undefined : endpointById(fresh, endpointId)) ?? null;
}

/** What is no longer kept cannot be sent again; trying to would only make a delivery that came to its end look failed. */
function hasContent(message: Pick<AppMessage, "payloadUntil">, now: Millis): boolean {
  return message.payloadUntil > now;
}

/** A delivery with the whole schedule; not before the sender wants the message to be sent at all. */
function scheduled(endpoint: AppEndpoint, message: AppMessageHead, now: Millis): Delivery {
  return deliveryTo(endpoint, message, { manual: false, dueAt: Math.max(now, message.deliverAt ?? now) });
}

function sentSoFar(task: Task): number {
  return typeof task.data.messagesSent === "number" ? task.data.messagesSent : 0;
}

const GONE: TaskPage = {
  cursor: null,
  effects: {},
  data: () => ({ messagesSent: 0, error: "the endpoint is gone" }),
  failed: "the endpoint is gone",
};

/** Messages whose tries in the window failed and that never got through: one manual try each. */
async function recoverPage(task: Task, deps: TaskPageDeps): Promise<TaskPage> {
  const endpoint = await endpointOf(task, deps);
  if (endpoint === null) return GONE;
  const { appId, endpointId, from, to } = specOf<EndpointSpec>(task);
  const sent = sentSoFar(task);
  // Tries by hand look at no filter, and would only be thrown away one by one.
  if (!maySend(endpoint)) return { cursor: null, effects: {}, data: () => ({ messagesSent: sent }) };
  const limit = Math.min(PAGE, MOST_RECOVERED - sent);
  const { environmentId, cursor } = task;
  const heads = await deps.store.appMessages.failedAt(
    environmentId,
    appId,
    endpointId,
    { from, to },
    cursor as MessageId | null,
    limit,
  );
  const dueAt = deps.clock.now();
  const chosen = heads.filter((message) => hasContent(message, dueAt));
  const total = sent + chosen.length;
  return {
    cursor: heads.length < limit || total >= MOST_RECOVERED ? null : (heads.at(-1)?.id ?? null),
    effects: { manual: chosen.map((message) => deliveryTo(endpoint, message, { manual: true, dueAt })) },
    data: () => ({ messagesSent: total }),
  };
}

/** Messages of the window that the endpoint wants and never got a try of: deliveries with the whole schedule. */
async function replayMissingPage(task: Task, deps: TaskPageDeps): Promise<TaskPage> {
  const endpoint = await endpointOf(task, deps);
  if (endpoint === null) return GONE;
  const { appId, endpointId, from, to } = specOf<EndpointSpec>(task);
  const { environmentId, cursor } = task;
  const heads = await deps.store.appMessages.untriedAt(
    environmentId,
    appId,
    endpointId,
    { from, to },
    cursor as MessageId | null,
    PAGE,
  );
  const now = deps.clock.now();
  const missing = heads
    .filter((message) => wants(endpoint, message) && hasContent(message, now))
    .map((message) => scheduled(endpoint, message, now));
  return {
    cursor: heads.length < PAGE ? null : (heads.at(-1)?.id ?? null),
    effects: { missing },
    data: (_, begun) => ({ messagesSent: sentSoFar(task) + begun }),
  };
}

interface BulkReplaySpec extends EndpointSpec {
  readonly eventTypes: readonly string[] | null;
  readonly channel: string | null;
  readonly tag: string | null;
  readonly statuses: readonly EndpointMessage["status"][] | null;
  readonly statusCodeClass: number | null;
}

/** Every message of the window that matches, whatever became of it before. */
async function bulkReplayPage(task: Task, deps: TaskPageDeps): Promise<TaskPage> {
  const endpoint = await endpointOf(task, deps);
  if (endpoint === null) return GONE;
  const spec = specOf<BulkReplaySpec>(task);
  const filter = {
    from: spec.from,
    to: spec.to,
    ...(spec.eventTypes === null ? {} : { eventTypes: spec.eventTypes }),
    ...(spec.channel === null ? {} : { channels: [spec.channel] }),
    ...(spec.tag === null ? {} : { tag: spec.tag }),
  };
  const walk = pageFrom(task.cursor, PAGE);
  const { appMessages } = deps.store;
  const found = await (async (): Promise<{ items: readonly AppMessage[]; more: boolean }> => {
    if (spec.statuses === null && spec.statusCodeClass === null) {
      return await appMessages.list(task.environmentId, spec.appId, filter, walk, false);
    }
    const statuses = spec.statuses === null ? {} : { statuses: spec.statuses };
    const pairs = await appMessages.messagesOf(
      task.environmentId,
      spec.appId,
      spec.endpointId,
      { ...filter, ...statuses },
      walk,
      false,
    );
    return { items: pairs.items.map(({ message }) => message), more: pairs.more };
  })();
  const now = deps.clock.now();
  const chosen: AppMessage[] = [];
  for (const message of found.items) {
    if (!wants(endpoint, message) || !hasContent(message, now)) continue;
    if (await lastTryIsOfClass(task, spec, message, deps)) chosen.push(message);
  }
  return {
    cursor: found.more ? (found.items.at(-1)?.id ?? null) : null,
    effects: { again: chosen.map((message) => scheduled(endpoint, message, now)) },
    data: (_, begun) => ({ messagesSent: sentSoFar(task) + begun }),
  };
}

async function lastTryIsOfClass(
  task: Task,
  spec: BulkReplaySpec,
  message: AppMessage,
  deps: TaskPageDeps,
): Promise<boolean> {
  if (spec.statusCodeClass === null) return true;
  const { items } = await deps.store.appMessages.listAttempts(
    task.environmentId,
    spec.appId,
    { endpointId: spec.endpointId, messageId: message.id },
    { limit: 1, from: null, order: "descending" },
  );
  const code = items[0]?.statusCode;
  return code !== undefined && code >= spec.statusCodeClass && code < spec.statusCodeClass + 100;
}

function pageFrom(cursor: string | null, limit: number): Walk {
  return { limit, from: cursor === null ? null : { key: cursor, back: false }, order: "ascending" };
}

async function expungePage(task: Task, deps: TaskPageDeps): Promise<TaskPage> {
  const { appId } = specOf<{ appId: AppId }>(task);
  // Messages that come in after the call are not meant.
  const filter = { to: task.createdAt + 1 };
  const { items, more } = await deps.store.appMessages.list(
    task.environmentId,
    appId,
    filter,
    pageFrom(task.cursor, PAGE),
    false,
  );
  const purged = typeof task.data.messagesPurged === "number" ? task.data.messagesPurged : 0;
  return {
    cursor: more ? (items.at(-1)?.id ?? null) : null,
    effects: { expunge: { appId, ids: items.map(({ id }) => id) } },
    data: () => ({ messagesPurged: purged + items.length }),
  };
}

interface BroadcastSpec {
  readonly eventId: string | null;
  readonly eventType: string;
  readonly payload: string;
  readonly channels: readonly string[] | null;
  readonly keepMs: Millis;
}

async function broadcastPage(task: Task, deps: TaskPageDeps): Promise<TaskPage> {
  const { eventId, eventType, payload, channels, keepMs } = specOf<BroadcastSpec>(task);
  const { items, more } = await deps.applications.list(task.environmentId, pageFrom(task.cursor, APP_PAGE));
  const now = deps.clock.now();
  const messages: AppAcceptance[] = [];
  for (const { id: appId } of items) {
    // Nobody checks afterwards whether the endpoints are still these.
    const snapshot = await deps.snapshots.get(task.environmentId, appId, true);
    if (snapshot === null) continue;
    const message: AppMessage = {
      environmentId: task.environmentId,
      appId,
      id: newId("msg", now),
      eventId,
      eventType,
      channels,
      tags: null,
      payload,
      raw: null,
      parameters: null,
      deliverAt: null,
      payloadUntil: now + keepMs,
      createdAt: now,
    };
    messages.push({ message, deliveries: deliveriesOf(snapshot, message, now), generation: null, idempotency: null });
  }
  const created = listOf(task.data.created);
  const failed = listOf(task.data.failed);
  return {
    cursor: more ? (items.at(-1)?.id ?? null) : null,
    effects: { messages },
    data: (written) => ({
      created: bounded([
        ...created,
        ...messages.filter((_, i) => written[i]).map(({ message: { appId, id } }) => ({ appId, messageId: id })),
      ]),
      failed: bounded([
        ...failed,
        ...messages
          .filter((_, i) => !written[i])
          .map(({ message: { appId } }) => ({ appId, reason: "it has a message with this event id" })),
      ]),
    }),
  };
}

function deliveriesOf(snapshot: AppSnapshot, message: AppMessage, dueAt: Millis) {
  return snapshot.endpoints
    .filter((endpoint) => wants(endpoint, message))
    .map((endpoint) => deliveryTo(endpoint, message, { manual: false, dueAt }));
}

function listOf(value: Json | undefined): readonly Json[] {
  return Array.isArray(value) ? value : [];
}

function bounded(list: readonly Json[]): Json[] {
  return list.slice(0, MOST_LISTED) as Json[];
}

/** How many pairs of message and endpoint each application had in the window. */
async function appUsagePage(task: Task, deps: TaskPageDeps): Promise<TaskPage> {
  const { appIds, from, to } = specOf<{ appIds: readonly AppId[] | null; from: Millis; to: Millis }>(task);
  let ids: readonly AppId[];
  let cursor: string | null;
  if (appIds === null) {
    const { items, more } = await deps.applications.list(task.environmentId, pageFrom(task.cursor, APP_PAGE));
    ids = items.map(({ id }) => id);
    cursor = more ? (ids.at(-1) ?? null) : null;
  } else {
    const at = Number(task.cursor ?? 0);
    ids = appIds.slice(at, at + APP_PAGE);
    cursor = at + APP_PAGE < appIds.length ? `${at + APP_PAGE}` : null;
  }
  const apps: Json[] = [];
  for (const appId of ids) {
    const messages = await deps.store.appMessages.countPairs(task.environmentId, appId, from, to);
    apps.push({ appId, messages });
  }
  return { cursor, effects: {}, data: () => ({ apps: bounded([...listOf(task.data.apps), ...apps]) }) };
}

/** Which event types each application's endpoints ask for by name, and whether one takes all. */
async function eventTypeUsagePage(task: Task, deps: TaskPageDeps): Promise<TaskPage> {
  const { items, more } = await deps.applications.list(task.environmentId, pageFrom(task.cursor, APP_PAGE));
  const apps: Json[] = [];
  for (const { id: appId } of items) {
    const snapshot = await deps.snapshots.get(task.environmentId, appId);
    if (snapshot === null) continue;
    const named = new Set(snapshot.endpoints.flatMap(({ eventTypes }) => eventTypes ?? []));
    const catchAll = snapshot.endpoints.some(({ eventTypes }) => eventTypes === null);
    apps.push({ appId, eventTypes: [...named].sort(), catchAll });
  }
  return {
    cursor: more ? (items.at(-1)?.id ?? null) : null,
    effects: {},
    data: () => ({ apps: bounded([...listOf(task.data.apps), ...apps]) }),
  };
}
