/** Puts the parts of sending webhooks together; called by engine/start.ts. */
import type { Logger } from "pino";
import type { Clock, Millis } from "../../lib/clock.ts";
import { newId } from "../../lib/ids.ts";
import type { JsonObject } from "../../lib/json.ts";
import type { WebhookWork } from "../dispatcher.ts";
import type { Delivery } from "../model.ts";
import type { Bus, DocumentStore, Store } from "../ports.ts";
import { appEndpointsOn } from "./app-endpoints.ts";
import { applicationsOn } from "./applications.ts";
import { EndpointDeliverer } from "./deliver.ts";
import { deliveryTo } from "./delivery-to.ts";
import type { EndpointHttp } from "./exchange.ts";
import { maySend, wants } from "./match.ts";
import type { AppEndpointId, EndpointAttempt, Task } from "./model.ts";
import { Operational } from "./operational.ts";
import { Publisher } from "./publish.ts";
import { SettingsStore } from "./settings-store.ts";
import { endpointById, Snapshots } from "./snapshots.ts";
import { TaskRunner } from "./task-runner.ts";
import type { Sandbox, Vault, Webhooks } from "./webhooks.ts";

export interface WebhookOptions {
  readonly vault: Vault;
  readonly http: EndpointHttp;
  readonly sandbox: Sandbox;
  /** An id as receivers are told it. */
  readonly spell: (id: string) => string;
  /** What a task that ended is told as. */
  readonly describeTask: (task: Task) => JsonObject;
  readonly tryTimeoutMs: Millis;
  readonly retryWaitsMs: readonly Millis[];
  readonly disableAfterMs: Millis;
  readonly maxEndpoints: number;
}

export interface WebhookDeps {
  readonly store: Store;
  /** Tell the bus of what is written. */
  readonly documents: DocumentStore;
  readonly bus: Bus;
  readonly clock: Clock;
  readonly log: Logger;
  readonly roll: () => number;
  readonly maxBatch: number;
  readonly leaseMs: Millis;
}

/** What needs the dispatcher, which in turn needs the work. */
export interface Trying {
  readonly tryNow: (delivery: Delivery, leaseUntil: Millis) => Promise<EndpointAttempt | null>;
  readonly throttledSince: (endpointId: AppEndpointId) => Millis | null;
}

/** Tries that hang share so many places; each is a socket and some kilobytes. */
const SLOW_ROOM = 1_000;
/** Tries at once at one endpoint that answers quickly. */
const PER_ENDPOINT = 64;
/** A manual try made at once keeps its delivery this much longer than the try may take. */
const SETTLING_MS: Millis = 10_000;

export function openWebhooks(
  options: WebhookOptions,
  deps: WebhookDeps,
): { readonly work: WebhookWork; readonly facing: (trying: Trying) => Webhooks } {
  const { store, documents, bus, clock, log } = deps;
  const { vault, spell } = options;
  const settings = new SettingsStore(documents, bus, clock);
  const snapshots = new Snapshots({ documents, vault, bus, clock });
  const operational = new Operational({ snapshots, spell });
  const applications = applicationsOn({ documents, bus, clock });
  const endpoints = appEndpointsOn({
    documents,
    appMessages: store.appMessages,
    operational,
    vault,
    bus,
    clock,
    maxEndpoints: options.maxEndpoints,
  });
  const deliverer = new EndpointDeliverer({
    store,
    snapshots,
    settings,
    endpoints,
    operational,
    http: options.http,
    sandbox: options.sandbox,
    vault,
    spell,
    bus,
    clock,
    log,
    roll: deps.roll,
    tryTimeoutMs: options.tryTimeoutMs,
    retryWaitsMs: options.retryWaitsMs,
    disableAfterMs: options.disableAfterMs,
  });
  const publisher = new Publisher({
    store,
    snapshots,
    bus,
    clock,
    log,
    remember: (delivery, message) => deliverer.remember(delivery, message),
    maxBatch: deps.maxBatch,
  });
  const tasks = new TaskRunner({
    store,
    snapshots,
    applications,
    operational,
    describe: options.describeTask,
    bus,
    clock,
    log,
    leaseMs: deps.leaseMs,
  });

  const work: WebhookWork = {
    publisher,
    deliverer,
    tasks,
    slowRoom: SLOW_ROOM,
    perEndpoint: PER_ENDPOINT,
    prepare: async (deliveries) => {
      const unknown = deliveries.filter((d) => d.app !== undefined && !snapshots.peek(d.environmentId, d.app.id));
      await Promise.all(unknown.map((d) => d.app && snapshots.get(d.environmentId, d.app.id)));
    },
    rateOf: ({ environmentId, app, providerId }) => {
      const snapshot = app === undefined ? undefined : snapshots.peek(environmentId, app.id);
      if (snapshot === undefined) return undefined;
      const rate = endpointById(snapshot, providerId as AppEndpointId)?.throttleRate;
      return rate ?? snapshot.application.throttleRate;
    },
  };

  const facing = ({ tryNow, throttledSince }: Trying): Webhooks => ({
    applications,
    endpoints,
    settings,
    messages: store.appMessages,
    snapshot: (environmentId, appId) => snapshots.get(environmentId, appId),
    find: (environmentId, key) => snapshots.find(environmentId, key),
    peek: (environmentId, key) => snapshots.peekBy(environmentId, key),
    publish: (environmentId, appId, message, more) => publisher.publish(environmentId, appId, message, more),
    tasks: {
      read: (environmentId, id) => store.tasks.read(environmentId, id),
      list: (environmentId, filter, walk) => store.tasks.list(environmentId, filter, walk),
      async start(environmentId, kind, spec) {
        const now = clock.now();
        const task: Task = {
          environmentId,
          id: newId("task", now),
          kind,
          state: "running",
          spec,
          cursor: null,
          data: {},
          createdAt: now,
          updatedAt: now,
        };
        await store.tasks.create(task);
        log.info({ taskId: task.id, environmentId, kind }, "task.started");
        bus.lookNow("tasks");
        return task;
      },
    },
    async resend(message, endpoint) {
      if (!maySend(endpoint)) return;
      await store.appMessages.addManual([deliveryTo(endpoint, message, { manual: true, dueAt: clock.now() })]);
      bus.lookNow("deliveries");
    },
    async tryNow(message, endpoint) {
      if (!maySend(endpoint)) return null;
      const now = clock.now();
      // Born under our lease, so that nobody else makes the try; should we die, it is made after all.
      const leaseUntil = now + options.tryTimeoutMs + SETTLING_MS;
      const delivery: Delivery = { ...deliveryTo(endpoint, message, { manual: true, dueAt: now }), leaseUntil };
      await store.appMessages.addManual([delivery]);
      return await tryNow(delivery, leaseUntil);
    },
    throttledSince,
    async wouldReach(environmentId, appId, message) {
      const snapshot = await snapshots.get(environmentId, appId);
      return snapshot?.endpoints.some((endpoint) => wants(endpoint, message)) ?? false;
    },
    simulate: (code, input) => options.sandbox.transform(code, input),
  });
  return { work, facing };
}
