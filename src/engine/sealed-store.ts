/**
 * Keeps secrets sealed in the database. Which texts of documents are secret is said here, for the store that seals and
 * opens them on their way, and for the command that seals them anew under another key.
 *
 * Endpoints of applications seal and open their own (webhooks/endpoint-documents.ts), because their snapshots hold them
 * opened; here they are named for that command only.
 */

import type { Clock } from "../lib/clock.ts";
import { isObject, type Json, type JsonObject } from "../lib/json.ts";
import { OUTBOUND_WEBHOOK } from "./endpoints.ts";
import type { Document, Environment, EnvironmentId } from "./model.ts";
import type { DocumentStore, EnvironmentStore, Store } from "./ports.ts";
import { PROVIDER } from "./templates.ts";
import type { Vault } from "./webhooks/webhooks.ts";
import { KNOCK_WEBHOOK, VARIABLE } from "./workflow/model.ts";

/** What their kinds begin with; deleted ones have no secrets any more. */
const ENDPOINT = "endpoint:";

type Change = (text: string) => string;
type ChangeSecrets = (body: JsonObject, change: Change) => JsonObject;

/**
 * Settings of a provider are sealed as a whole: which of them are secret is known to its kind, but some are secret by
 * what they hold, such as an address with a token in it.
 */
const SEALED_HERE: { readonly [kind: string]: ChangeSecrets } = {
  [PROVIDER]: (body, change) => inField(body, "settings", change),
  [OUTBOUND_WEBHOOK]: (body, change) => inField(body, "secret", change),
  [KNOCK_WEBHOOK]: (body, change) => inField(body, "secret", change),
  [VARIABLE]: (body, change) => (body.secret === true ? inField(body, "value", change) : body),
};

/**
 * @param change is called with each secret text of a document of this kind, as it is stored.
 * @returns the body itself when nothing changed.
 */
export function changeSecrets(kind: string, body: JsonObject, change: Change): JsonObject {
  if (kind.startsWith(ENDPOINT)) return changeEndpoint(body, change);
  return Object.hasOwn(SEALED_HERE, kind) ? (SEALED_HERE[kind] as ChangeSecrets)(body, change) : body;
}

/** Whether `changeSecrets` may find something in documents of this kind. */
export function holdsSecrets(kind: string): boolean {
  return Object.hasOwn(SEALED_HERE, kind) || kind.startsWith(ENDPOINT);
}

function changeEndpoint(body: JsonObject, change: Change): JsonObject {
  const { oldSecrets } = body;
  const old = Array.isArray(oldSecrets)
    ? oldSecrets.map((entry: Json) => (isObject(entry) ? inField(entry, "secret", change) : entry))
    : null;
  const changed = inField(inField(body, "secret", change), "headers", change);
  return old?.some((entry, i) => entry !== (oldSecrets as readonly Json[])[i])
    ? { ...changed, oldSecrets: old }
    : changed;
}

function inField(body: JsonObject, field: string, change: Change): JsonObject {
  const value = Object.hasOwn(body, field) ? body[field] : undefined;
  if (value === undefined) return body;
  const changed = changeTexts(value, change);
  return changed === value ? body : { ...body, [field]: changed };
}

/** Changes every text of a value, at any depth; names stay. @returns the value itself when nothing changed. */
export function changeTexts(value: Json, change: Change): Json {
  if (typeof value === "string") return change(value);
  if (typeof value !== "object" || value === null) return value;
  if (Array.isArray(value)) {
    const items = value.map((item: Json) => changeTexts(item, change));
    return items.some((item, i) => item !== value[i]) ? items : value;
  }
  let isChanged = false;
  const entries = Object.entries(value as JsonObject).map(([name, inner]): [string, Json | undefined] => {
    const changed = inner === undefined ? undefined : changeTexts(inner, change);
    isChanged ||= changed !== inner;
    return [name, changed];
  });
  return isChanged ? Object.fromEntries(entries) : value;
}

// ——— the store that seals ————————————————————————————————————————————————————————————————————————————————————————

