/**
 * The guides of an environment as they are in force: what authors committed, in the order in which they are to be shown.
 * All guides of an environment are on its one guide channel, which has no document: its id is made of the environment's.
 */
import { createHash } from "node:crypto";
import type { Document, Environment, EnvironmentId } from "../../engine/model.ts";
import type { Bus, DocumentStore } from "../../engine/ports.ts";
import type { Conditions } from "../../engine/workflow/model.ts";
import { KNOCK_GUIDE_ORDER } from "../../http/facade-documents.ts";
import type { Clock, Millis } from "../../lib/clock.ts";
import { isObject, type JsonObject } from "../../lib/json.ts";

/** Kind of documents; id is the guide's key. Body: `GuideBody`. */
export const KNOCK_GUIDE = "knock-guide";
/** Kind of documents; id is the key. Body `{ draft, committed }`, each null or what the author wrote. */
export const KNOCK_MESSAGE_TYPE = "knock-message-type";
/** Key and type of the one guide channel. */
export const GUIDE_CHANNEL = { key: "guide", name: "Guide", type: "in_app_guide" } as const;
/** The one group there is. */
export const DEFAULT_GROUP = "default";

/** Of an environment; whoever shows guides reads all of them. */
export const MAX_GUIDES = 500;

export interface GuideBody {
  readonly draft: JsonObject | null;
  readonly committed: JsonObject | null;
  /** Absent: active. */
  readonly active?: boolean;
  /** Times between which an active guide is shown; absent or null where there is no such bound. */
  readonly from?: Millis | null;
  readonly until?: Millis | null;
}

export interface GuideStep {
  readonly ref: string;
  readonly schema_key: string;
  readonly schema_semver: string;
  readonly schema_variant_key: string;
  readonly name?: string;
  readonly values?: JsonObject;
}

/** What an author commits, as management/guides.ts has checked it. */
export interface GuideSource {
  readonly name: string;
  readonly steps: readonly GuideStep[];
  readonly target_property_conditions?: Conditions | null;
  readonly target_audience_id?: string | null;
  readonly activation_url_patterns?: readonly JsonObject[];
  readonly activation_url_rules?: readonly JsonObject[];
  readonly semver?: string;
}

export interface Guide {
  readonly id: string;
  readonly key: string;
  readonly active: boolean;
  readonly from: Millis | null;
  readonly until: Millis | null;
  readonly source: GuideSource;
  /** Whether showing it neither waits for the group's interval nor begins one. */
  readonly unthrottled: boolean;
  readonly createdAt: Millis;
  readonly updatedAt: Millis;
}

/** How guides follow one another. */
export interface GuideGroup {
  readonly sequence: readonly string[];
  readonly unthrottled: readonly string[];
  /** Milliseconds from one guide's end to the next one's beginning; null: none. */
  readonly intervalMs: Millis | null;
  readonly createdAt: Millis;
  readonly updatedAt: Millis;
}

export interface Shelf {
  /** In the order of the group. */
  readonly guides: readonly Guide[];
  readonly group: GuideGroup;
}

/** Always the same for an environment. */
export function guideChannelId({ id }: Pick<Environment, "id">): string {
  return uuidOf("guide channel", id);
}

/** A guide that was removed and made anew under its key is another one. */
function guideId(environmentId: EnvironmentId, { id, createdAt }: Document): string {
  return uuidOf("guide", environmentId, id, String(createdAt));
}

function uuidOf(...names: readonly string[]): string {
  const hex = createHash("sha256").update(JSON.stringify(names)).digest("hex");
  // The version says that it is made of a name.
  return `${hex.slice(0, 8)}-${hex.slice(8, 12)}-8${hex.slice(13, 16)}-a${hex.slice(17, 20)}-${hex.slice(20, 32)}`;
}

/** Whether it is shown to anybody now. */
export function isShown({ active, from, until }: Pick<Guide, "active" | "from" | "until">, now: Millis): boolean {
  return active && (from === null || now >= from) && (until === null || now < until);
}

