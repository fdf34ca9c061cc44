/** Puts the parts of workflows together; called by engine/start.ts. */
import type { Logger } from "pino";
import type { Clock, Millis } from "../../lib/clock.ts";
import { newId } from "../../lib/ids.ts";
import type { EnvironmentId, MessageId, Provider, RequestId, SendSpec } from "../model.ts";
import type { TrackingLinks } from "../plan.ts";
import type { Bus, DocumentStore, ProviderKind, Store, StoredAnswer, TenantChange } from "../ports.ts";
import { Refusal } from "../refusal.ts";
import { changeDeliverySecrets, mayHoldSecrets } from "../secrets.ts";
import { TENANT } from "../templates.ts";
import { changesThatMatter } from "../tenants.ts";
import type { Vault } from "../webhooks/webhooks.ts";
import { prepare, WorkflowCatalog } from "./catalog.ts";
import { preferencesOf } from "./consent.ts";
import type { PartyRef, Workflow } from "./model.ts";
import type { DescribeParty, Fetch, PartyFacts, StepLanguage } from "./ports.ts";
import { cancelledRecord } from "./record.ts";
import { specOf } from "./requests.ts";
import { RunPlanner, type RunPlannerDeps } from "./run-planner.ts";
import { Runner } from "./runner.ts";
import { ScheduleRunner } from "./schedule-runner.ts";
import { scheduling } from "./scheduling.ts";
import { atTheStart } from "./walk.ts";
import { describePlainly, factsOf, tenantFacts } from "./who.ts";
import type { ImaginedRun, StepChannel, Workflows } from "./workflows.ts";
import { Outlook, type RunInWorld, type Spelling } from "./world.ts";

export interface WorkflowOptions {
  readonly language: StepLanguage;
  readonly fetch: Fetch;
  /** Absent: without a facade's words. */
  readonly describeParty?: DescribeParty;
  /** Absent: as they are. */
  readonly spelling?: Spelling;
  /** Absent: the engine's own; null when links and opens are not tracked. */
  readonly tracking?: TrackingLinks | null;
  /** Of recipients without a time zone of their own. */
  readonly accountTimezone: string;
}

export interface WorkflowDeps {
  readonly store: Store;
  /** Tell the bus of what is written. */
  readonly documents: DocumentStore;
  readonly providers: (environmentId: EnvironmentId) => Promise<readonly Provider[]>;
  readonly kinds: ReadonlyMap<string, ProviderKind>;
  readonly tracking: TrackingLinks | null;
  readonly vault: Vault;
  readonly report: (error: unknown, messageId: MessageId) => void;
  readonly bus: Bus;
  readonly clock: Clock;
  readonly log: Logger;
  readonly leaseMs: Millis;
}

/** What only the acceptor can do, which in turn needs the planner. */
export type Send = (
  environmentId: EnvironmentId,
  spec: SendSpec,
  idempotency: { readonly scope: string; readonly key: string; readonly expiresAt: Millis } | null,
  answer: (requestId: RequestId) => StoredAnswer,
  tenants: readonly TenantChange[],
) => Promise<StoredAnswer>;

/** Work of the dispatcher. */
export interface WorkflowWork {
  readonly runs: Runner;
  readonly schedules: ScheduleRunner;
}

export interface OpenWorkflows {
  readonly planner: RunPlanner;
  readonly work: WorkflowWork;
  /** See `Workflows.channels`. */
  readonly channels: (environmentId: EnvironmentId) => Promise<readonly StepChannel[]>;
  readonly facing: (send: Send) => Workflows;
}

const USES_ALL = { usesPreferences: true, usesActivities: true, usesMessage: true, usesWorkflow: true };
const SAME: Spelling = { message: (id) => id, run: (id) => id };

