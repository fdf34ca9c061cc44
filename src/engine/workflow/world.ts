/** What a run may know of the world: who takes part in it, and all that texts and conditions of its steps refer to. */
import type { Millis } from "../../lib/clock.ts";
import { isoOf } from "../../lib/iso.ts";
import { deepMerge, isObject, type Json, type JsonObject } from "../../lib/json.ts";
import type { Delivery, DeliveryId, EnvironmentId, MessageId, Provider, RequestId } from "../model.ts";
import type { TrackingLinks } from "../plan.ts";
import type { ProviderKind } from "../ports.ts";
import type { Vault } from "../webhooks/webhooks.ts";
import type { Furniture, PreparedWorkflow, WorkflowCatalog } from "./catalog.ts";
import { preferencesOf } from "./consent.ts";
import {
  type Activity,
  EMAIL_LAYOUT,
  PARTIAL,
  type PartyRef,
  partyKey,
  type RunState,
  type TriggerSpec,
} from "./model.ts";
import type { DescribeParty, PartyFacts, PartyStore, RunStore, StepLanguage, StepScope, StepSources } from "./ports.ts";
import { refsOf } from "./refs.ts";
import { lookUp } from "./translate.ts";
import { factsOf } from "./who.ts";
import type { PreferenceSet } from "./workflows.ts";
import { zoneOf } from "./zones.ts";

/** How ids read in texts, in the spelling of the facade whose workflows these are. */
export interface Spelling {
  readonly message: (id: DeliveryId) => string;
  readonly run: (id: MessageId) => string;
}

export interface WorldDeps {
  readonly catalog: WorkflowCatalog;
  readonly parties: PartyStore;
  readonly runs: RunStore;
  readonly kinds: ReadonlyMap<string, ProviderKind>;
  readonly language: StepLanguage;
  readonly describeParty: DescribeParty;
  readonly spelling: Spelling;
  /** Null when links and opens cannot be tracked. */
  readonly tracking: TrackingLinks | null;
  readonly vault: Vault;
  /** Of recipients without a time zone of their own. */
  readonly accountTimezone: string;
}

/** Those who take part in a run. The tenant's facts have null properties when there is no such tenant. */
export interface Cast {
  readonly recipient: PartyFacts;
  readonly actor: PartyFacts | null;
  readonly tenant: PartyFacts | null;
  /** How the recipient came to be one, if by a subscription. */
  readonly subscription: { readonly properties: JsonObject; readonly object: PartyFacts } | null;
}

/** A run with all it needs to go on. */
export interface RunInWorld {
  readonly environmentId: EnvironmentId;
  readonly messageId: MessageId;
  readonly requestId: RequestId;
  readonly createdAt: Millis;
  readonly tenantId: string | null;
  readonly version: PreparedWorkflow;
  readonly trigger: TriggerSpec;
  /** The facade that the trigger came through. */
  readonly via: string;
  readonly cast: Cast;
  readonly furniture: Furniture;
  readonly providers: readonly Provider[];
}

export function recipientZone(run: RunInWorld, accountTimezone: string): string {
  return zoneOf(run.cast.recipient.properties?.timezone, accountTimezone);
}

/** What texts and conditions see in one leg of a run. What does not change is put together once. */
export class Outlook {
  readonly #run: RunInWorld;
  readonly #deps: WorldDeps;
  readonly #recipient: JsonObject;
  readonly #actor: JsonObject | null;
  readonly #tenant: JsonObject | null;
  readonly #vars: JsonObject;
  #workflow: JsonObject | null = null;
  readonly #timestamp: string;
  /** Described actors of a batch, by key. */
  #actors = new Map<string, JsonObject>();
  #sources: StepSources | null = null;
  #preferences: PreferenceSet | null = null;

  constructor(run: RunInWorld, deps: WorldDeps, now: Millis) {
    this.#run = run;
    this.#deps = deps;
    const { cast, version, furniture } = run;
    const { subscription } = cast;
    const recipient = deps.describeParty(cast.recipient);
    const more = {
      ...(subscription === null
        ? {}
        : { subscription: { ...subscription.properties, object: deps.describeParty(subscription.object) } }),
      ...(version.usesPreferences ? { preferences: this.preferences as unknown as JsonObject } : {}),
    };
    this.#recipient = Object.keys(more).length === 0 ? recipient : { ...recipient, ...more };
    this.#actor = cast.actor === null ? null : deps.describeParty(cast.actor);
    this.#tenant = cast.tenant === null ? null : deps.describeParty(cast.tenant);
    this.#vars = varsOf(furniture.variables, cast.tenant);
    this.#timestamp = isoOf(now);
  }

