/** Background tasks as callers see them: what was asked for, how far it is, what came of it. */
import type { EnvironmentId } from "../../engine/model.ts";
import { APP, applicationIn } from "../../engine/webhooks/app-documents.ts";
import type { Task, TaskKind } from "../../engine/webhooks/model.ts";
import { isObject, type Json, type JsonObject } from "../../lib/json.ts";
import { callerOf, may, ORGANISATION } from "./access.ts";
import { contentPage } from "./content-pages.ts";
import { notFound } from "./errors.ts";
import { fromKsuid, ksuid } from "./ids.ts";
import { listResponse, type WalkRule, walkOf } from "./paging.ts";
import type { Routes, Svix } from "./svix.ts";
import { query, timestamp } from "./wire.ts";

const TASKS: WalkRule = { prefix: "qtask", ownPrefix: "task", order: "descending", orderable: true };

/** Svix's words for our kinds. */
const TYPES: { readonly [kind in TaskKind]: string } = {
  recover: "endpoint.recover",
  "replay-missing": "endpoint.replay",
  "bulk-replay": "endpoint.bulk-replay",
  "app-usage": "application.stats",
  broadcast: "message.broadcast",
  "event-type-usage": "event-type.aggregate",
  expunge: "application.purge_content",
  "event-type-import": "event-type.import",
};
const KINDS = new Map(Object.entries(TYPES).map(([kind, type]) => [type, kind as TaskKind]));
/** A kind of the vendor's that there is none of here. */
const SDK_GENERATE = "sdk.generate";
const STATES = ["running", "finished", "failed"] as const;

export const taskRoutes: Routes = (app, svix) => {
  const { tasks } = svix.webhooks;

  app.get("/background-task", ORGANISATION, async (request) => {
    const f = query(request);
    const walk = walkOf(f, TASKS);
    const state = f.oneOf("status", STATES, { nullable: true });
    const type = f.oneOf("task", [...KINDS.keys(), SDK_GENERATE], { nullable: true });
    f.done();
    const kind = type === null ? undefined : KINDS.get(type);
    const filter = { ...(state === null ? {} : { state }), ...(kind === undefined ? {} : { kind }) };
    const environmentId = callerOf(request).environment.id;
    const found =
      type === SDK_GENERATE
        ? { items: [], more: false }
        : await contentPage<Task>(
            walk,
            ({ id }) => id,
            ({ data }) => resultsIn(data) * CHARACTERS_OF_ONE,
            (page) => tasks.list(environmentId, filter, page),
          );
    const uids = await appUids(svix, environmentId, found.items);
    return listResponse(
      found,
      walk,
      ({ id }) => ksuid("qtask", id),
      (task) => showTask(task, uids),
    );
  });

  // Also with an application's token, for what was started for this application: its portal shows how a recovery goes.
  app.get("/background-task/:task_id", may("ViewBase"), async (request) => {
    const caller = callerOf(request);
    const { task_id } = request.params as { readonly task_id: string };
    const id = fromKsuid("qtask", "task", task_id);
    const task = id === null ? null : await tasks.read(caller.environment.id, id);
    if (task === null || (caller.appId !== null && task.spec.appId !== caller.appId)) throw notFound();
    return showTask(task, await appUids(svix, caller.environment.id, [task]));
  });
};

/** The answer of a call that starts a task. */
export function taskStarted(task: Task) {
  return {
    id: ksuid("qtask", task.id),
    status: task.state,
    task: TYPES[task.kind],
    updatedAt: timestamp(task.updatedAt),
  };
}

function showTask(task: Task, uids: Uids) {
  return { ...taskStarted(task), data: taskData(task, uids) };
}

/** What applications are called by their owners, for results that name them. */
type Uids = ReadonlyMap<string, string | null>;

const NO_UIDS: Uids = new Map();
/** Applications looked up at once. */
const UIDS_AT_ONCE = 1_000;
/** Results have an entry for each application, of about so many characters. */
const CHARACTERS_OF_ONE = 100;

function resultsIn(data: JsonObject): number {
  return entries(data.apps).length + entries(data.created).length + entries(data.failed).length;
}