export function openWorkflows(options: WorkflowOptions, deps: WorkflowDeps): OpenWorkflows {
  const { store, documents, bus, clock, log, leaseMs, report } = deps;
  const { language, accountTimezone } = options;
  const catalog = new WorkflowCatalog(documents, bus, clock);
  const planning: RunPlannerDeps = {
    store,
    catalog,
    parties: store.parties,
    runs: store.runs,
    providers: deps.providers,
    kinds: deps.kinds,
    language,
    fetch: options.fetch,
    describeParty: options.describeParty ?? describePlainly,
    spelling: options.spelling ?? SAME,
    tracking: options.tracking === undefined ? deps.tracking : options.tracking,
    vault: deps.vault,
    accountTimezone,
    clock,
    report: (error, run, step) => log.error({ err: error, messageId: run.messageId, step: step.ref }, "step.failed"),
    reportPlanning: report,
  };
  const runs = new Runner({ ...planning, store, bus, log, leaseMs });
  const of = { schedules: store.schedules, parties: store.parties, bus, clock, accountTimezone };
  const schedules = new ScheduleRunner({ ...of, catalog, log, leaseMs });

  const channels: OpenWorkflows["channels"] = async (environmentId) =>
    (await catalog.furniture(environmentId)).channels;

  const facing = (send: Send): Workflows => ({
    runs: store.runs,
    parties: {
      ...store.parties,
      async write(environmentId, writes, at, tenants = []) {
        const matter = await changesThatMatter(documents, environmentId, tenants);
        const written = await store.parties.write(environmentId, writes, at, matter);
        if (matter.length > 0) bus.changed(environmentId, TENANT);
        return written;
      },
      async mergeUsers(...args) {
        await store.parties.mergeUsers(...args);
        // What was under way for the one who is gone was given up, and is due at once.
        for (const work of ["requests", "messages", "runs", "schedules"] as const) bus.lookNow(work);
      },
    },
    language,
    find: (environmentId, key) => catalog.find(environmentId, key),
    version: async (environmentId, id) => (await catalog.version(environmentId, id))?.workflow ?? null,
    channels,
    opened: (delivery) =>
      mayHoldSecrets(delivery) ? changeDeliverySecrets(delivery, (text) => deps.vault.open(text)) : delivery,
    async trigger(environmentId, trigger, idempotency, answer) {
      const found = await catalog.find(environmentId, trigger.key);
      if (found === null) {
        throw new Refusal("not_found", `there is no workflow ${JSON.stringify(trigger.key)}`, { field: "workflow" });
      }
      if (!found.active) {
        throw new Refusal("conflict", `the workflow ${trigger.key} is switched off`, { field: "workflow" });
      }
      const tenants = await changesThatMatter(documents, environmentId, trigger.tenants ?? []);
      return await send(environmentId, specOf(found, trigger, 0), idempotency, answer, tenants);
    },
    async cancel(environmentId, key, cancellationKey, recipients) {
      const now = clock.now();
      const count = await store.runs.cancel(environmentId, key, cancellationKey, recipients, now, (old) =>
        cancelledRecord(old, now),
      );
      if (recipients !== null) bus.lookNow("requests");
      log.info({ environmentId, workflow: key, canceled: count }, "runs.canceled");
      return count;
    },
    ...scheduling(of),
    async preferences(environmentId, party, tenantId) {
      const { recipient, tenant } = await cast(environmentId, party, tenantId);
      const { defaultPreferences } = await catalog.furniture(environmentId);
      return preferencesOf(recipient, tenant, defaultPreferences);
    },
    async outlook(environmentId, about) {
      const outlook = await outlookOf(environmentId, about);
      return { scope: outlook.scope(atTheStart(about.data), new Map()), sources: outlook.sources };
    },
    async preview(environmentId, type, template, scope) {
      language.checkTemplate(type, template);
      const now = clock.now();
      const outlook = await outlookOf(environmentId, scope);
      const at = new Date(now).toISOString();
      const message = { id: planning.spelling.message(newId("dlv", now)), inserted_at: at, updated_at: at };
      return await language.render(type, template, {
        scope: { ...outlook.scope(atTheStart(scope.data), new Map()), current_message: message },
        sources: outlook.sources,
        trackLink: null,
        openPixel: null,
      });
    },
  });

  /** What a run of nothing would see. */
  async function outlookOf(environmentId: EnvironmentId, scope: ImaginedRun): Promise<Outlook> {
    const { recipient, tenant } = await cast(environmentId, scope.recipient, scope.tenantId);
    const actor = scope.actor === null ? null : (await cast(environmentId, scope.actor, null)).recipient;
    const workflow: Workflow = { key: "preview", name: "Preview", steps: [], ...scope.workflow };
    const now = clock.now();
    const run: RunInWorld = {
      environmentId,
      messageId: newId("msg", now),
      requestId: newId("req", now),
      createdAt: now,
      tenantId: scope.tenantId,
      // What the text to come will mention is not known here.
      version: { ...prepare(newId("wfv", now), workflow), ...USES_ALL },
      trigger: {
        key: workflow.key,
        versionId: newId("wfv", now),
        actor: scope.actor,
        cancellationKey: null,
        source: { type: "rehearsal" },
        sandbox: true,
        skipDelay: false,
        depth: 0,
      },
      via: "preview",
      cast: { recipient, actor, tenant, subscription: null },
      furniture: await catalog.furniture(environmentId),
      providers: [],
    };
    return new Outlook(run, planning, now);
  }

  async function cast(
    environmentId: EnvironmentId,
    party: PartyRef,
    tenantId: string | null,
  ): Promise<{ readonly recipient: PartyFacts; readonly tenant: PartyFacts | null }> {
    const tenant = tenantId === null ? null : await tenantFacts(catalog, environmentId, tenantId);
    const [facts] = await factsOf(planning, environmentId, [party]);
    const nobody: PartyFacts = { party, properties: null, createdAt: null, updatedAt: null, documents: [] };
    return { recipient: facts ?? nobody, tenant };
  }

  return { planner: new RunPlanner(planning), work: { runs, schedules }, channels, facing };
}