/**
 * The store with its secrets opened for whoever reads and sealed in what is written: settings of providers, secrets of
 * webhooks that tell operators, secret variables, the environments' signing secrets.
 * @param environmentId of the first environment, where it is noted which keys are in use.
 * @throws Error, fit for an operator, when the database holds texts that none of the vault's keys opens.
 */
export async function sealedStore<S extends Pick<Store, "documents" | "environments">>(
  store: S,
  vault: Vault & { readonly keyId: string | null },
  environmentId: EnvironmentId,
  clock: Clock,
): Promise<S> {
  await checkKeys(store.documents, vault, environmentId, clock);
  return {
    ...store,
    documents: sealedDocuments(store.documents, vault),
    environments: sealedEnvironments(store.environments, vault),
  };
}

function sealedDocuments(documents: DocumentStore, vault: Vault): DocumentStore {
  const open = (text: string): string => vault.open(text);
  const opened = (document: Document): Document => {
    const change = Object.hasOwn(SEALED_HERE, document.kind) ? SEALED_HERE[document.kind] : undefined;
    return change === undefined ? document : { ...document, body: change(document.body, open) };
  };
  const seal = (text: string): string => vault.seal(text);
  return {
    ...documents,
    read: async (...args) => {
      const document = await documents.read(...args);
      return document === null ? null : opened(document);
    },
    readMany: async (...args) => {
      const found = await documents.readMany(...args);
      return found.map((document) => (document === null ? null : opened(document)));
    },
    list: async (environmentId, kind, page) => {
      const found = await documents.list(environmentId, kind, page);
      return Object.hasOwn(SEALED_HERE, kind) ? { ...found, items: found.items.map(opened) } : found;
    },
    write: (environmentId, writes, ...rest) => {
      const sealed = writes.map((write) => {
        const change = Object.hasOwn(SEALED_HERE, write.kind) ? SEALED_HERE[write.kind] : undefined;
        return change === undefined || write.body === null ? write : { ...write, body: change(write.body, seal) };
      });
      return documents.write(environmentId, sealed, ...rest);
    },
  };
}

function sealedEnvironments(environments: EnvironmentStore, vault: Vault): EnvironmentStore {
  const sealed = (environment: Environment): Environment => {
    return { ...environment, signingSecret: vault.seal(environment.signingSecret) };
  };
  return {
    ...environments,
    environments: async () => {
      const found = await environments.environments();
      return found.map((environment) => ({ ...environment, signingSecret: vault.open(environment.signingSecret) }));
    },
    create: (environment, keys) => environments.create(sealed(environment), keys),
    update: (environment) => environments.update(sealed(environment)),
  };
}

// ——— which keys are in use ———————————————————————————————————————————————————————————————————————————————————————

/** One document for each key that anything may be sealed with, in the first environment; id: the key's. */
export const ENCRYPTION_KEY = "encryption-key";
const PROOF = "carillon";
const MOST_KEYS = 200;

/**
 * Makes sure at the start that every key in use is known, and notes ours before anything is sealed with it. Found out
 * later, a forgotten key would show as one failing endpoint after another.
 * @throws Error, fit for an operator, that names a key which is missing.
 */
export async function checkKeys(
  documents: DocumentStore,
  vault: Vault & { readonly keyId: string | null },
  environmentId: EnvironmentId,
  clock: Clock,
): Promise<void> {
  const { items } = await documents.list(environmentId, ENCRYPTION_KEY, { limit: MOST_KEYS });
  for (const { id, body } of items) {
    if (proves(vault, body.proof)) continue;
    throw new Error(
      `the database holds secrets sealed with the encryption key ${id}, which is not configured: set it as ` +
        "CARILLON_ENCRYPTION_KEY, or as one of CARILLON_OLD_ENCRYPTION_KEYS if another has taken its place",
    );
  }
  const { keyId } = vault;
  if (keyId === null || items.some(({ id }) => id === keyId)) return;
  const body = { proof: vault.seal(PROOF) };
  // Null means that another process has just noted it.
  await documents.write(environmentId, [{ kind: ENCRYPTION_KEY, id: keyId, body, expect: "absent" }], clock.now());
}

function proves(vault: Vault, proof: Json | undefined): boolean {
  try {
    return typeof proof === "string" && vault.open(proof) === PROOF;
  } catch {
    return false;
  }
}
