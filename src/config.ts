/** Every setting, once: its name, what it means, its default, how it is read. `docs/config.md` is printed from here. */
import { isIP } from "node:net";

/** A setting that is missing, unknown or not what was expected. One line, for the operator. */
export class ConfigError extends Error {
  override name = "ConfigError";
}

interface Setting<T> {
  readonly env: string;
  readonly about: string;
  /** As one would write it; `""` for unset. */
  readonly fallback: string;
  readonly expected: string;
  /** Never shown, not even when it is wrong: it is, or holds, a secret. */
  readonly secret?: boolean;
  /** @returns undefined when the text is not what was expected. */
  readonly read: (text: string) => T | undefined;
}

type Read<S> = S extends Setting<infer T> ? T : never;
export type Config = { readonly [name in keyof typeof SETTINGS]: Read<(typeof SETTINGS)[name]> };

export type Role = "api" | "deliver" | "realtime";
const ROLES: readonly Role[] = ["api", "deliver", "realtime"];

const text = (raw: string): string => raw;

function whole(least: number, most: number) {
  return (raw: string): number | undefined => {
    const value = Number(raw);
    return /^\d+$/.test(raw) && value >= least && value <= most ? value : undefined;
  };
}

function oneOf<const T extends string>(...values: readonly T[]) {
  return (raw: string): T | undefined => values.find((value) => value === raw);
}

/** Days, or null for `never`. */
function days(raw: string): number | null | undefined {
  if (raw === "never") return null;
  const value = Number(raw);
  return raw !== "" && Number.isFinite(value) && value > 0 ? value * 86_400_000 : undefined;
}

function hours(raw: string): number | undefined {
  const value = Number(raw);
  return raw !== "" && value >= 0 && value <= 8_760 ? value * 3_600_000 : undefined;
}

/** Seconds to milliseconds. */
function waits(raw: string): readonly number[] | undefined {
  if (raw === "none") return [];
  const named = raw.split(",").map((part) => part.trim());
  const good = named.length <= 30 && named.every((part) => /^\d+(\.\d+)?$/.test(part) && Number(part) <= 2_592_000);
  return good ? named.map((part) => Math.round(Number(part) * 1000)) : undefined;
}

function zone(raw: string): string | undefined {
  try {
    return new Intl.DateTimeFormat("en", { timeZone: raw }).resolvedOptions().timeZone === "" ? undefined : raw;
  } catch {
    return undefined;
  }
}

function matching(pattern: RegExp) {
  return (raw: string): string | null | undefined => (raw === "" ? null : pattern.test(raw) ? raw : undefined);
}

function url(...protocols: readonly string[]) {
  return (raw: string): string | null | undefined => {
    if (raw === "") return null;
    // `http:host` parses as well, but what is put together from the text as it stands would lead nowhere.
    const good = URL.canParse(raw) && protocols.some((protocol) => raw.toLowerCase().startsWith(`${protocol}//`));
    return good ? raw : undefined;
  };
}

function roles(raw: string): readonly Role[] | undefined {
  const named = raw.split(",").map((part) => part.trim());
  return named.every((name) => (ROLES as readonly string[]).includes(name)) ? (named as Role[]) : undefined;
}

function networks(raw: string): readonly string[] | undefined {
  if (raw === "") return [];
  const named = raw.split(",").map((part) => part.trim());
  const good = named.every((cidr) => {
    const [address = "", bits = "", ...rest] = cidr.split("/");
    const family = isIP(address);
    return rest.length === 0 && family !== 0 && /^\d+$/.test(bits) && Number(bits) <= (family === 4 ? 32 : 128);
  });
  return good ? named : undefined;
}

/** 32 bytes, as 64 hex digits or in base64. */
function key(raw: string): Buffer | undefined {
  if (/^[0-9a-f]{64}$/i.test(raw)) return Buffer.from(raw, "hex");
  return /^[A-Za-z0-9+/_-]{43}=?$/.test(raw) ? Buffer.from(raw, "base64") : undefined;
}

function keys(raw: string): readonly Buffer[] | undefined {
  if (raw === "") return [];
  const read = raw.split(",").map((part) => key(part.trim()));
  return read.every((one) => one !== undefined) ? read : undefined;
}

