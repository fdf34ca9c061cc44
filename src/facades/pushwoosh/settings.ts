/** What the operator has set and this facade looks at, read from memory. */
import type { EnvironmentId } from "../../engine/model.ts";
import type { Bus, DocumentStore } from "../../engine/ports.ts";
import { PROVIDER, type ProviderBody } from "../../engine/templates.ts";
import { FACADE_SETTINGS } from "../../http/facade-documents.ts";
import type { Clock, Millis } from "../../lib/clock.ts";
import { isObject, type JsonObject } from "../../lib/json.ts";
import { Lru } from "../../lib/lru.ts";

/** After so long they are read anew, should a shout from another process have been lost. */
const TRUSTED_MS: Millis = 5_000;
const MAX_ENVIRONMENTS = 1_000;
/** As many as an environment can have. */
const MAX_PROVIDERS = 1_000;

/** Of one application. */
export interface Switches {
  /** Whether devices have to show the publishable key. */
  readonly requireDeviceToken: boolean;
  /** Whether clients are told of what a user has deleted or archived, so that other browsers drop it. */
  readonly propagateUserRemovals: boolean;
  /** For how many days messages enter the inbox that do not say; null: not at all. */
  readonly defaultInboxDays: number | null;
}

type Documents = Pick<DocumentStore, "read" | "list">;

export class Settings {
  readonly #documents: Documents;
  readonly #clock: Clock;
  readonly #switches: Kept<Switches>;
  readonly #vapidKeys: Kept<string | null>;

  constructor(documents: Documents, bus: Pick<Bus, "onChanged">, clock: Clock) {
    this.#documents = documents;
    this.#clock = clock;
    this.#switches = new Lru(MAX_ENVIRONMENTS);
    this.#vapidKeys = new Lru(MAX_ENVIRONMENTS);
    bus.onChanged((environmentId, kind) => {
      if (kind === FACADE_SETTINGS) this.#switches.delete(environmentId);
      if (kind === PROVIDER) this.#vapidKeys.delete(environmentId);
    });
  }

  switches(environmentId: EnvironmentId): Promise<Switches> {
    return this.#recall(this.#switches, environmentId, async () => {
      const document = await this.#documents.read(environmentId, FACADE_SETTINGS, "pushwoosh");
      return switchesIn(document?.body ?? {});
    });
  }

  /** What browsers subscribe with: that of the first provider of web pushes; null when there is none. */
  vapidKey(environmentId: EnvironmentId): Promise<string | null> {
    return this.#recall(this.#vapidKeys, environmentId, async () => {
      const page = await this.#documents.list(environmentId, PROVIDER, { limit: MAX_PROVIDERS });
      const [first] = page.items
        .map(({ body }) => body as unknown as ProviderBody)
        .filter(({ provider }) => provider === "web-push")
        .sort((a, b) => a.position - b.position);
      const key = isObject(first?.settings) ? first.settings.vapid_public_key : undefined;
      return typeof key === "string" && key !== "" ? key : null;
    });
  }

  async #recall<T>(kept: Kept<T>, environmentId: EnvironmentId, read: () => Promise<T>): Promise<T> {
    const now = this.#clock.now();
    const known = kept.get(environmentId);
    if (known !== undefined && known.until > now) return known.value;
    const value = await read();
    kept.set(environmentId, { value, until: now + TRUSTED_MS });
    return value;
  }
}

type Kept<T> = Lru<EnvironmentId, { readonly value: T; readonly until: Millis }>;

function switchesIn(body: JsonObject): Switches {
  const days = body.default_inbox_days;
  return {
    requireDeviceToken: body.require_device_token === true,
    propagateUserRemovals: body.propagate_user_removals === true,
    defaultInboxDays: typeof days === "number" ? days : null,
  };
}
