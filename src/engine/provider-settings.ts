/** Checks and hides the settings of providers, as the registry describes them. */

import type { Json, JsonObject } from "../lib/json.ts";
import type { ProviderKind, SettingField } from "./ports.ts";
import { Refusal } from "./refusal.ts";

/** Stands for every secret in what people read; sent back, it means the secret that is stored. */
const MASK = "********";
const MAX_LENGTH = 10_000;

/** In bytes. */
const LENGTHS = { public: 65, private: 32 };

/** A key of P-256 as browsers and push services spell it. */
function isKey(value: Json, kind: keyof typeof LENGTHS): boolean {
  const bytes = Buffer.from(String(value), "base64url");
  return bytes.length === LENGTHS[kind] && bytes.toString("base64url") === value;
}

/** What a field must be beyond its type, by the name of the field. @returns what was expected, null when it is right. */
const MEANINGS: { readonly [provider: string]: { readonly [field: string]: (value: Json) => string | null } } = {
  smtp: {
    host: (value) => (/^[^\s\p{C}/@?#]{1,253}$/u.test(String(value)) ? null : "a host name or an address"),
    port: (value) =>
      Number.isInteger(value) && Number(value) >= 1 && Number(value) <= 65_535 ? null : "a port between 1 and 65535",
    from: (value) => (String(value).includes("@") ? null : "an email address"),
  },
  "web-push": {
    vapid_public_key: (value) => (isKey(value, "public") ? null : "the 65 bytes of a VAPID public key in base64url"),
    vapid_private_key: (value) => (isKey(value, "private") ? null : "the 32 bytes of a VAPID private key in base64url"),
    subject: (value) =>
      /^(mailto:[^\s@]+@|https:\/\/)[^\s@]+$/.test(String(value)) ? null : "a mailto: or https: address",
  },
  webhook: {
    url: (value) => {
      const url = URL.parse(String(value));
      const isPlain = url !== null && /^https?:$/.test(url.protocol) && url.username === "" && url.password === "";
      return isPlain ? null : "an http or https URL without user name and password";
    },
  },
};

/** @throws Refusal("invalid") naming the field that is unknown, missing or of another type. */
export function checkSettings(kind: ProviderKind, settings: JsonObject): void {
  for (const [field, value] of Object.entries(settings)) {
    const path = `settings.${field}`;
    if (!Object.hasOwn(kind.settings, field)) {
      const known = Object.keys(kind.settings);
      const hint = known.length === 0 ? "it has none" : `known are ${known.join(", ")}`;
      throw new Refusal("invalid", `${kind.provider} has no setting ${JSON.stringify(field)}; ${hint}`, {
        field: path,
      });
    }
    if (value === undefined || value === null) continue;
    const expected =
      objectionToType(kind.settings[field] as SettingField, value) ??
      (MEANINGS[kind.provider]?.[field] ?? anything)(value);
    if (expected !== null) throw new Refusal("invalid", `${path} must be ${expected}`, { field: path });
  }
  for (const [field, { required }] of Object.entries(kind.settings)) {
    const value = Object.hasOwn(settings, field) ? settings[field] : undefined;
    if (required && (value === undefined || value === null || value === "")) {
      throw new Refusal("invalid", `settings.${field} is required for ${kind.provider}`, {
        field: `settings.${field}`,
      });
    }
  }
}

/** The settings as they may be shown: every secret that is set is a mask. */
export function maskSecrets(kind: ProviderKind, settings: JsonObject): JsonObject {
  return mapSecrets(kind, settings, (_, value) => (value === undefined || value === null ? value : MASK));
}

/**
 * Puts the stored secrets back where a mask was sent.
 * @throws Refusal("invalid") for a mask of a secret that is not stored: keeping it would make the mask the secret.
 */
export function unmask(kind: ProviderKind, incoming: JsonObject, stored: JsonObject): JsonObject {
  return mapSecrets(kind, incoming, (field, value) => {
    if (value !== MASK) return value;
    const secret = Object.hasOwn(stored, field) ? stored[field] : undefined;
    if (typeof secret === "string" && secret !== "") return secret;
    throw new Refusal("invalid", `settings.${field} is a mask, and no secret is stored that it could stand for`, {
      field: `settings.${field}`,
    });
  });
}

function mapSecrets(
  kind: ProviderKind,
  settings: JsonObject,
  map: (field: string, value: Json | undefined) => Json | undefined,
): JsonObject {
  return Object.fromEntries(
    Object.entries(settings).map(([field, value]) => {
      const isSecret = Object.hasOwn(kind.settings, field) && kind.settings[field]?.secret === true;
      return [field, isSecret ? map(field, value) : value];
    }),
  );
}

/** @returns what was expected, null when the value has the field's type. */
function objectionToType({ type, values }: SettingField, value: Json): string | null {
  switch (type) {
    case "string":
      if (typeof value !== "string") return "a string";
      if (value.length > MAX_LENGTH) return `at most ${MAX_LENGTH} characters long`;
      return value.includes("\0") ? "free of NUL characters" : null;
    case "number":
      return typeof value === "number" && Number.isFinite(value) ? null : "a number";
    case "boolean":
      return typeof value === "boolean" ? null : "true or false";
    case "enum":
      return typeof value === "string" && values?.includes(value) ? null : `one of ${values?.join(", ")}`;
  }
}

function anything(): null {
  return null;
}
