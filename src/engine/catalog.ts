import type { Clock, Millis } from "../lib/clock.ts";
import type { Json, JsonObject } from "../lib/json.ts";
import { deepMerge, isObject } from "../lib/json.ts";
import { Lru } from "../lib/lru.ts";
import type { Document, EnvironmentId, KeyMode, Provider, ProviderId } from "./model.ts";
import type { Bus, CompiledContent, ContentLanguage, DocumentStore, ProviderKind } from "./ports.ts";
import { Refusal } from "./refusal.ts";
import {
  EVENT_MAPPING,
  PROVIDER,
  type ProviderBody,
  TEMPLATE,
  TEMPLATE_ALIAS,
  TENANT,
  type TemplateBody,
  type TemplateContent,
  type TenantBody,
  TRANSLATION,
} from "./templates.ts";

/** Another process may have written; this process hears of its own writes at once. */
const STALE_AFTER_MS = 1000;
const MAX_DOCUMENTS = 10_000;
const MAX_COMPILED = 2_000;
const MAX_PROVIDERS = 1_000;
const HELD_KINDS: ReadonlySet<string> = new Set([TEMPLATE, TEMPLATE_ALIAS, EVENT_MAPPING, TENANT, TRANSLATION]);
/** A tenant and its parents count up to this depth. */
const TENANT_LEVELS = 4;

export type FoundTemplate =
  | {
      readonly kind: "found";
      readonly id: string;
      readonly content: TemplateContent;
      readonly compiled: CompiledContent;
    }
  | { readonly kind: "unmapped" }
  | { readonly kind: "unpublished"; readonly id: string };

/** A tenant with all it inherits. */
export interface TenantContext {
  readonly id: string;
  readonly brandId: string | null;
  readonly userProfile: JsonObject;
  /** Merged properties with `id` and `name`. */
  readonly variables: JsonObject;
}

interface Held<T> {
  readonly value: T;
  readonly readAt: Millis;
}

/**
 * What people configured, as sending needs it: providers in their order, templates compiled, tenants with what they
 * inherit. Everything is read once and kept until it changes; at most a second longer when another process changed it.
 */
export class Catalog {
  readonly #documents: DocumentStore;
  readonly #languages: ReadonlyMap<string, ContentLanguage>;
  readonly #kinds: ReadonlyMap<string, ProviderKind>;
  readonly #clock: Clock;
  #held = new Lru<string, Held<Document | null>>(MAX_DOCUMENTS);
  #providers = new Map<EnvironmentId, Held<readonly Provider[]>>();
  #compiled = new Lru<string, CompiledContent>(MAX_COMPILED);

  constructor(
    documents: DocumentStore,
    languages: ReadonlyMap<string, ContentLanguage>,
    kinds: ReadonlyMap<string, ProviderKind>,
    bus: Bus,
    clock: Clock,
  ) {
    this.#documents = documents;
    this.#languages = languages;
    this.#kinds = kinds;
    this.#clock = clock;
    bus.onChanged((environmentId, kind) => {
      if (kind === PROVIDER) this.#providers.delete(environmentId);
      else if (HELD_KINDS.has(kind)) this.#held.clear();
    });
  }

