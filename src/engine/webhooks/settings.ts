/** What an environment has settled about its webhooks, kept as one document. */
import type { Millis } from "../../lib/clock.ts";
import type { JsonObject } from "../../lib/json.ts";

/** Kind and id of the document. */
export const WEBHOOK_SETTINGS = "webhook-settings";
export const WEBHOOK_SETTINGS_ID = "settings";

export interface WebhookSettings {
  /** Waits between tries; null: those of the configuration. Empty: one try. */
  readonly retryWaitsMs: readonly Millis[] | null;
  /** Whether an endpoint that fails for days is disabled. */
  readonly disableFailing: boolean;
  /** Which names the headers of id, time and signature have. */
  readonly headerNames: "both" | "svix" | "standard";
  readonly requireHttps: boolean;
  readonly requireChannels: boolean;
  readonly requireEventTypes: boolean;
  /** Whether transformations run at all. */
  readonly transformations: boolean;
  /** Whether content is thrown away once every endpoint has it. */
  readonly wipeWhenSent: boolean;
  /** Whether every try is told to the environment's own endpoints. */
  readonly logAttempts: boolean;
  /** What only facades and pages look at. */
  readonly shown: JsonObject;
}

export const DEFAULT_WEBHOOK_SETTINGS: WebhookSettings = {
  retryWaitsMs: null,
  disableFailing: true,
  headerNames: "both",
  requireHttps: false,
  requireChannels: false,
  requireEventTypes: false,
  transformations: true,
  wipeWhenSent: false,
  logAttempts: false,
  shown: {},
};
