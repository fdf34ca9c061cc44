/**
 * Inline identification: wherever Knock takes a recipient, an actor or a tenant, it takes either its id or an object with
 * all that is to be known of it from now on. What a call has of these is collected first and then written in one commit,
 * or not at all when anything is at fault. Tenants of a trigger are written with the trigger.
 */
import type { EnvironmentId } from "../../engine/model.ts";
import type { TenantChange } from "../../engine/ports.ts";
import type { TenantBody } from "../../engine/templates.ts";
import { BLANK_TENANT } from "../../engine/tenants.ts";
import { type PartyRef, partyKey, TENANTS, USERS } from "../../engine/workflow/model.ts";
import type { PartyFacts, PartyWrite } from "../../engine/workflow/ports.ts";
import { deepMerge, isObject, type Json, type JsonObject } from "../../lib/json.ts";
import { checkChannelData, findChannel } from "./channel-data.ts";
import { invalid, KnockError } from "./errors.ts";
import type { Knock } from "./knock.ts";
import { settingsOf } from "./party-views.ts";
import { preferenceWrite } from "./preference-writes.ts";
import { checkCollection, checkId, Fields } from "./wire.ts";

/** A recipient as a call named it. */
export interface Identified {
  readonly party: PartyRef;
  /** Of its `$trigger_data`, which belongs to one trigger and is not kept. */
  readonly data?: JsonObject;
}

/** Of what callers add to a user or an object, as JSON. */
const MAX_PROPERTIES_BYTES = 256 * 1024;
/** Of the store's own making; callers who send a user back as they got it do not mean to set these. */
const NOT_PROPERTIES = new Set(["__typename", "id", "updated_at", "channel_data", "preferences", "$trigger_data"]);
const TEXTS = ["name", "email", "phone_number", "avatar", "timezone", "locale"] as const;

interface ChannelDataWrite {
  readonly party: PartyRef;
  readonly field: string;
  readonly channel: string;
  readonly data: Json;
}

/** What one call identifies. Each method throws KnockError 422 for what is at fault with its own part. */
export class PartyRequests {
  readonly #writes = new Map<string, PartyWrite>();
  readonly #tenants = new Map<string, ((old: TenantBody) => TenantBody)[]>();
  readonly #channelData: ChannelDataWrite[] = [];

  /** A recipient or an actor: an id, or an object of a user or an object. */
  recipient(field: string, value: unknown): Identified {
    if (typeof value === "string") return { party: { collection: USERS, id: checkId(field, value) } };
    if (!isObject(value)) throw invalid(field, "Expected the id of a user, or an object with an id");
    const id = checkId(`${field}.id`, value.id);
    const named = value.collection ?? USERS;
    const collection = named === USERS ? USERS : checkCollection(`${field}.collection`, named);
    const party = { collection, id };
    const { collection: _collection, ...properties } = value;
    // A bare reference says nothing about an object; a user is identified even by no more than its id.
    const isReference =
      collection !== USERS &&
      Object.keys(value).every((key) => key === "id" || key === "collection" || key === "$trigger_data");
    if (!isReference) this.describe(field, party, properties);
    const data = value.$trigger_data;
    if (data === undefined || data === null) return { party };
    if (!isObject(data)) throw invalid(`${field}.$trigger_data`, "Expected an object");
    return { party, data };
  }

  /** A tenant: an id, or an object. One that is not there is made. @returns its id. */
  tenant(field: string, value: unknown): string {
    if (typeof value === "string") {
      const id = checkId(field, value);
      this.#addTenant(id, (old) => old);
      return id;
    }
    if (!isObject(value)) throw invalid(field, "Expected the id of a tenant, or an object with an id");
    const id = checkId(`${field}.id`, value.id);
    this.describe(field, { collection: TENANTS, id }, value);
    return id;
  }

  /** All that a body says of a party: its properties, and what is kept beside them. */
  describe(field: string, party: PartyRef, body: JsonObject): void {
    const properties = checkProperties(field, body);
    const { channel_data, preferences } = body;
    this.add(party, party.collection === TENANTS ? {} : properties);
    if (party.collection === TENANTS) {
      const change = tenantChange(field, properties);
      this.#addTenant(party.id, change);
    }
    if (channel_data !== undefined && channel_data !== null) {
      const at = under(field, "channel_data");
      if (!isObject(channel_data)) throw invalid(at, "Expected an object with the ids of channels");
      for (const [channel, data] of Object.entries(channel_data)) {
        if (data !== undefined) this.addChannelData(party, `${at}.${channel}`, channel, data);
      }
    }
    if (preferences !== undefined && preferences !== null) {
      const at = under(field, "preferences");
      if (!isObject(preferences)) throw invalid(at, "Expected an object with the ids of preference sets");
      for (const [id, set] of Object.entries(preferences)) {
        if (set !== undefined) this.addPreferences(party, `${at}.${id}`, id, set);
      }
    }
  }

  /** Whether the party is there once this is written, whatever was there before. */
  describes(party: PartyRef): boolean {
    return party.collection === TENANTS ? this.#tenants.has(party.id) : this.#writes.has(partyKey(party));
  }

  /** @param properties merged into what is there; `{}` makes somebody of whom nothing more is known. */
  add(party: PartyRef, properties: JsonObject): void {
    if (party.collection === TENANTS) {
      this.#addTenant(party.id, (old) => old);
      return;
    }
    const old = this.#writeOf(party);
    this.#writes.set(partyKey(party), { ...old, properties: deepMerge(old.properties ?? {}, properties) });
  }