  /** In the order in which they are tried; stand-ins last. */
  async providers(environmentId: EnvironmentId): Promise<readonly Provider[]> {
    const held = this.#providers.get(environmentId);
    const now = this.#clock.now();
    if (held !== undefined && now - held.readAt < STALE_AFTER_MS) return held.value;
    const page = await this.#documents.list(environmentId, PROVIDER, { limit: MAX_PROVIDERS });
    const value = page.items
      .map((document) => ({ document, body: document.body as unknown as ProviderBody }))
      .filter(({ body }) => this.#kinds.has(body.provider))
      .sort((a, b) => Number(a.body.standIn) - Number(b.body.standIn) || a.body.position - b.body.position)
      .map(
        ({ document, body }): Provider => ({
          id: document.id as ProviderId,
          environmentId,
          provider: body.provider,
          channel: (this.#kinds.get(body.provider) as ProviderKind).channel,
          title: body.title,
          alias: body.alias,
          settings: body.settings,
          standIn: body.standIn,
          createdAt: document.createdAt,
          updatedAt: document.updatedAt,
        }),
      );
    this.#providers.set(environmentId, { value, readAt: now });
    return value;
  }

  /** Null when it was removed, which memory alone cannot tell from made by another process a moment ago. */
  async provider(environmentId: EnvironmentId, id: ProviderId): Promise<Provider | null> {
    const isIt = (provider: Provider): boolean => provider.id === id;
    const known = (await this.providers(environmentId)).find(isIt);
    if (known !== undefined) return known;
    this.#providers.delete(environmentId);
    return (await this.providers(environmentId)).find(isIt) ?? null;
  }

  /**
   * Compiles inline content; the same text is compiled once.
   * @throws Refusal("invalid") naming the element at fault.
   */
  compile(language: string, source: Json): CompiledContent {
    const known = this.#languages.get(language);
    if (known?.unkept === true) return known.compile(source);
    const key = `${language} ${JSON.stringify(source)}`;
    let compiled = this.#compiled.get(key);
    if (compiled === undefined) {
      if (known === undefined) throw new Refusal("invalid", `unknown content language ${JSON.stringify(language)}`);
      compiled = known.compile(source);
      this.#compiled.set(key, compiled);
    }
    return compiled;
  }

  /** Looks a name up as template id, then alias, then event mapping. Draft keys see drafts, others what is published. */
  async template(environmentId: EnvironmentId, name: string, mode: KeyMode): Promise<FoundTemplate> {
    for (const id of [
      name,
      await this.#target(environmentId, TEMPLATE_ALIAS, name),
      await this.#target(environmentId, EVENT_MAPPING, name),
    ]) {
      if (id === null) continue;
      const body = (await this.document(environmentId, TEMPLATE, id))?.body as unknown as TemplateBody | undefined;
      if (body === undefined || body.archivedAt !== null) continue;
      const content = mode === "draft" ? (body.draft ?? body.published) : body.published;
      if (content === null) return { kind: "unpublished", id };
      return { kind: "found", id, content, compiled: this.compile(content.language, content.source) };
    }
    return { kind: "unmapped" };
  }

  async #target(environmentId: EnvironmentId, kind: string, id: string): Promise<string | null> {
    const target = (await this.document(environmentId, kind, id))?.body.templateId;
    return typeof target === "string" ? target : null;
  }

  /** A tenant with what it inherits from its parents, the nearest winning; null when there is no such tenant. */
  async tenant(environmentId: EnvironmentId, tenantId: string): Promise<TenantContext | null> {
    const chain: TenantBody[] = [];
    let at: string | null = tenantId;
    for (let level = 0; at !== null && level < TENANT_LEVELS; level++) {
      const body: TenantBody | undefined = (await this.document(environmentId, TENANT, at))?.body as unknown as
        | TenantBody
        | undefined;
      if (body === undefined) break;
      chain.push(body);
      at = body.parentId;
    }
    const nearest = chain[0];
    if (nearest === undefined) return null;
    let userProfile: JsonObject = {};
    let properties: JsonObject = {};
    for (const body of chain.toReversed()) {
      userProfile = deepMerge(userProfile, body.userProfile);
      properties = deepMerge(properties, body.properties);
    }
    return {
      id: tenantId,
      brandId: chain.find((body) => body.brandId !== null)?.brandId ?? null,
      userProfile,
      variables: { ...properties, id: tenantId, name: nearest.name },
    };
  }

  /** Messages of a locale by key: of the locale itself, where missing of its language. */
  async translations(environmentId: EnvironmentId, locale: string): Promise<(key: string) => string | undefined> {
    const tables: JsonObject[] = [];
    for (const name of localeNames(locale)) {
      const entries = (await this.document(environmentId, TRANSLATION, `default/${name}`))?.body.entries;
      if (isObject(entries)) tables.push(entries);
    }
    return (key) => {
      for (const table of tables) {
        const text = Object.hasOwn(table, key) ? table[key] : undefined;
        if (typeof text === "string" && text !== "") return text;
      }
      return undefined;
    };
  }

  async document(environmentId: EnvironmentId, kind: string, id: string): Promise<Document | null> {
    const key = `${environmentId} ${kind} ${id}`;
    const now = this.#clock.now();
    const held = this.#held.get(key);
    if (held !== undefined && now - held.readAt < STALE_AFTER_MS) return held.value;
    const value = await this.#documents.read(environmentId, kind, id);
    this.#held.set(key, { value, readAt: now });
    return value;
  }
}

/** The ways a locale may be filed, the most specific first: `fr-ca` is found as `fr_CA`, `fr-CA` and `fr`. */
function localeNames(locale: string): string[] {
  const [language = "", region] = locale.split(/[-_]/);
  const lower = language.toLowerCase();
  if (region === undefined) return [...new Set([locale, lower])];
  const upper = region.toUpperCase();
  return [...new Set([locale, `${lower}_${upper}`, `${lower}-${upper}`, lower])];
}
