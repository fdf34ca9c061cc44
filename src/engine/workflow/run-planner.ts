/** Planning runs as accepting and expanding ask for it: the parties of a whole turn or page read at once. */
import { newId } from "../../lib/ids.ts";
import { TimeSlice } from "../../lib/time-slice.ts";
import { lookUpAll } from "../accept.ts";
import type { EnvironmentId, MessageId, Request } from "../model.ts";
import type { Planned, Store, TenantChange } from "../ports.ts";
import type { Target } from "../target.ts";
import { type PartyRef, partyKey } from "./model.ts";
import {
  type KnownParties,
  type PlanRunDeps,
  partiesOf,
  planRun,
  planRunUnattended,
  surroundingsKey,
  type TriggerContext,
  type TriggerSurroundings,
  triggerContext,
  triggerOf,
  triggerSurroundings,
} from "./plan-run.ts";
import type { PartyFacts } from "./ports.ts";
import { type SubscriberPage, subscriberPage } from "./recipients.ts";
import { factsOf, tenantFacts } from "./who.ts";

export interface RunPlannerDeps extends PlanRunDeps {
  readonly store: Pick<Store, "parties" | "messages">;
  /** Gets mistakes of ours that no caller is there to hear of. */
  readonly reportPlanning: (error: unknown, messageId: MessageId) => void;
}

export class RunPlanner {
  readonly #deps: RunPlannerDeps;

  constructor(deps: RunPlannerDeps) {
    this.#deps = deps;
  }

  context(request: Request): Promise<TriggerContext> {
    return triggerContext(request, this.#deps);
  }

  /**
   * The same for requests that come in one turn.
   * @param known of the turn; added to. @param tenants are changed in the commit that is planned for.
   */
  async contextInTurn(
    request: Request,
    known: Map<string, TriggerSurroundings>,
    tenants: readonly TenantChange[],
  ): Promise<TriggerContext> {
    const key = surroundingsKey(request);
    let surroundings = known.get(key);
    if (surroundings === undefined) {
      surroundings = await triggerSurroundings(request, this.#deps);
      known.set(key, surroundings);
    }
    const context = { request, trigger: triggerOf(request), ...surroundings };
    const { environmentId, spec, createdAt } = request;
    if (tenants.length === 0 || spec.tenantId === undefined) return context;
    const tenant = await tenantFacts(this.#deps.catalog, environmentId, spec.tenantId, { tenants, at: createdAt });
    return { ...context, tenant };
  }

  /** In the order of `parties`. */
  facts(environmentId: EnvironmentId, parties: readonly PartyRef[]): Promise<readonly PartyFacts[]> {
    return factsOf(this.#deps, environmentId, parties);
  }

  /** Plans one recipient while the caller waits. */
  plan(context: TriggerContext, target: Target, parties: KnownParties, id: MessageId): Promise<Planned> {
    return planRun(context, target, parties, id, this.#deps);
  }

  /**
   * Plans recipients whom nobody waits for.
   * @returns in the order of the targets; fewer than these, but at least one, when it takes longer than `sliceMs`.
   */
  async planPage(context: TriggerContext, targets: readonly Target[], sliceMs: number): Promise<readonly Planned[]> {
    const { clock, reportPlanning } = this.#deps;
    const { request } = context;
    const wanted = new Map(partiesOf(request, targets).map((party) => [partyKey(party), party]));
    const facts = await lookUpAll([...wanted.values()], (some) => this.facts(request.environmentId, some));
    const parties = new Map(facts.map((each) => [partyKey(each.party), each]));
    const planned: Planned[] = [];
    const slice = new TimeSlice(sliceMs);
    for (const target of targets) {
      if (slice.over && planned.length > 0) {
        await slice.rest();
        break;
      }
      const id = newId("msg", clock.now());
      planned.push(await planRunUnattended(context, target, parties, id, this.#deps, reportPlanning));
    }
    return planned;
  }

  /** See `subscriberPage`. */
  subscribers(request: Request, entry: number, after: string | null, limit: number): Promise<SubscriberPage> {
    return subscriberPage(this.#deps.store, request, entry, after, limit);
  }
}