  /** Reads who acted in a batch. To be called whenever a leg has a batch, before `scope`. */
  async learnOf(batch: NonNullable<RunState["batch"]>): Promise<void> {
    const wanted = new Map<string, PartyRef>();
    for (const party of [...batch.actors, ...batch.activities.map(({ actor }) => actor)]) {
      if (party !== null) wanted.set(partyKey(party), party);
    }
    const facts = await factsOf(this.#deps, this.#run.environmentId, [...wanted.values()]);
    this.#actors = new Map(facts.map((each) => [partyKey(each.party), this.#deps.describeParty(each)]));
  }

  /** @param delivered what the run's steps sent so far, for `refs`. */
  scope(
    state: Pick<RunState, "data" | "batch" | "deliveries">,
    delivered: ReadonlyMap<DeliveryId, Delivery>,
  ): StepScope {
    const { batch, data } = state;
    const totals =
      batch === null
        ? { total_activities: 1, total_actors: this.#actor === null ? 0 : 1 }
        : { total_activities: batch.totalActivities, total_actors: batch.totalActors };
    return {
      data,
      recipient: this.#recipient,
      actor: this.#actor,
      actors:
        batch === null ? (this.#actor === null ? [] : [this.#actor]) : batch.actors.map((each) => this.#party(each)),
      activities: this.#run.version.usesActivities ? this.#activities(batch, data) : [],
      ...totals,
      tenant: this.#tenant,
      vars: this.#vars,
      workflow: this.#run.version.usesWorkflow ? this.#describedWorkflow() : {},
      run: totals,
      refs: this.#run.version.usesRefs ? refsOf(state.deliveries, delivered) : {},
      timestamp: this.#timestamp,
    };
  }

  /** A scope as it is for what is written outside of the workflow, which may mention what none of its own texts does. */
  whole(scope: StepScope, { batch, data }: Pick<RunState, "data" | "batch">): StepScope {
    const { usesWorkflow, usesActivities } = this.#run.version;
    if (usesWorkflow && usesActivities) return scope;
    return { ...scope, workflow: this.#describedWorkflow(), activities: this.#activities(batch, data) };
  }

  #describedWorkflow(): JsonObject {
    this.#workflow ??= describeWorkflow(this.#run, this.#deps.spelling);
    return this.#workflow;
  }

  /** What the recipient wants to hear of. */
  get preferences(): PreferenceSet {
    const { cast, furniture } = this.#run;
    this.#preferences ??= preferencesOf(cast.recipient, cast.tenant, furniture.defaultPreferences);
    return this.#preferences;
  }

  get sources(): StepSources {
    this.#sources ??= this.#makeSources();
    return this.#sources;
  }

  #activities(batch: RunState["batch"], data: JsonObject): readonly JsonObject[] {
    return batch === null ? [this.#ownActivity(data)] : batch.activities.map((each) => this.#activity(each));
  }

  #ownActivity(data: JsonObject): JsonObject {
    const at = isoOf(this.#run.createdAt);
    return this.#activityOf(this.#run.messageId, this.#actor, data, at);
  }

  #activity({ id, actor, data, at }: Activity): JsonObject {
    return this.#activityOf(id, actor === null ? null : this.#party(actor), data, isoOf(at));
  }

  #activityOf(id: MessageId, actor: JsonObject | null, data: JsonObject, at: string): JsonObject {
    const recipient = this.#recipient;
    return { ...data, id: this.#deps.spelling.run(id), actor, recipient, data, inserted_at: at, updated_at: at };
  }

  #party(party: PartyRef): JsonObject {
    return this.#actors.get(partyKey(party)) ?? { id: party.id };
  }

  #makeSources(): StepSources {
    const { catalog, parties, describeParty, accountTimezone } = this.#deps;
    const { environmentId, tenantId, cast } = this.#run;
    const locale = cast.recipient.properties?.locale;
    const own = typeof locale === "string" && locale !== "" ? locale : null;
    const describe = async (party: PartyRef): Promise<JsonObject | null> => {
      const [facts] = await factsOf(this.#deps, environmentId, [party]);
      return facts === undefined || facts.properties === null ? null : describeParty(facts);
    };
    return {
      locale: own,
      timezone: recipientZone(this.#run, accountTimezone),
      partial: async (key) => {
        const found = await catalog.committed(environmentId, PARTIAL, key);
        return found === null ? null : { type: textOf(found.type), content: textOf(found.content) };
      },
      layout: async (key) => {
        const found = await catalog.committed(environmentId, EMAIL_LAYOUT, key);
        if (found === null) return null;
        const links = Array.isArray(found.footer_links) ? (found.footer_links as readonly Json[]).filter(isObject) : [];
        return { html: textOf(found.html_layout), text: textOf(found.text_layout), footerLinks: links };
      },
      translate: (key, count) => lookUp(catalog, environmentId, { key, count, locale: own, tenantId }),
      party: describe,
      subscriptions: async (object, limit) => {
        const page = await parties.subscriptions(environmentId, { object }, { limit });
        const recipients = page.items.map(({ recipient }) => recipient);
        const facts = await factsOf(this.#deps, environmentId, recipients);
        return page.items.map(({ properties, recipient }, i) => ({
          properties,
          recipient: facts[i] === undefined ? { id: recipient.id } : describeParty(facts[i]),
        }));
      },
    };
  }
}

function describeWorkflow({ messageId, version, trigger }: RunInWorld, spelling: Spelling): JsonObject {
  const { settings, name, key } = version.workflow;
  return {
    id: spelling.run(messageId),
    key,
    name,
    categories: version.categories,
    commercial: settings?.is_commercial === true,
    override_preferences: settings?.override_preferences === true,
    cancellation_key: trigger.cancellationKey,
  };
}

function textOf(value: Json | undefined): string {
  return typeof value === "string" ? value : "";
}

/** A tenant's branding lies over that of everybody. */
function varsOf(variables: JsonObject, tenant: PartyFacts | null): JsonObject {
  const settings = tenant?.properties?.settings;
  const branding = isObject(settings) ? settings.branding : undefined;
  if (!isObject(branding)) return variables;
  return { ...variables, branding: deepMerge(isObject(variables.branding) ? variables.branding : {}, branding) };
}
