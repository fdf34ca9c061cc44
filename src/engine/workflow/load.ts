/** Reading what claimed runs need to go on: their messages and requests, who takes part, what is configured now. */
import type { EnvironmentId, Message, MessageId, RequestId } from "../model.ts";
import type { Store } from "../ports.ts";
import { type PartyRef, partyKey, type Run, type RunRecord } from "./model.ts";
import { castOf, type PlanRunDeps, subscribedObject, type TriggerContext, triggerContext } from "./plan-run.ts";
import type { PartyFacts } from "./ports.ts";
import { factsOf } from "./who.ts";
import type { RunInWorld } from "./world.ts";

/** A claimed run, ready to go on; or why it cannot. */
export type Loaded =
  | {
      readonly kind: "ready";
      readonly run: Run;
      readonly record: RunRecord;
      readonly world: RunInWorld;
      readonly isActive: boolean;
    }
  /** It is to end as it is. */
  | { readonly kind: "over"; readonly run: Run; readonly record: RunRecord; readonly reason: string };

export interface LoadDeps extends PlanRunDeps {
  readonly store: Pick<Store, "messages">;
}

/** In the order of the runs. Messages and parties of an environment are read at once. */
export async function loadRuns(runs: readonly Run[], deps: LoadDeps): Promise<readonly Loaded[]> {
  const byEnvironment = Map.groupBy(runs, ({ environmentId }) => environmentId);
  const loaded = new Map<MessageId, Loaded>();
  for (const [environmentId, group] of byEnvironment) {
    for (const each of await loadFrom(environmentId, group, deps)) loaded.set(each.run.messageId, each);
  }
  return runs.map((run) => loaded.get(run.messageId) as Loaded);
}

async function loadFrom(
  environmentId: EnvironmentId,
  runs: readonly Run[],
  deps: LoadDeps,
): Promise<readonly Loaded[]> {
  const { store } = deps;
  const found = await store.messages.readMessages(
    environmentId,
    runs.map(({ messageId }) => messageId),
  );
  const messages = new Map(found.map((message) => [message.id, message]));
  const contexts = await contextsOf(environmentId, new Set(runs.map(({ requestId }) => requestId)), deps);
  const wanted = new Map<string, PartyRef>();
  for (const { recipient, requestId, messageId } of runs) {
    const actor = contexts.get(requestId)?.trigger.actor ?? null;
    const object = subscribedObject(messages.get(messageId)?.preferences ?? null);
    for (const party of [recipient, actor, object]) if (party !== null) wanted.set(partyKey(party), party);
  }
  const facts = await factsOf(deps, environmentId, [...wanted.values()]);
  const parties = new Map(facts.map((each) => [partyKey(each.party), each]));
  return runs.map((run) => ready(run, messages.get(run.messageId), contexts.get(run.requestId) ?? null, parties));
}

async function contextsOf(
  environmentId: EnvironmentId,
  ids: ReadonlySet<RequestId>,
  deps: LoadDeps,
): Promise<ReadonlyMap<RequestId, TriggerContext>> {
  const found = await Promise.all(
    [...ids].map(async (id): Promise<readonly [RequestId, TriggerContext][]> => {
      const request = await deps.store.messages.readRequest(environmentId, id);
      return request === null ? [] : [[id, await triggerContext(request, deps)]];
    }),
  );
  return new Map(found.flat());
}

function ready(
  run: Run,
  message: Message | undefined,
  context: TriggerContext | null,
  parties: ReadonlyMap<string, PartyFacts>,
): Loaded {
  const record = message?.run ?? lostRecord(run);
  const over = (reason: string): Loaded => ({ kind: "over", run, record, reason });
  if (message === undefined || context === null) return over("its trigger was thrown away");
  if (message.state === "canceled") return over("canceled");
  const recipient = parties.get(partyKey(run.recipient));
  if (recipient === undefined || recipient.properties === null) return over("recipient_missing");
  const { version, trigger, request, furniture, providers, tenant } = context;
  if (version === null) return over("workflow_missing");
  const world: RunInWorld = {
    environmentId: run.environmentId,
    messageId: run.messageId,
    requestId: run.requestId,
    createdAt: run.createdAt,
    tenantId: run.tenantId,
    version,
    trigger,
    via: request.spec.via,
    cast: castOf(recipient, trigger, tenant, message.preferences, parties),
    furniture,
    providers,
  };
  return { kind: "ready", run, record, world, isActive: context.isActive };
}

/** A run is kept with its message, so this is for what a person did to the database. */
function lostRecord({ workflow, recipient, cancellationKey, status }: Run): RunRecord {
  return {
    workflow,
    versionId: "wfv_",
    recipient,
    actor: null,
    source: { type: "api" },
    cancellationKey,
    status,
    log: [],
  };
}
