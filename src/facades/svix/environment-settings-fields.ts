/**
 * Settings of an environment, in the vendor's words and in ours. Those that the engine acts on are its own
 * (engine/webhooks/settings.ts); the others are for pages to look at and kept in `shown`.
 */
import { DEFAULT_WEBHOOK_SETTINGS, type WebhookSettings } from "../../engine/webhooks/settings.ts";
import type { Json, JsonObject } from "../../lib/json.ts";
import { EVENT_NAME, type Fields } from "./wire.ts";

type Reader = (f: Fields, name: string) => Json;

const MAX_WAITS = 50;
/** A week. */
const MAX_WAIT_SECONDS = 604_800;
const MAX_TEXT_LENGTH = 1_000;
const MAX_URL_LENGTH = 65_536;
const MAX_FONT_SIZE = 65_535;
const MAX_TYPES = 50;
/** Letters of CSS colours and no more: pages write them into their styles. */
const COLOR = /^[#a-zA-Z0-9(),.%/ -]{1,64}$/;
const FONT_FAMILY = /^[a-zA-Z0-9\-_ ]+$/;
const RADII = ["none", "sm", "md", "lg", "full"] as const;
const ALERTS = ["endpoint.disabled", "message.attempt.exhausted", "stream.sink.disabled"] as const;
const PALETTE = [
  "primary",
  "backgroundPrimary",
  "backgroundSecondary",
  "backgroundHover",
  "textPrimary",
  "textSecondary",
  "textDanger",
  "interactiveAccent",
  "navigationAccent",
  "buttonPrimary",
  "borderPrimary",
] as const;

// ——— what pages look at ——————————————————————————————————————————————————————————————————————————————————————————

interface Shown {
  readonly absent: Json;
  readonly read: Reader;
}

function flag(absent: boolean): Shown {
  return { absent, read: (f, name) => f.boolean(name) };
}

function orNull(read: Reader): Shown {
  return { absent: null, read };
}

const text: Reader = (f, name) => f.text(name, { nullable: true, max: MAX_TEXT_LENGTH });
const color: Reader = (f, name) => f.text(name, { nullable: true, pattern: COLOR });

const url: Reader = (f, name) => {
  const given = f.text(name, { nullable: true, max: MAX_URL_LENGTH });
  if (given === null) return null;
  const parsed = URL.parse(given);
  if (parsed?.protocol !== "https:" && parsed?.protocol !== "http:") f.issue([name], "Expected an http or https URL");
  return given;
};

const palette: Reader = (f, name) => {
  const colors = f.inside(name);
  return colors === null ? null : Object.fromEntries(PALETTE.map((part) => [part, color(colors, part)]));
};

const theme: Reader = (f, name) => {
  const given = f.inside(name);
  if (given === null) return null;
  const radius = given.inside("borderRadius");
  const size = given.inside("fontSize");
  return {
    borderRadius:
      radius === null
        ? null
        : Object.fromEntries(
            ["button", "card", "input"].map((part) => [part, radius.oneOf(part, RADII, { nullable: true })]),
          ),
    fontSize: size === null ? null : { base: size.integer("base", { nullable: true, min: 0, max: MAX_FONT_SIZE }) },
  };
};

const strings: Reader = (f, name) => {
  const given = f.inside(name);
  if (given === null) return null;
  return Object.fromEntries(["channelsOne", "channelsMany", "channelsHelp"].map((part) => [part, text(given, part)]));
};

const alerts: Reader = (f, name) => {
  const events = f.names(name, { max: ALERTS.length });
  for (const [i, event] of events.entries()) {
    if (!ALERTS.some((known) => known === event)) f.issue([name, `[${i}]`], `Expected one of ${ALERTS.join(", ")}`);
  }
  return events;
};

const SHOWN: { readonly [name: string]: Shown } = {
  applicationAlertEvents: { absent: [], read: alerts },
  applicationAlertsDashboardUrl: orNull(url),
  applicationAlertsLogoUrl: orNull(url),
  advancedEndpointTypes: { absent: [], read: (f, name) => f.names(name, { max: MAX_TYPES, pattern: EVENT_NAME }) },
  colorPaletteDark: orNull(palette),
  colorPaletteLight: orNull(palette),
  customBaseFontSize: orNull((f, name) => f.integer(name, { nullable: true, min: 0, max: MAX_FONT_SIZE })),
  customColor: orNull(color),
  customFontFamily: orNull((f, name) => f.text(name, { nullable: true, max: MAX_TEXT_LENGTH, pattern: FONT_FAMILY })),
  customFontFamilyUrl: orNull(url),
  customLogoUrl: orNull(url),
  customStringsOverride: orNull(strings),
  customThemeOverride: orNull(theme),
  displayName: orNull(text),
  enableApplicationAlerts: flag(false),
  enableChannels: flag(false),
  enableEndpointMtlsConfig: flag(false),
  enableEndpointOauthConfig: flag(false),
  enableIntegrationManagement: flag(false),
  enableMessageStream: flag(false),
  enableMessageTags: flag(false),
  enableOtlp: flag(false),
  eventCatalogPublished: flag(false),
  mcpToken: flag(false),
  readOnly: flag(false),
  showFeatureTooltips: flag(false),
  showUseSvixPlay: flag(true),
  webhooksAutoConfig: flag(false),
};

/** What `GET /environment/settings` tells the portal; `logoUrl` beside them. */
const FOR_PORTALS = [
  "customColor",
  "customLogoUrl",
  "customFontFamily",
  "customFontFamilyUrl",
  "customThemeOverride",
  "customStringsOverride",
  "displayName",
  "enableChannels",
  "enableMessageTags",
  "enableMessageStream",
  "enableIntegrationManagement",
  "enableTransformations",
  "enableEndpointOauthConfig",
  "enableEndpointMtlsConfig",
  "colorPaletteLight",
  "colorPaletteDark",
  "showUseSvixPlay",
  "showSvixBrandFooter",
  "wipeSuccessfulPayload",
  "showFeatureTooltips",
] as const;

// ——— what the engine acts on —————————————————————————————————————————————————————————————————————————————————————

type Switch =
  | "disableFailing"
  | "requireHttps"
  | "requireChannels"
  | "requireEventTypes"
  | "transformations"
  | "wipeWhenSent"
  | "logAttempts";

const SWITCHES: { readonly [name: string]: Switch } = {
  disableEndpointOnFailure: "disableFailing",
  enforceHttps: "requireHttps",
  requireEndpointChannel: "requireChannels",
  requireEndpointFilterTypes: "requireEventTypes",
  enableTransformations: "transformations",
  wipeSuccessfulPayload: "wipeWhenSent",
  enableMsgAtmptLog: "logAttempts",
};

/** Two switches there: `whitelabelHeaders` sends `webhook-*`, and `sendSvixWebhookHeaders` then sends `svix-*` as well. */
const HEADER_SWITCHES: { readonly [names in WebhookSettings["headerNames"]]: readonly [boolean, boolean] } = {
  both: [true, true],
  standard: [true, false],
  svix: [false, false],
};

/** Everything, as `/management/environment-settings` shows it. */
export function managedSettings(settings: WebhookSettings): JsonObject {
  const [whitelabelHeaders, sendSvixWebhookHeaders] = HEADER_SWITCHES[settings.headerNames];
  const { retryWaitsMs, shown } = settings;
  return {
    ...Object.fromEntries(Object.entries(SHOWN).map(([name, { absent }]) => [name, shown[name] ?? absent])),
    ...Object.fromEntries(Object.entries(SWITCHES).map(([name, own]) => [name, settings[own]])),
    retryPolicy: retryWaitsMs === null ? null : retryWaitsMs.map((ms) => ms / 1_000),
    whitelabelHeaders,
    sendSvixWebhookHeaders,
    whitelabelLogo: false,
    showSvixBrandFooter: false,
  };
}

/** What a portal may know. */
export function portalSettings(settings: WebhookSettings): JsonObject {
  const all = managedSettings(settings);
  return { ...Object.fromEntries(FOR_PORTALS.map((name) => [name, all[name]])), logoUrl: all.customLogoUrl };
}

/** A change that fields ask for; what they do not name stays. Their mistakes are noted. */
export function settingsChange(f: Fields): (current: WebhookSettings) => WebhookSettings {
  const switches: Partial<Record<Switch, boolean>> = {};
  for (const [name, own] of Object.entries(SWITCHES)) if (f.has(name)) switches[own] = f.boolean(name);
  const shown: Record<string, Json> = {};
  for (const [name, { read }] of Object.entries(SHOWN)) if (f.has(name)) shown[name] = read(f, name);
  const waits = f.has("retryPolicy") ? { retryWaitsMs: readWaits(f) } : {};
  const named = f.has("whitelabelHeaders") ? f.boolean("whitelabelHeaders") : null;
  const both = f.has("sendSvixWebhookHeaders") ? f.boolean("sendSvixWebhookHeaders") : null;
  return (current) => {
    const [whitelabel, svixToo] = HEADER_SWITCHES[current.headerNames];
    const headerNames =
      named === null && both === null ? current.headerNames : headers(named ?? whitelabel, both ?? svixToo);
    return { ...current, ...switches, ...waits, headerNames, shown: { ...current.shown, ...shown } };
  };
}

/** The settings that fields describe; what they do not name has its default. Their mistakes are noted. */
export function settingsInstead(f: Fields): WebhookSettings {
  const blank = f.has("whitelabelHeaders") || f.has("sendSvixWebhookHeaders") ? "svix" : "both";
  return settingsChange(f)({ ...DEFAULT_WEBHOOK_SETTINGS, headerNames: blank });
}

function headers(whitelabel: boolean, svixToo: boolean): WebhookSettings["headerNames"] {
  if (!whitelabel) return "svix";
  return svixToo ? "both" : "standard";
}

function readWaits(f: Fields): readonly number[] | null {
  const given = f.raw("retryPolicy");
  if (given === null) return null;
  const wrong = (at: readonly string[], expected: string): null => {
    f.issue(["retryPolicy", ...at], expected);
    return null;
  };
  if (!Array.isArray(given)) return wrong([], "Expected a list of seconds, or null");
  if (given.length > MAX_WAITS) return wrong([], `Expected at most ${MAX_WAITS} waits`);
  for (const [i, seconds] of given.entries()) {
    if (!Number.isInteger(seconds) || seconds < 0 || seconds > MAX_WAIT_SECONDS) {
      wrong([`[${i}]`], `Expected a whole number of seconds from 0 to ${MAX_WAIT_SECONDS}`);
    }
  }
  return given.map((seconds: number) => seconds * 1_000);
}
