import type { Logger } from "pino";
import type { Clock, Millis } from "../lib/clock.ts";
import { Acceptor } from "./accept.ts";
import { Catalog } from "./catalog.ts";
import { Deliverer, type Senders } from "./deliver.ts";
import { Dispatcher, type DispatcherLimits } from "./dispatcher.ts";
import { Endpoints } from "./endpoints.ts";
import type { Engine } from "./engine.ts";
import { Expander } from "./expand.ts";
import { Housekeeper } from "./housekeeping.ts";
import { inboxActions } from "./inbox.ts";
import { ChangeTeller, type DescribeMessage, shoutingStore } from "./message-changes.ts";
import type { SendSpec } from "./model.ts";
import type { PlanningDeps, TrackingLinks } from "./plan.ts";
import type { Bus, ContentLanguage, ProviderKind, Retention, Store } from "./ports.ts";
import { Recalls } from "./recalls.ts";
import { Refusal } from "./refusal.ts";
import { openWebhooks, type WebhookOptions } from "./webhooks/open.ts";
import { type DescribeHappening, HappeningTeller } from "./workflow/happenings.ts";
import { openWorkflows, type WorkflowOptions } from "./workflow/open.ts";

export interface EngineOptions {
  readonly store: Store;
  readonly bus: Bus;
  readonly clock: Clock;
  readonly log: Logger;
  readonly languages: ReadonlyMap<string, ContentLanguage>;
  readonly kinds: ReadonlyMap<string, ProviderKind>;
  readonly senders: Senders;
  /** Kinds that send to endpoints; without one, endpoints are told nothing. `senders` knows them too. */
  readonly endpointKinds?: ReadonlyMap<string, ProviderKind>;
  /** What endpoints are told of a message that changed. */
  readonly describeMessage?: DescribeMessage;
  /** What endpoints are told of what happened to what workflows send; without it they are told nothing. */
  readonly describeHappening?: DescribeHappening;
  readonly tracking: TrackingLinks | null;
  readonly publicMessageId: PlanningDeps["publicMessageId"];
  readonly roll: () => number;
  readonly limits: DispatcherLimits & { readonly maxBatch: number; readonly tryTimeoutMs: Millis };
  readonly retention: Retention;
  readonly webhooks: WebhookOptions;
  readonly workflows: WorkflowOptions;
  /** Whether this process does the work that is due, or only takes requests in. */
  readonly deliver: boolean;
}

export interface RunningEngine extends Engine {
  readonly dispatcher: Dispatcher;
  /** Stops taking work and finishes or gives back what is under way. Does not close the store. */
  stop(deadlineMs: Millis): Promise<void>;
}

