/**
 * Which items of an inbox a facade shows: all there are, whichever facade they were sent through, or only its own. The
 * operator says so (`PUT /admin/inbox-visibility`), for each environment.
 */
import type { EnvironmentId, InboxItem } from "../engine/model.ts";
import type { Bus, DocumentStore, InboxFilter } from "../engine/ports.ts";
import type { Clock, Millis } from "../lib/clock.ts";
import type { JsonObject } from "../lib/json.ts";
import { FACADE_SETTINGS, INBOX_VISIBILITY } from "./facade-documents.ts";

/** The facades with inboxes. */
export const INBOX_FACADES = ["courier", "knock", "pushwoosh"] as const;
export type InboxFacade = (typeof INBOX_FACADES)[number];
/** Those that send items one by one. What is Knock's is told by the channel of its workflow: many things start one. */
type OneItemEach = Exclude<InboxFacade, "knock">;
export type Shown = { readonly [facade in InboxFacade]: "all" | "own" };

export const ALL_SHOWN: Shown = { courier: "all", knock: "all", pushwoosh: "all" };

/** Another process may have changed the settings; this process hears of its own changes at once. */
const STALE_AFTER_MS: Millis = 1_000;

/** What facades ask of `InboxVisibility`. */
export type ShownItems = Pick<InboxVisibility, "of" | "lastKnown">;

/** Of a server on which nobody has set anything. */
export const EVERYTHING_SHOWN: ShownItems = { of: () => ALL_SHOWN, lastKnown: () => ALL_SHOWN };

interface Held {
  readonly shown: Shown;
  readonly readAt: Millis;
}

export class InboxVisibility {
  readonly #documents: Pick<DocumentStore, "read">;
  readonly #clock: Clock;
  readonly #held = new Map<EnvironmentId, Held>();
  readonly #reading = new Map<EnvironmentId, Promise<Shown>>();

  constructor(options: {
    readonly documents: Pick<DocumentStore, "read">;
    readonly bus: Pick<Bus, "onChanged">;
    readonly clock: Clock;
  }) {
    this.#documents = options.documents;
    this.#clock = options.clock;
    options.bus.onChanged((environmentId, kind) => {
      if (kind !== FACADE_SETTINGS) return;
      // What is being read may be older than the change.
      if (!this.#reading.delete(environmentId) && !this.#held.has(environmentId)) return;
      this.#read(environmentId).catch(() => this.#held.delete(environmentId));
    });
  }

  /** From memory, at most a second old. Rejects only if the database does. */
  of(environmentId: EnvironmentId): Shown | Promise<Shown> {
    const reading = this.#reading.get(environmentId);
    if (reading !== undefined) return reading;
    const held = this.#held.get(environmentId);
    return held !== undefined && !this.#isStale(held) ? held.shown : this.#read(environmentId);
  }

  /**
   * As it was when it was last read, for sockets, which cannot wait; `of` has been awaited when they were opened. When
   * that is a while ago it is read anew, for the next one who asks.
   */
  lastKnown(environmentId: EnvironmentId): Shown {
    const held = this.#held.get(environmentId);
    if ((held === undefined || this.#isStale(held)) && !this.#reading.has(environmentId)) {
      // Should the database be away, the next one to ask tries again.
      this.#read(environmentId).catch(() => {});
    }
    return held?.shown ?? ALL_SHOWN;
  }

  #isStale({ readAt }: Held): boolean {
    return this.#clock.now() - readAt >= STALE_AFTER_MS;
  }

  #read(environmentId: EnvironmentId): Promise<Shown> {
    const readAt = this.#clock.now();
    const reading = this.#documents.read(environmentId, FACADE_SETTINGS, INBOX_VISIBILITY).then(
      (found) => {
        const shown = found === null ? ALL_SHOWN : shownIn(found.body);
        if (this.#reading.get(environmentId) === reading) {
          this.#reading.delete(environmentId);
          this.#held.set(environmentId, { shown, readAt });
        }
        return shown;
      },
      (error: unknown) => {
        if (this.#reading.get(environmentId) === reading) this.#reading.delete(environmentId);
        throw error;
      },
    );
    this.#reading.set(environmentId, reading);
    return reading;
  }
}

/** A facade that the document does not name shows all. */
function shownIn(body: JsonObject): Shown {
  const [courier, knock, pushwoosh] = INBOX_FACADES.map((facade) => (body[facade] === "own" ? "own" : "all"));
  return { courier, knock, pushwoosh } as Shown;
}

/** What to add to a filter so that it leaves out what the facade does not show. */
export function shownBy(facade: OneItemEach, shown: Shown): Pick<InboxFilter, "via"> {
  return shown[facade] === "own" ? { via: facade } : {};
}

/** Whether the facade shows this item. */
export function isShown(facade: OneItemEach, shown: Shown, item: Pick<InboxItem, "via">): boolean {
  return shown[facade] === "all" || item.via === facade;
}