const setting = <T>(
  env: string,
  about: string,
  fallback: string,
  expected: string,
  read: (text: string) => T | undefined,
): Setting<T> => ({ env, about, fallback, expected, read });

const secret = <T>(of: Setting<T>): Setting<T> => ({ ...of, secret: true });

export const SETTINGS = {
  port: setting("PORT", "Port to listen on; 0 takes a free one.", "4000", "a port number", whole(0, 65_535)),
  host: setting("HOST", "Address to listen on.", "127.0.0.1", "an address or host name", text),
  publicUrl: setting(
    "CARILLON_PUBLIC_URL",
    "Where clients and mail readers reach this server: tracking links and tokens begin with it. Unset: the listen address.",
    "",
    "an http or https URL",
    url("http:", "https:"),
  ),
  dataDir: setting(
    "CARILLON_DATA_DIR",
    "Where the embedded database and generated credentials live.",
    "./data",
    "a directory",
    text,
  ),
  databaseUrl: secret(
    setting(
      "CARILLON_DATABASE_URL",
      "Postgres to use instead of the embedded database.",
      "",
      "a postgres:// URL",
      url("postgres:", "postgresql:"),
    ),
  ),
  databasePool: setting("CARILLON_DATABASE_POOL", "Connections to Postgres.", "10", "1 to 200", whole(1, 200)),
  durability: setting(
    "CARILLON_DURABILITY",
    "`full`: what was answered with 2xx survives a power cut. `normal`: it survives a crash of the process.",
    "full",
    "full or normal",
    oneOf("full", "normal"),
  ),
  roles: setting(
    "CARILLON_ROLES",
    "What this process does, any of them: answer requests, do the work that is due, serve sockets.",
    "api,deliver,realtime",
    "any of api,deliver,realtime",
    roles,
  ),
  secretKey: secret(
    setting(
      "CARILLON_SECRET_KEY",
      "Secret key of the first environment. Unset: generated at first start and kept.",
      "",
      "6 to 200 visible characters",
      matching(/^[\x21-\x7e]{6,200}$/),
    ),
  ),
  publicKey: setting(
    "CARILLON_PUBLIC_KEY",
    "Publishable key of the first environment.",
    "",
    "6 to 200 visible characters",
    matching(/^[\x21-\x7e]{6,200}$/),
  ),
  appCode: setting(
    "CARILLON_APP_CODE",
    "Application code of the first environment.",
    "",
    "XXXXX-XXXXX",
    matching(/^[0-9A-Z]{5}-[0-9A-Z]{5}$/),
  ),
  feedId: setting(
    "CARILLON_FEED_ID",
    "Id of the first environment's in-app channel.",
    "",
    "a UUID",
    matching(/^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$/i),
  ),
  encryptionKey: secret(
    setting(
      "CARILLON_ENCRYPTION_KEY",
      "Seals secrets in the database, see [security.md](security.md). `openssl rand -hex 32` makes one. Unset: they are stored in the clear.",
      "",
      "32 bytes, as 64 hex digits or in base64",
      (raw) => (raw === "" ? null : key(raw)),
    ),
  ),
  oldEncryptionKeys: secret(
    setting(
      "CARILLON_OLD_ENCRYPTION_KEYS",
      "Keys that still open what was sealed with them, comma-separated; until `carillon rotate-encryption-key` is done.",
      "",
      "keys as CARILLON_ENCRYPTION_KEY, comma-separated",
      keys,
    ),
  ),
  allowNetworks: setting(
    "CARILLON_ALLOW_NETWORKS",
    "Private networks that outbound requests may reach all the same, comma-separated.",
    "",
    "CIDRs such as 127.0.0.0/8,10.0.0.0/8",
    networks,
  ),
  clientKeyAuth: setting(
    "CARILLON_CLIENT_KEY_AUTH",
    "What a browser may do with the publishable key alone: nothing, with a signature of the user id, or everything (development only).",
    "signed",
    "off, signed or open",
    oneOf("off", "signed", "open"),
  ),
  timezone: setting(
    "CARILLON_TIMEZONE",
    "Time zone of recipients that have none, for workflows' windows and schedules.",
    "Etc/UTC",
    "the name of a time zone, such as `Europe/Berlin`",
    zone,
  ),
  tracking: setting(
    "CARILLON_TRACKING",
    "Whether links and opens of mails are tracked.",
    "on",
    "on or off",
    oneOf("on", "off"),
  ),
  demo: setting(
    "CARILLON_DEMO",
    "Whether /demo is served. `auto`: when listening on a loopback address.",
    "auto",
    "auto, on or off",
    oneOf("auto", "on", "off"),
  ),
  keepMessages: setting(
    "CARILLON_KEEP_MESSAGES_DAYS",
    "Days after which messages and their history are thrown away.",
    "never",
    "a number of days, or never",
    days,
  ),
  keepInbox: setting(
    "CARILLON_KEEP_INBOX_DAYS",
    "Days after which inbox items are thrown away.",
    "never",
    "a number of days, or never",
    days,
  ),
  keepCaptured: setting(
    "CARILLON_KEEP_CAPTURED_DAYS",
    "Days after which captured messages are thrown away.",
    "7",
    "a number of days, or never",
    days,
  ),
  maxInFlight: setting("CARILLON_MAX_IN_FLIGHT", "Deliveries tried at once.", "256", "1 to 10000", whole(1, 10_000)),
  tryTimeoutMs: setting(
    "CARILLON_TRY_TIMEOUT_MS",
    "Longest time for one try, in milliseconds.",
    "30000",
    "100 to 600000",
    whole(100, 600_000),
  ),
  webhookTimeoutMs: setting(
    "CARILLON_WEBHOOK_TIMEOUT_MS",
    "Longest time for one try at an application's endpoint, the reading of its answer included, in milliseconds.",
    "15000",
    "100 to 60000",
    whole(100, 60_000),
  ),
  webhookRetryWaitsMs: setting(
    "CARILLON_WEBHOOK_RETRY_SECONDS",
    "Waits between tries at an application's endpoint, in seconds, comma-separated; `none` makes one try only.",
    "5,300,1800,7200,18000,36000,36000",
    "up to 30 numbers of seconds, or none",
    waits,
  ),
  webhookDisableAfterMs: setting(
    "CARILLON_WEBHOOK_DISABLE_AFTER_HOURS",
    "An endpoint at which a message's tries still end in vain so many hours after the first such message is disabled.",
    "120",
    "0 to 8760",
    hours,
  ),
  webhookSignature: setting(
    "CARILLON_WEBHOOK_SIGNATURE",
    "Kind of the signing secrets that are generated for endpoints.",
    "hmac256",
    "hmac256 or ed25519",
    oneOf("hmac256", "ed25519"),
  ),
  maxEndpointsPerApplication: setting(
    "CARILLON_MAX_ENDPOINTS_PER_APPLICATION",
    "Endpoints that an application may have.",
    "1000",
    "1 to 10000",
    whole(1, 10_000),
  ),
  maxWebhookBodyBytes: setting(
    "CARILLON_MAX_WEBHOOK_BODY_BYTES",
    "Largest request body under /api/v1, messages to applications among them.",
    "2097152",
    "1024 to 104857600",
    whole(1024, 104_857_600),
  ),
  svixJwtSecret: secret(
    setting(
      "CARILLON_SVIX_JWT_SECRET",
      "Secret of signed tokens (HS256) that an organisation of an existing Svix server uses. Unset: such tokens are refused.",
      "",
      "8 to 500 visible characters",
      matching(/^[\x21-\x7e]{8,500}$/),
    ),
  ),
  leaseMs: setting(
    "CARILLON_LEASE_MS",
    "How long work claimed by a process that died stays with it, in milliseconds.",
    "15000",
    "500 to 600000",
    whole(500, 600_000),
  ),
  pollMs: setting(
    "CARILLON_POLL_MS",
    "How often to look for work that another process left, in milliseconds.",
    "1000",
    "50 to 60000",
    whole(50, 60_000),
  ),
  maxBodyBytes: setting(
    "CARILLON_MAX_BODY_BYTES",
    "Largest request body.",
    "6291456",
    "1024 to 104857600",
    whole(1024, 104_857_600),
  ),
  maxTriggerBodyBytes: setting(
    "CARILLON_MAX_TRIGGER_BODY_BYTES",
    "Largest body of a trigger of Knock's, where CARILLON_MAX_BODY_BYTES is less: 10 MB of data, and whom it is for.",
    "11534336",
    "1024 to 104857600",
    whole(1024, 104_857_600),
  ),
  knockRateLimits: setting(
    "CARILLON_KNOCK_RATE_LIMITS",
    "Whether Knock's rate limits are kept, see [knock.md](knock.md#rate-limits): off, or as the vendor has them.",
    "off",
    "on or off",
    oneOf("on", "off"),
  ),
  maxSocketsPerUser: setting(
    "CARILLON_MAX_SOCKETS_PER_USER",
    "Live sockets of one user; one more is refused with 429.",
    "50",
    "1 to 100000",
    whole(1, 100_000),
  ),
  maxSocketOutboxBytes: setting(
    "CARILLON_MAX_SOCKET_OUTBOX_BYTES",
    "Bytes that may wait for a slow socket before it is closed.",
    "1048576",
    "16384 to 104857600",
    whole(16_384, 104_857_600),
  ),
  logLevel: setting(
    "CARILLON_LOG_LEVEL",
    "Least severe log lines to print.",
    "info",
    "trace, debug, info, warn, error, fatal or silent",
    oneOf("trace", "debug", "info", "warn", "error", "fatal", "silent"),
  ),
};