  addChannelData(party: PartyRef, field: string, channel: string, data: Json): void {
    this.#channelData.push({ party, field, channel, data });
  }

  /** Merged deeply into the set that is there, unless it asks to replace it. */
  addPreferences(party: PartyRef, field: string, set: string, value: Json): void {
    const id = checkId(field, set);
    this.#addDocument(party, "preferences", id, preferenceWrite(field, value, "merge"));
  }

  #addDocument(
    party: PartyRef,
    kind: "preferences" | "channel",
    name: string,
    body: PartyWrite["documents"][number]["body"],
  ): void {
    const old = this.#writeOf(party);
    this.#writes.set(partyKey(party), { ...old, documents: [...old.documents, { kind, name, body }] });
  }

  #writeOf(party: PartyRef): PartyWrite {
    return this.#writes.get(partyKey(party)) ?? { party, properties: null, documents: [] };
  }

  #addTenant(id: string, change: (old: TenantBody) => TenantBody): void {
    const changes = this.#tenants.get(id) ?? [];
    this.#tenants.set(id, [...changes, change]);
  }

  /** Checks what depends on the environment's channels. @throws KnockError 422 with every one at fault. */
  async #settle(knock: Knock, environmentId: EnvironmentId): Promise<void> {
    if (this.#channelData.length === 0) return;
    const channels = await knock.engine.workflows.channels(environmentId);
    const checks = new Fields({});
    for (const { party, field, channel: name, data } of this.#channelData.splice(0)) {
      checks.try(field, () => {
        const channel = findChannel(channels, name);
        if (channel === undefined) throw channelInvalid(field, name);
        this.#addDocument(party, "channel", channel.id, checkChannelData(channel, field, data));
      });
    }
    checks.done();
  }

  get tenants(): readonly TenantChange[] {
    return [...this.#tenants].map(([id, changes]) => ({
      id,
      change: (old) => {
        const next = changes.reduce((body, change) => change(body), old ?? BLANK_TENANT);
        // One that is only named, and is there, is left alone.
        return next === old ? null : next;
      },
    }));
  }

  /** @returns those of the parties that are users or objects, as they are afterwards. */
  async write(knock: Knock, environmentId: EnvironmentId): Promise<readonly PartyFacts[]> {
    return await this.#write(knock, environmentId, this.tenants);
  }

  /** All but the tenants, which whoever calls this has written with something else. */
  async writeWithoutTenants(knock: Knock, environmentId: EnvironmentId): Promise<void> {
    await this.#write(knock, environmentId, []);
  }

  async #write(
    knock: Knock,
    environmentId: EnvironmentId,
    tenants: readonly TenantChange[],
  ): Promise<readonly PartyFacts[]> {
    await this.#settle(knock, environmentId);
    const { parties } = knock.engine.workflows;
    return await parties.write(environmentId, [...this.#writes.values()], knock.clock.now(), tenants);
  }
}

/** Writes what a call identifies. Resolves after the commit. @throws KnockError 422, having written nothing. */
export async function identify(knock: Knock, environmentId: EnvironmentId, requests: PartyRequests): Promise<void> {
  await requests.write(knock, environmentId);
}

export function channelInvalid(field: string, name: string): KnockError {
  const message = `There is no channel ${JSON.stringify(name)} in this environment`;
  return new KnockError("channel_invalid", 422, message, [{ field, type: "invalid", message }]);
}

/** What a body says of a party itself. Null takes the place of what was there. */
function checkProperties(field: string, body: JsonObject): JsonObject {
  const fields = new Fields(body, field);
  for (const name of TEXTS) fields.text(name);
  const properties = Object.fromEntries(Object.entries(body).filter(([key]) => !NOT_PROPERTIES.has(key)));
  if (Buffer.byteLength(JSON.stringify(properties)) > MAX_PROPERTIES_BYTES) {
    fields.error("", "Expected at most 256 kB of properties", "too_long");
  }
  fields.done();
  return properties;
}

/**
 * What a tenant becomes by what is said of it. Everything is merged but a preference set that is null, which is taken
 * away, or that asks to replace what is there.
 */
function tenantChange(field: string, said: JsonObject): (old: TenantBody) => TenantBody {
  const { name, settings, ...properties } = said;
  const fields = new Fields(said, field);
  fields.object("settings");
  const at = new Fields(settings ?? {}, under(field, "settings"));
  at.object("branding");
  const asked = isObject(settings) ? settings.preference_set : undefined;
  const write =
    asked === undefined || asked === null
      ? () => null
      : at.try("preference_set", () => preferenceWrite(at.path("preference_set"), asked, "merge"));
  fields.done();
  at.done();
  const { preference_set: _set, ...others } = isObject(settings) ? settings : {};
  return (old) => {
    const before = settingsOf({ body: old as unknown as JsonObject });
    const set = isObject(before.preference_set) ? before.preference_set : null;
    const next = deepMerge(before, others);
    return {
      ...old,
      name: name === undefined ? old.name : name === null ? "" : String(name),
      properties: deepMerge(old.properties, properties),
      extra: {
        ...old.extra,
        settings: asked === undefined || write === undefined ? next : { ...next, preference_set: write(set) },
      },
    };
  };
}

function under(field: string, name: string): string {
  return field === "" ? name : `${field}.${name}`;
}
