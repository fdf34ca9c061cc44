/** Looking a text up in the translations of an environment: the nearest of the recipient's language and tenant wins. */
import { isObject, type Json, type JsonObject } from "../../lib/json.ts";
import type { EnvironmentId } from "../model.ts";
import type { WorkflowCatalog } from "./catalog.ts";
import { resolvePath } from "./paths.ts";

const DEFAULT_LOCALE = "en";

export interface TranslationQuery {
  /** `namespace:path.of.key`, or without a namespace. */
  readonly key: string;
  /** Picks one of the forms `zero`, `one` and `other`; null when the text has none. */
  readonly count: number | null;
  readonly locale: string | null;
  readonly tenantId: string | null;
}

/** @returns null when no translation has the key. */
export async function lookUp(
  catalog: WorkflowCatalog,
  environmentId: EnvironmentId,
  { key, count, locale, tenantId }: TranslationQuery,
): Promise<string | null> {
  const colon = key.indexOf(":");
  const namespace = colon < 0 ? "" : key.slice(0, colon);
  const path = colon < 0 ? key : key.slice(colon + 1);
  for (const tenant of tenantId === null ? [null] : [tenantId, null]) {
    for (const name of localesOf(locale)) {
      const table = await catalog.translation(environmentId, namespace, tenant, name);
      const text = table === null ? null : formOf(entryOf(table, path), count);
      if (text !== null) return text;
    }
  }
  return null;
}

/** Region, language, default; however the region is joined on. */
function localesOf(locale: string | null): readonly string[] {
  if (locale === null) return [DEFAULT_LOCALE];
  const [language = "", region] = locale.split(/[-_]/);
  const lower = language.toLowerCase();
  const names = region === undefined ? [] : [`${lower}-${region.toUpperCase()}`, `${lower}_${region.toUpperCase()}`];
  return [...new Set([locale, ...names, lower, DEFAULT_LOCALE])];
}

/** The key as it stands, else as a path. */
function entryOf(table: JsonObject, path: string): Json | undefined {
  return Object.hasOwn(table, path) ? table[path] : resolvePath(table, path);
}

function formOf(value: Json | undefined, count: number | null): string | null {
  if (typeof value === "string") return value;
  if (typeof value === "number") return String(value);
  if (!isObject(value)) return null;
  const forms = count === 0 ? ["zero", "other"] : count === 1 ? ["one", "other"] : ["other"];
  for (const form of forms) {
    const text = Object.hasOwn(value, form) ? value[form] : undefined;
    if (typeof text === "string") return text;
  }
  return null;
}