/** Read by the tests and by `carillon listen` only; named here so that a typo in any other name is found. */
const OTHER_VARIABLES = /^CARILLON_(TEST_|URL$)/;

/**
 * Reads the settings from environment variables. An empty variable counts as unset.
 * @throws ConfigError at the first unknown `CARILLON_…` variable or bad value.
 */
export function readConfig(env: { readonly [name: string]: string | undefined }): Config {
  const known = new Set(Object.values(SETTINGS).map((entry) => entry.env));
  for (const name of Object.keys(env)) {
    if (!name.startsWith("CARILLON_") || known.has(name) || OTHER_VARIABLES.test(name)) continue;
    throw new ConfigError(`${name} is not a setting of this version; \`carillon --help\` lists them all`);
  }
  const config: { [name: string]: unknown } = {};
  for (const [name, entry] of Object.entries(SETTINGS) as [string, Setting<unknown>][]) {
    const given = env[entry.env];
    const raw = given === undefined || given === "" ? entry.fallback : given;
    const value = entry.read(raw);
    if (value === undefined) {
      const got = entry.secret === true ? "something else" : JSON.stringify(raw.slice(0, 200));
      throw new ConfigError(`${entry.env}: expected ${entry.expected}, got ${got}`);
    }
    config[name] = value;
  }
  return config as Config;
}

