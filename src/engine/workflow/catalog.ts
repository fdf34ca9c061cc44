/** What people wrote and configured for workflows, as runs need it: from memory, at most a second old. */
import type { Clock, Millis } from "../../lib/clock.ts";
import { isObject, type Json, type JsonObject } from "../../lib/json.ts";
import { Lru } from "../../lib/lru.ts";
import type { Document, EnvironmentId } from "../model.ts";
import type { Bus, DocumentStore } from "../ports.ts";
import { TENANT } from "../templates.ts";
import {
  CHANNEL_GROUP,
  type ChannelBody,
  type ChannelType,
  DEFAULT_PREFERENCES,
  EMAIL_LAYOUT,
  PARTIAL,
  STEP_CHANNEL,
  STEP_TRANSLATION,
  VARIABLE,
  WORKFLOW,
  WORKFLOW_VERSION,
  type Workflow,
  type WorkflowBody,
  type WorkflowVersionId,
} from "./model.ts";
import type { FoundWorkflow, PreferenceSet, StepChannel } from "./workflows.ts";

/** Another process may have written; this process hears of its own writes at once. */
const STALE_AFTER_MS: Millis = 1_000;
const MAX_DOCUMENTS = 10_000;
const MAX_VERSIONS = 2_000;
const MAX_TABLES = 1_000;
/** Of a kind that is read as a whole, such as channels. */
const MAX_LISTED = 1_000;
const HELD_KINDS: ReadonlySet<string> = new Set([
  WORKFLOW,
  EMAIL_LAYOUT,
  PARTIAL,
  STEP_TRANSLATION,
  DEFAULT_PREFERENCES,
  TENANT,
]);

/** A version with what every run of it would otherwise work out anew. */
export interface PreparedWorkflow {
  readonly id: WorkflowVersionId;
  readonly workflow: Workflow;
  readonly categories: readonly string[];
  /** A text of it mentions `refs`: how far earlier messages are has to be read. */
  readonly usesRefs: boolean;
  /** A text of it mentions `recipient.preferences`. */
  readonly usesPreferences: boolean;
  /** Its templates mention these, or may name what does (layouts, translations): what none reads is not put together. */
  readonly usesActivities: boolean;
  readonly usesMessage: boolean;
  readonly usesWorkflow: boolean;
}

/** Several channels that a step names as one. */
export interface ChannelGroup {
  readonly key: string;
  /** The first that fits, or all that do. */
  readonly operator: "any" | "all";
  readonly rules: readonly ChannelRule[];
}
export interface ChannelRule {
  readonly channelKey: string;
  readonly type: "if" | "unless" | "always";
  readonly conditions: Json | undefined;
}

/** What all runs of an environment share. */
export interface Furniture {
  readonly channels: readonly StepChannel[];
  readonly channelByKey: ReadonlyMap<string, StepChannel>;
  readonly groupByKey: ReadonlyMap<string, ChannelGroup>;
  readonly variables: JsonObject;
  readonly defaultPreferences: PreferenceSet | null;
}

interface Held<T> {
  readonly value: T;
  readonly readAt: Millis;
}

export class WorkflowCatalog {
  readonly #documents: DocumentStore;
  readonly #clock: Clock;
  readonly #held = new Lru<string, Held<Document | null>>(MAX_DOCUMENTS);
  readonly #versions = new Lru<string, PreparedWorkflow>(MAX_VERSIONS);
  readonly #furniture = new Map<EnvironmentId, Held<Furniture>>();
  readonly #tables = new Lru<string, { readonly of: Document; readonly table: JsonObject }>(MAX_TABLES);

  constructor(documents: DocumentStore, bus: Bus, clock: Clock) {
    this.#documents = documents;
    this.#clock = clock;
    bus.onChanged((environmentId, kind) => {
      if (kind === STEP_CHANNEL || kind === CHANNEL_GROUP || kind === VARIABLE || kind === DEFAULT_PREFERENCES) {
        this.#furniture.delete(environmentId);
      }
      if (HELD_KINDS.has(kind)) this.#held.clear();
    });
  }

  /** The newest committed version; null for an unknown key, or one never committed. */
  async find(environmentId: EnvironmentId, key: string): Promise<FoundWorkflow | null> {
    const document = this.#peek(environmentId, WORKFLOW, key) ?? (await this.document(environmentId, WORKFLOW, key));
    const body = document?.body as unknown as WorkflowBody | undefined;
    if (body === undefined || body.versionId === null) return null;
    const version = await this.version(environmentId, body.versionId);
    return version === null ? null : { active: body.active, versionId: version.id, workflow: version.workflow };
  }

  /** Whether runs of the workflow go on. One that was deleted does not. */
  async isActive(environmentId: EnvironmentId, key: string): Promise<boolean> {
    return (await this.document(environmentId, WORKFLOW, key))?.body.active === true;
  }

  async version(environmentId: EnvironmentId, id: WorkflowVersionId): Promise<PreparedWorkflow | null> {
    const key = `${environmentId} ${id}`;
    const held = this.#versions.get(key);
    if (held !== undefined) return held;
    const document = await this.#documents.read(environmentId, WORKFLOW_VERSION, id);
    if (document === null || !isObject(document.body.workflow)) return null;
    const prepared = prepare(id, document.body.workflow as unknown as Workflow);
    this.#versions.set(key, prepared);
    return prepared;
  }