export function bodyOf({ body }: Document): GuideBody {
  return body as unknown as GuideBody;
}

export function timesOf(body: GuideBody): Pick<Guide, "active" | "from" | "until"> {
  return { active: body.active !== false, from: body.from ?? null, until: body.until ?? null };
}

/** Another process may have written; this process hears of its own writes at once. */
const STALE_AFTER_MS: Millis = 1_000;
const MAX_HELD = 1_000;

/** Shelves of environments, from memory: at most a second old. */
export class Shelves {
  readonly #documents: DocumentStore;
  readonly #clock: Clock;
  #held = new Map<EnvironmentId, { readonly at: Millis; readonly shelf: Promise<Shelf> }>();

  constructor(documents: DocumentStore, bus: Pick<Bus, "onChanged">, clock: Clock) {
    this.#documents = documents;
    this.#clock = clock;
    bus.onChanged((environmentId, kind) => {
      if (isOfShelf(kind)) this.#held.delete(environmentId);
    });
  }

  of(environmentId: EnvironmentId): Promise<Shelf> {
    const now = this.#clock.now();
    const held = this.#held.get(environmentId);
    if (held !== undefined && now - held.at < STALE_AFTER_MS && now >= held.at) return held.shelf;
    if (this.#held.size >= MAX_HELD) this.#held.clear();
    const shelf = readShelf(this.#documents, environmentId);
    this.#held.set(environmentId, { at: now, shelf });
    // What could not be read is read again by whoever comes next.
    shelf.catch(() => this.#held.delete(environmentId));
    return shelf;
  }
}

/** Whether documents of this kind are what shelves are made of. */
export function isOfShelf(kind: string): boolean {
  return kind === KNOCK_GUIDE || kind === KNOCK_GUIDE_ORDER;
}

async function readShelf(documents: DocumentStore, environmentId: EnvironmentId): Promise<Shelf> {
  const [{ items }, order] = await Promise.all([
    documents.list(environmentId, KNOCK_GUIDE, { limit: MAX_GUIDES }),
    documents.read(environmentId, KNOCK_GUIDE_ORDER, DEFAULT_GROUP),
  ]);
  const unthrottled = textsOf(order?.body.unthrottled);
  const committed = items
    .filter(({ body }) => isObject(body.committed))
    .map((document): Guide => {
      const body = bodyOf(document);
      return {
        id: guideId(environmentId, document),
        key: document.id,
        ...timesOf(body),
        // Only what was checked is ever committed.
        source: body.committed as unknown as GuideSource,
        unthrottled: unthrottled.includes(document.id),
        createdAt: document.createdAt,
        updatedAt: document.updatedAt,
      };
    });
  const place = new Map(textsOf(order?.body.display_sequence).map((key, i) => [key, i]));
  const last = place.size;
  // Those that nobody has put in their place come last, the oldest first.
  const guides = committed.sort(
    (a, b) => (place.get(a.key) ?? last) - (place.get(b.key) ?? last) || a.createdAt - b.createdAt,
  );
  const seconds = order?.body.display_interval;
  const oldest = guides.reduce((at, { createdAt }) => Math.min(at, createdAt), Number.POSITIVE_INFINITY);
  const since = Number.isFinite(oldest) ? oldest : 0;
  return {
    guides,
    group: {
      sequence: guides.map(({ key }) => key),
      unthrottled: guides.filter((guide) => guide.unthrottled).map(({ key }) => key),
      intervalMs: typeof seconds === "number" && seconds > 0 ? seconds * 1000 : null,
      createdAt: order?.createdAt ?? since,
      updatedAt: order?.updatedAt ?? since,
    },
  };
}

function textsOf(value: unknown): readonly string[] {
  return Array.isArray(value) ? value.filter((one): one is string => typeof one === "string") : [];
}
