/** Event types as documents: kind `event-type`, the name for id. */
import type { Document, EnvironmentId } from "../../engine/model.ts";
import type { DocumentWrite } from "../../engine/ports.ts";
import type { Walk, Walked } from "../../engine/webhooks/ports.ts";
import type { Millis } from "../../lib/clock.ts";
import type { JsonObject } from "../../lib/json.ts";
import { type Caller, seesFlags } from "./access.ts";
import type { Svix } from "./svix.ts";
import { EVENT_NAME } from "./wire.ts";

export const EVENT_TYPE = "event-type";
/** Names are at most this long; what is longer, or has other characters, is the name of no event type. */
const MAX_NAME_LENGTH = 256;
/** Rows read at once. */
const PAGE = 100;
/** … and at least, where some of them may be left out. Each may have schemas of half a megabyte. */
const LEAST_PAGE = 25;
/** So many names are looked up at once. */
const NAMES_AT_ONCE = 1_000;

export interface EventTypeBody {
  readonly description: string;
  /** Hidden, and not to be chosen any more; endpoints that have chosen it keep it. */
  readonly archived: boolean;
  readonly deprecated: boolean;
  /** JSON Schemas of its messages by version. */
  readonly schemas: JsonObject | null;
  readonly groupName: string | null;
  /** Only callers with one of them see it; null: everybody. */
  readonly featureFlags: readonly string[] | null;
}

export interface EventType extends EventTypeBody {
  readonly name: string;
  readonly createdAt: Millis;
  readonly updatedAt: Millis;
}

/** What other resources ask about the event types of an environment. */
export interface EventTypes {
  /** Archived ones included; null when there is none of this name. */
  readEventType(name: string): Promise<EventType | null>;
  /**
   * Those of `names` that may not be chosen: there is none of this name, it is archived, or its flags hide it.
   * @param caller for whom; absent: someone who sees all.
   */
  unknownEventTypes(names: readonly string[], caller?: Caller): Promise<readonly string[]>;
}

export function eventTypesFor(svix: Pick<Svix, "engine">, environmentId: EnvironmentId): EventTypes {
  const { documents } = svix.engine;
  return {
    async readEventType(name) {
      if (!isEventTypeName(name)) return null;
      const document = await documents.read(environmentId, EVENT_TYPE, name);
      return document === null ? null : eventTypeIn(document);
    },

    async unknownEventTypes(names, caller) {
      const unknown: string[] = [];
      for (let from = 0; from < names.length; from += NAMES_AT_ONCE) {
        const some = names.slice(from, from + NAMES_AT_ONCE);
        const real = some.filter(isEventTypeName);
        const found = await documents.readMany(
          environmentId,
          real.map((id) => ({ kind: EVENT_TYPE, id })),
        );
        const known = new Set<string>();
        for (const document of found) {
          if (document === null) continue;
          const { name, archived, featureFlags } = eventTypeIn(document);
          if (!archived && (caller === undefined || seesFlags(caller, featureFlags))) known.add(name);
        }
        unknown.push(...some.filter((name) => !known.has(name)));
      }
      return unknown;
    },
  };
}

export function isEventTypeName(text: string): boolean {
  return text.length <= MAX_NAME_LENGTH && EVENT_NAME.test(text);
}

/** Only this facade writes documents of the kind, always whole. */
export function eventTypeIn({ id, body, createdAt, updatedAt }: Document): EventType {
  return { name: id, ...(body as unknown as EventTypeBody), createdAt, updatedAt };
}

/** @param over the document that it replaces; it must not have changed meanwhile. */
export function eventTypeWrite(name: string, body: EventTypeBody, over: Document | null): DocumentWrite {
  const { description, archived, deprecated, schemas, groupName, featureFlags } = body;
  return {
    kind: EVENT_TYPE,
    id: name,
    body: { description, archived, deprecated, schemas, groupName, featureFlags },
    expect: over?.version ?? "absent",
  };
}

/** Walks event types by name, always in the order of names; those that `wanted` leaves out are not counted. */
export async function walkEventTypes(
  svix: Pick<Svix, "engine">,
  environmentId: EnvironmentId,
  { limit, from }: Walk,
  wanted: (eventType: EventType) => boolean,
): Promise<Walked<EventType>> {
  const back = from?.back ?? false;
  const items: EventType[] = [];
  let after = from?.key ?? null;
  // One more than asked for tells whether there is more.
  while (items.length <= limit) {
    const page = await svix.engine.documents.list(environmentId, EVENT_TYPE, {
      after,
      limit: Math.max(LEAST_PAGE, Math.min(PAGE, limit + 1 - items.length)),
      newestFirst: back,
    });
    for (const document of page.items) {
      const eventType = eventTypeIn(document);
      if (items.length <= limit && wanted(eventType)) items.push(eventType);
    }
    if (page.next === null) break;
    after = page.next;
  }
  const more = items.length > limit;
  if (more) items.length = limit;
  return { items: back ? items.reverse() : items, more };
}

/**
 * All event types of an environment, archived ones included.
 * @returns null when there are more than `most`, or their schemas have more than `mostChars`.
 */
export async function allEventTypes(
  svix: Pick<Svix, "engine">,
  environmentId: EnvironmentId,
  most: number,
  mostChars: number,
): Promise<readonly Document[] | null> {
  const all: Document[] = [];
  let chars = 0;
  let after: string | null = null;
  do {
    const page: { readonly items: readonly Document[]; readonly next: string | null } =
      await svix.engine.documents.list(environmentId, EVENT_TYPE, { after, limit: PAGE });
    all.push(...page.items);
    for (const { body } of page.items) chars += body.schemas == null ? 0 : JSON.stringify(body.schemas).length;
    if (all.length > most || chars > mostChars) return null;
    after = page.next;
  } while (after !== null);
  return all;
}
