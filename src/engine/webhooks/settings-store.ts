import type { Clock } from "../../lib/clock.ts";
import type { JsonObject } from "../../lib/json.ts";
import type { Document, EnvironmentId } from "../model.ts";
import type { Bus, DocumentStore } from "../ports.ts";
import { untilWritten } from "./app-documents.ts";
import { FreshCache } from "./fresh-cache.ts";
import { DEFAULT_WEBHOOK_SETTINGS, WEBHOOK_SETTINGS, WEBHOOK_SETTINGS_ID, type WebhookSettings } from "./settings.ts";
import { Turns } from "./turns.ts";
import type { Webhooks } from "./webhooks.ts";

const MAX_ENVIRONMENTS = 1_000;

/** What environments have settled, at most a second old when another process wrote. */
export class SettingsStore {
  readonly #documents: DocumentStore;
  readonly #clock: Clock;
  readonly #held: FreshCache<WebhookSettings>;
  readonly #turns = new Turns();

  /** @param documents shout to `bus` when they are written. */
  constructor(documents: DocumentStore, bus: Pick<Bus, "onChanged">, clock: Clock) {
    this.#documents = documents;
    this.#clock = clock;
    this.#held = new FreshCache({
      clock,
      load: async (environmentId) => settingsIn(await this.#read(environmentId as EnvironmentId)),
      maxEntries: MAX_ENVIRONMENTS,
    });
    bus.onChanged((environmentId, kind) => {
      if (kind === WEBHOOK_SETTINGS) this.#held.forget(environmentId);
    });
  }

  async read(environmentId: EnvironmentId): Promise<WebhookSettings> {
    return (await this.#held.get(environmentId)) ?? DEFAULT_WEBHOOK_SETTINGS;
  }

  /** The same without waiting; undefined when they have to be read first. */
  peek(environmentId: EnvironmentId): WebhookSettings | undefined {
    return this.#held.peek(environmentId);
  }

  /** As in the interface. What `change` throws leaves everything as it was. @throws Refusal("busy") under many writers. */
  update: Webhooks["settings"]["update"] = (environmentId, change) =>
    this.#turns.run(environmentId, () =>
      untilWritten("settings", async () => {
        const old = await this.#read(environmentId);
        const settings = change(settingsIn(old));
        const write = {
          kind: WEBHOOK_SETTINGS,
          id: WEBHOOK_SETTINGS_ID,
          body: settings as unknown as JsonObject,
          expect: old?.version ?? "absent",
        } as const;
        const versions = await this.#documents.write(environmentId, [write], this.#clock.now());
        return versions === null ? "again" : settings;
      }),
    );

  #read(environmentId: EnvironmentId): Promise<Document | null> {
    return this.#documents.read(environmentId, WEBHOOK_SETTINGS, WEBHOOK_SETTINGS_ID);
  }
}

/** Only this file writes documents of the kind. Settings that are newer than a document have their defaults. */
function settingsIn(document: Document | null): WebhookSettings {
  if (document === null) return DEFAULT_WEBHOOK_SETTINGS;
  return { ...DEFAULT_WEBHOOK_SETTINGS, ...(document.body as unknown as Partial<WebhookSettings>) };
}