async function appUids(
  svix: Pick<Svix, "engine">,
  environmentId: EnvironmentId,
  tasks: readonly Task[],
): Promise<Uids> {
  const asking = tasks.filter(({ kind }) => kind === "app-usage").flatMap(({ data }) => entries(data.apps));
  const ids = [...new Set(asking.map(({ appId }) => appId).filter((id) => typeof id === "string"))];
  const uids = new Map<string, string | null>();
  for (let from = 0; from < ids.length; from += UIDS_AT_ONCE) {
    const keys = ids.slice(from, from + UIDS_AT_ONCE).map((id) => ({ kind: APP, id }));
    for (const document of await svix.engine.documents.readMany(environmentId, keys)) {
      if (document !== null) uids.set(document.id, applicationIn(environmentId, document).uid);
    }
  }
  return uids;
}

/**
 * What the environment's own endpoints are told when a task has ended. The vendor writes the names inside of `data` in
 * another way there than in answers, and says which application and endpoint it was about.
 */
export function describeTask(task: Task): JsonObject {
  const { appId, endpointId } = task.spec;
  const about = {
    ...(typeof appId === "string" ? { app_id: ksuid("app", appId) } : {}),
    ...(typeof endpointId === "string" ? { endp_id: ksuid("ep", endpointId) } : {}),
  };
  const data = inSnakeCase(taskData(task, NO_UIDS)) as JsonObject;
  return {
    taskId: ksuid("qtask", task.id),
    task: TYPES[task.kind],
    status: task.state,
    data: { ...about, ...data },
  };
}

/** Only the names that we write ourselves: none of them comes from a caller. */
function inSnakeCase(value: Json): Json {
  if (Array.isArray(value)) return value.map(inSnakeCase);
  if (!isObject(value)) return value;
  return Object.fromEntries(
    Object.entries(value).map(([name, item]) => [
      name.replace(/[A-Z]/g, (letter) => `_${letter.toLowerCase()}`),
      item === undefined ? undefined : inSnakeCase(item),
    ]),
  );
}

/** Progress or result in Svix's words, which differ from task to task. */
function taskData({ kind, data, state }: Task, uids: Uids): JsonObject {
  const error = state === "failed" && typeof data.error === "string" ? { error: data.error } : {};
  return { ...DATA[kind](data, uids), ...error };
}

const messagesSent = (data: JsonObject): JsonObject => ({ messagesSent: data.messagesSent ?? 0 });

const DATA: { readonly [kind in TaskKind]: (data: JsonObject, uids: Uids) => JsonObject } = {
  recover: messagesSent,
  "replay-missing": messagesSent,
  "bulk-replay": messagesSent,
  expunge: (data) => ({ messagesPurged: data.messagesPurged ?? 0 }),
  "app-usage": (data, uids) => ({
    appStats: entries(data.apps).map(({ appId, messages }) => ({
      messageDestinations: messages ?? 0,
      appId: spelled("app", appId),
      appUid: uids.get(`${appId}`) ?? null,
    })),
  }),
  broadcast: (data) => ({
    messagesCreated: entries(data.created).map(({ appId, messageId }) => ({
      appId: spelled("app", appId),
      msgId: spelled("msg", messageId),
    })),
    messagesFailed: entries(data.failed).map(({ appId, reason }) => ({
      appId: spelled("app", appId),
      reason: reason ?? "",
    })),
  }),
  // The outer name is written so by the vendor, though all others are not.
  "event-type-usage": (data) => ({
    event_types: entries(data.apps).map(({ appId, eventTypes, catchAll }) => ({
      appId: spelled("app", appId),
      explicitlySubscribedEventTypes: eventTypes ?? [],
      hasCatchAllEndpoint: catchAll === true,
    })),
  }),
  "event-type-import": (data) => data,
};

function entries(list: Json | undefined): readonly JsonObject[] {
  return Array.isArray(list) ? list.filter(isObject) : [];
}

function spelled(prefix: "app" | "msg", id: Json | undefined): string | null {
  return typeof id === "string" ? ksuid(prefix, id) : null;
}