/** Puts the engine together and starts it. */
export function startEngine(options: EngineOptions): RunningEngine {
  const { bus, clock, log } = options;
  const documents: Store["documents"] = {
    ...options.store.documents,
    async write(environmentId, writes, at, effects) {
      const versions = await options.store.documents.write(environmentId, writes, at, effects);
      if (versions !== null) {
        for (const kind of new Set(writes.map((write) => write.kind))) bus.changed(environmentId, kind);
        if (effects?.told !== undefined && effects.told.length > 0) bus.lookNow("deliveries");
        if (effects?.happened !== undefined && effects.happened.length > 0) bus.lookNow("happenings");
      }
      return versions;
    },
  };
  const endpoints = new Endpoints(options.endpointKinds ?? new Map(), documents, bus, clock);
  const store = shoutingStore(options.store, endpoints, bus);
  const planning: PlanningDeps = {
    catalog: new Catalog(documents, options.languages, options.kinds, bus, clock),
    clock,
    kinds: options.kinds,
    languages: options.languages,
    tracking: options.tracking,
    publicMessageId: options.publicMessageId,
    report: (error, messageId) => log.error({ err: error, messageId }, "message.not-planned"),
    readMembershipProfile: async (environmentId, userId, tenantId) =>
      (await store.directory.readMembership(environmentId, userId, tenantId))?.profile ?? null,
  };
  const workflows = openWorkflows(options.workflows, {
    store,
    documents,
    providers: (environmentId) => planning.catalog.providers(environmentId),
    kinds: options.kinds,
    tracking: options.tracking,
    vault: options.webhooks.vault,
    report: planning.report,
    bus,
    clock,
    log,
    leaseMs: options.limits.leaseMs,
  });
  const acceptor = new Acceptor(store, planning, workflows.planner, bus, log, options.limits);
  const deliverer = new Deliverer({
    store,
    planning,
    endpoints,
    senders: options.senders,
    vault: options.webhooks.vault,
    bus,
    clock,
    log,
    roll: options.roll,
    tryTimeoutMs: options.limits.tryTimeoutMs,
  });
  const webhooks = openWebhooks(options.webhooks, {
    store,
    documents,
    bus,
    clock,
    log,
    roll: options.roll,
    maxBatch: options.limits.maxBatch,
    leaseMs: options.limits.leaseMs,
  });
  const dispatcher = new Dispatcher(
    store,
    planning,
    deliverer,
    new Expander(store, planning, workflows.planner),
    new ChangeTeller({ store, endpoints, describeMessage: options.describeMessage ?? null, clock, log }),
    new HappeningTeller({
      store,
      endpoints,
      channels: workflows.channels,
      describe: options.describeHappening ?? null,
      clock,
      log,
    }),
    webhooks.work,
    workflows.work,
    bus,
    log,
    options.limits,
  );
  const inbox = inboxActions(store, bus, clock);
  const recalls = new Recalls(store, inbox, clock, log);
  const housekeeper = new Housekeeper(store, recalls, clock, log, options.retention);
  if (options.deliver) {
    dispatcher.start();
    housekeeper.start();
  }

  const send: Engine["send"] = (environmentId, spec, idempotency, answer) =>
    acceptor.send(environmentId, spec, idempotency, answer);

  return {
    clock,
    environments: store.environments,
    directory: store.directory,
    documents,
    messages: store.messages,
    idempotency: store.idempotency,
    captured: store.captured,
    inbox,
    devices: store.devices,
    recalls: store.recalls,
    recall: (environmentId, id, via) => recalls.recall(environmentId, id, via),
    languages: options.languages,
    providerKinds: options.kinds,
    webhooks: webhooks.facing({
      tryNow: (delivery, leaseUntil) => dispatcher.tryNow(delivery, leaseUntil),
      throttledSince: (endpointId) => dispatcher.lanes.throttledSince(endpointId),
    }),
    workflows: workflows.facing((...args) => acceptor.send(...args)),
    dispatcher,
    send,
    cancel: async (environmentId, id) => {
      const result = await store.pipeline.cancel(environmentId, id, clock.now());
      if (result?.canceled) log.info({ messageId: id, environmentId }, "message.canceled");
      return result;
    },
    resend: async (environmentId, id) => {
      const record = await store.messages.read(environmentId, id);
      if (record === null) return null;
      const { message, request } = record;
      if (message.userId === null && message.run !== undefined) {
        throw new Refusal("not_implemented", "what went to an object cannot be sent again to it alone");
      }
      const original = request.spec.recipients[message.entry];
      const recipient =
        original?.kind === "user"
          ? original
          : {
              kind: "user" as const,
              userId: message.userId,
              profile: {},
              ...(original?.data === undefined ? {} : { data: original.data }),
              ...(message.tenantId === null ? {} : { tenantId: message.tenantId }),
            };
      const spec: SendSpec = { ...request.spec, recipients: [recipient] };
      const answer = await send(environmentId, spec, null, (requestId) => ({ status: 202, body: requestId }));
      return answer.body as `req_${string}`;
    },
    async stop(deadlineMs) {
      housekeeper.stop();
      const recalled = recalls.stop();
      await dispatcher.stop(deadlineMs);
      await recalled;
    },
  };
}