  async furniture(environmentId: EnvironmentId): Promise<Furniture> {
    const held = this.#furniture.get(environmentId);
    const now = this.#clock.now();
    if (held !== undefined && isFresh(held, now)) return held.value;
    const page = { limit: MAX_LISTED };
    const [channels, groups, variables, preferences] = await Promise.all([
      this.#documents.list(environmentId, STEP_CHANNEL, page),
      this.#documents.list(environmentId, CHANNEL_GROUP, page),
      this.#documents.list(environmentId, VARIABLE, page),
      this.#documents.read(environmentId, DEFAULT_PREFERENCES, "default"),
    ]);
    const all = channels.items.map(channelOf).sort((a, b) => a.createdAt - b.createdAt || (a.key < b.key ? -1 : 1));
    const value: Furniture = {
      channels: all,
      channelByKey: new Map(all.map((channel) => [channel.key, channel])),
      groupByKey: new Map(groups.items.map((group) => [group.id, groupOf(group)])),
      variables: Object.fromEntries(variables.items.map(({ id, body }) => [id, body.value ?? null])),
      defaultPreferences: (preferences?.body as unknown as PreferenceSet | undefined) ?? null,
    };
    this.#furniture.set(environmentId, { value, readAt: now });
    return value;
  }

  async document(environmentId: EnvironmentId, kind: string, id: string): Promise<Document | null> {
    const held = this.#peek(environmentId, kind, id);
    if (held !== undefined) return held;
    const readAt = this.#clock.now();
    const value = await this.#documents.read(environmentId, kind, id);
    this.#held.set(keyOf(environmentId, kind, id), { value, readAt });
    return value;
  }

  /** What was committed of something that is drafted first; null when nothing was. */
  async committed(environmentId: EnvironmentId, kind: string, id: string): Promise<JsonObject | null> {
    const body = (await this.document(environmentId, kind, id))?.body;
    return isObject(body?.committed) ? body.committed : null;
  }

  /** The texts of one translation, by key; null when there is none. */
  async translation(
    environmentId: EnvironmentId,
    namespace: string,
    tenantId: string | null,
    locale: string,
  ): Promise<JsonObject | null> {
    const id = `${namespace}/${tenantId ?? ""}/${locale}`;
    const document = await this.document(environmentId, STEP_TRANSLATION, id);
    if (document === null || !isObject(document.body.committed)) return null;
    const key = keyOf(environmentId, "", id);
    const held = this.#tables.get(key);
    if (held?.of === document) return held.table;
    const table = tableOf(document.body.committed.content);
    this.#tables.set(key, { of: document, table });
    return table;
  }

  #peek(environmentId: EnvironmentId, kind: string, id: string): Document | null | undefined {
    const held = this.#held.get(keyOf(environmentId, kind, id));
    return held !== undefined && isFresh(held, this.#clock.now()) ? held.value : undefined;
  }
}

function keyOf(environmentId: EnvironmentId, kind: string, id: string): string {
  return `${environmentId} ${kind} ${id}`;
}

/** A clock that was set back must not make an entry live for ever. */
function isFresh(held: Held<unknown>, now: Millis): boolean {
  return now >= held.readAt && now - held.readAt < STALE_AFTER_MS;
}

/** The filter and the tag of translations, whose texts are Liquid as well. */
const TRANSLATES = /\|\s*t\b|\{%-?\s*t\b/;

/** Written once for each version, so that its runs need not look through its texts. */
export function prepare(id: WorkflowVersionId, workflow: Workflow): PreparedWorkflow {
  const text = JSON.stringify(workflow.steps) + JSON.stringify(workflow.conditions ?? null);
  const namesOthers = text.includes("layout_key") || TRANSLATES.test(text);
  return {
    id,
    workflow,
    categories: workflow.categories ?? [],
    usesRefs: text.includes("refs"),
    usesPreferences: text.includes("recipient.preferences"),
    usesActivities: namesOthers || text.includes("activities"),
    usesMessage: namesOthers || text.includes("current_message"),
    usesWorkflow: namesOthers || text.includes("workflow"),
  };
}

function channelOf({ id, body, createdAt, updatedAt }: Document): StepChannel {
  const { key, name, type, provider, settings } = body as unknown as ChannelBody;
  return {
    id,
    key,
    name,
    type: type as ChannelType,
    provider: provider ?? null,
    settings: settings ?? {},
    createdAt,
    updatedAt,
  };
}

function groupOf({ id, body }: Document): ChannelGroup {
  const rules = Array.isArray(body.channel_rules) ? (body.channel_rules as readonly Json[]) : [];
  return {
    key: id,
    operator: body.operator === "all" ? "all" : "any",
    rules: rules.filter(isObject).flatMap((rule): readonly ChannelRule[] => {
      const key = rule.channel_key ?? (isObject(rule.channel) ? rule.channel.key : undefined);
      if (typeof key !== "string") return [];
      const type = rule.rule_type === "if" || rule.rule_type === "unless" ? rule.rule_type : "always";
      return [{ channelKey: key, type, conditions: rule.conditions ?? single(rule) }];
    }),
  };
}

/** A rule may hold one condition in its own fields. */
function single({ variable, operator, argument }: JsonObject): Json | undefined {
  if (typeof variable !== "string" || typeof operator !== "string") return undefined;
  return { all: [{ variable, operator, ...(argument === undefined ? {} : { argument }) }] };
}

function tableOf(content: Json | undefined): JsonObject {
  if (isObject(content)) return content;
  if (typeof content !== "string") return {};
  try {
    const parsed: unknown = JSON.parse(content);
    return isObject(parsed) ? parsed : {};
  } catch {
    return {};
  }
}
