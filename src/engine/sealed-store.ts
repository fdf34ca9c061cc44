/**
 * Keeps secrets sealed in the database (secrets.ts says which they are), and sees to it that every key they are sealed
 * with is known.
 */

import type { Clock } from "../lib/clock.ts";
import type { Json, JsonObject } from "../lib/json.ts";
import type { Document, Environment, EnvironmentId } from "./model.ts";
import type { CaptureStore, DocumentStore, EnvironmentStore, IdempotencyStore, Store } from "./ports.ts";
import {
  type Change,
  changeCapturedSecrets,
  changeSentHeaders,
  changeStoredSecrets,
  isSealedByStore,
  openChannelData,
  sealChannelData,
} from "./secrets.ts";
import type { EndpointAttempt } from "./webhooks/model.ts";
import type { AppMessageStore } from "./webhooks/ports.ts";
import type { Vault } from "./webhooks/webhooks.ts";
import type { PartyDocument } from "./workflow/model.ts";
import type { PartyFacts, PartyStore, PartyWrite } from "./workflow/ports.ts";

// ——— the store that seals ————————————————————————————————————————————————————————————————————————————————————————

/** Parts of the store that hold secrets. A command needs only those that it uses. */
export type SealedParts = Pick<Store, "documents" | "environments"> &
  Partial<Pick<Store, "parties" | "captured" | "idempotency" | "appMessages">>;

/**
 * The store with its secrets opened for whoever reads and sealed in what is written. Two kinds of rows are sealed by
 * those who make them, as here nobody could tell them from the others without a look at each: deliveries of steps
 * (`changeDeliverySecrets`) and tries at endpoints; the latter are opened here.
 * @param environmentId of the first environment, where it is noted which keys are in use.
 * @throws Error, fit for an operator, when the database holds texts that none of the vault's keys opens.
 */
export async function sealedStore<S extends SealedParts>(
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
    ...(store.parties && { parties: sealedParties(store.parties, vault) }),
    ...(store.captured && { captured: sealedCaptured(store.captured, vault) }),
    ...(store.idempotency && { idempotency: sealedAnswers(store.idempotency, vault) }),
    ...(store.appMessages && { appMessages: openedAttempts(store.appMessages, vault) }),
  };
}

function sealedDocuments(documents: DocumentStore, vault: Vault): DocumentStore {
  const open = (text: string): string => vault.open(text);
  const opened = (document: Document): Document => {
    const body = changeStoredSecrets(document.kind, document.body, open);
    return body === document.body ? document : { ...document, body };
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
      return isSealedByStore(kind) ? { ...found, items: found.items.map(opened) } : found;
    },
    write: (environmentId, writes, ...rest) => {
      const sealed = writes.map((write) =>
        write.body === null || !isSealedByStore(write.kind)
          ? write
          : { ...write, body: changeStoredSecrets(write.kind, write.body, seal) },
      );
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

function sealedParties(parties: PartyStore, vault: Vault): PartyStore {
  const open: Change = (text) => vault.open(text);
  const seal: Change = (text) => vault.seal(text);
  const opened = <D extends PartyDocument | null>(document: D): D => {
    if (document?.kind !== "channel") return document;
    const body = openChannelData(document.body, open);
    return body === document.body ? document : { ...document, body };
  };
  const openedFacts = (facts: PartyFacts): PartyFacts =>
    facts.documents.some(({ kind }) => kind === "channel")
      ? { ...facts, documents: facts.documents.map(opened) }
      : facts;
  const sealed = (body: JsonObject | null): JsonObject | null => (body === null ? null : sealChannelData(body, seal));
  const modifying =
    (modify: (old: JsonObject | null) => JsonObject | null) =>
    (old: JsonObject | null): JsonObject | null =>
      sealed(modify(old === null ? null : openChannelData(old, open)));
  const sealedWrite = (write: PartyWrite): PartyWrite => ({
    ...write,
    documents: write.documents.map((document) => {
      if (document.kind !== "channel") return document;
      const { body } = document;
      return { ...document, body: typeof body === "function" ? modifying(body) : sealed(body) };
    }),
  });
  return {
    ...parties,
    facts: async (...args) => (await parties.facts(...args)).map(openedFacts),
    write: async (environmentId, writes, ...rest) =>
      (await parties.write(environmentId, writes.map(sealedWrite), ...rest)).map(openedFacts),
    document: async (...args) => opened(await parties.document(...args)),
    documents: async (...args) => (await parties.documents(...args)).map(opened),
    modifyDocument: async (environmentId, party, kind, name, at, modify) =>
      opened(
        await parties.modifyDocument(
          environmentId,
          party,
          kind,
          name,
          at,
          kind === "channel" ? modifying(modify) : modify,
        ),
      ),
  };
}

function sealedCaptured(captured: CaptureStore, vault: Vault): CaptureStore {
  return {
    ...captured,
    add: (added) =>
      captured.add(
        added.map((one) =>
          one.channel === "chat" ? changeCapturedSecrets(one, (text) => vault.sealOften(text)) : one,
        ),
      ),
    list: async (...args) => {
      const page = await captured.list(...args);
      return {
        ...page,
        items: page.items.map((one) =>
          one.channel === "chat" ? changeCapturedSecrets(one, (text) => vault.open(text)) : one,
        ),
      };
    },
  };
}

/** An answer may show a secret that the call has made. Those of sends show none, and are kept by whoever accepts them. */
function sealedAnswers(idempotency: IdempotencyStore, vault: Vault): IdempotencyStore {
  return {
    ...idempotency,
    begin: async (...args) => {
      const taken = await idempotency.begin(...args);
      if (taken.kind !== "replayed") return taken;
      return { ...taken, answer: { ...taken.answer, body: vault.open(taken.answer.body) } };
    },
    finish: (environmentId, scope, key, answer) =>
      idempotency.finish(environmentId, scope, key, { ...answer, body: vault.seal(answer.body) }),
    find: async (...args) => {
      const answer = await idempotency.find(...args);
      return answer === null ? null : { ...answer, body: vault.open(answer.body) };
    },
  };
}

function openedAttempts(messages: AppMessageStore, vault: Vault): AppMessageStore {
  const opened = (attempt: EndpointAttempt): EndpointAttempt => {
    return { ...attempt, sentHeaders: changeSentHeaders(attempt.sentHeaders, (text) => vault.open(text)) };
  };
  return {
    ...messages,
    listAttempts: async (...args) => {
      const walked = await messages.listAttempts(...args);
      return { ...walked, items: walked.items.map(opened) };
    },
    readAttempt: async (...args) => {
      const attempt = await messages.readAttempt(...args);
      return attempt === null ? null : opened(attempt);
    },
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