/** The settings as they may be shown: of secrets only whether they are set, of a database's address no password. */
export function shownConfig(config: Config): { readonly [name: string]: unknown } {
  const entries = Object.entries(config).map(([name, value]): [string, unknown] => {
    if (name === "databaseUrl") return [name, typeof value === "string" ? withoutSecrets(value) : value];
    const isSecret = (SETTINGS as { readonly [name: string]: Setting<unknown> })[name]?.secret === true;
    if (!isSecret || value === null) return [name, value];
    return [name, Array.isArray(value) ? value.map(() => "(set)") : "(set)"];
  });
  return Object.fromEntries(entries);
}

/** The address without user, password and parameters. */
function withoutSecrets(databaseUrl: string): string {
  const { protocol, host, pathname } = new URL(databaseUrl);
  return `${protocol}//${host}${pathname}`;
}

/** The settings as text for `--help`. */
export function settingsHelp(): string {
  return Object.values(SETTINGS)
    .map((entry) => `  ${entry.env}${entry.fallback === "" ? "" : ` (${entry.fallback})`}\n      ${entry.about}`)
    .join("\n");
}

/** The settings as a page of the documentation. */
export function settingsMarkdown(): string {
  const rows = Object.values(SETTINGS).map(
    (entry) =>
      `| \`${entry.env}\` | ${entry.fallback === "" ? "unset" : `\`${entry.fallback}\``} | ${entry.expected.replaceAll("|", "\\|")} | ${entry.about} |`,
  );
  return [
    "# Settings",
    "",
    "Printed by `npm run docs:config` from `src/config.ts`. Settings are environment variables; an unknown `CARILLON_…`",
    "name or a bad value stops the start with one line that says what was expected.",
    "",
    "| name | default | expected | meaning |",
    "|---|---|---|---|",
    ...rows,
    "",
  ].join("\n");
}
