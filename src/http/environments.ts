/** Making environments: the first one at the first start, others when an operator asks. */
import { randomBytes, randomUUID } from "node:crypto";
import { link, mkdir, open, readFile, rename, rm } from "node:fs/promises";
import { join } from "node:path";
import type { Environment, EnvironmentId, KeyMode } from "../engine/model.ts";
import type { DocumentStore, DocumentWrite, EnvironmentStore } from "../engine/ports.ts";
import { PROVIDER, type ProviderBody } from "../engine/templates.ts";
import type { Clock } from "../lib/clock.ts";
import { newId } from "../lib/ids.ts";
import { isObject, type JsonObject } from "../lib/json.ts";
import { apiKey, hashOf, newSecretKey, randomText } from "./credentials.ts";
import { ensureAllChannels, firstChannels } from "./step-channels.ts";

/** What identifies an environment to clients. `secretKey` is the only secret among them. */
export interface FirstCredentials {
  /** Null when it was generated and its file is lost: only its hash is left. */
  readonly secretKey: string | null;
  readonly publicKey: string;
  readonly appCode: string;
  readonly feedId: string;
}

type KnownCredentials = { readonly [name in keyof FirstCredentials]: string };

/** Values the operator fixed; null where he left it to us. */
export type FixedCredentials = { readonly [name in keyof FirstCredentials]: string | null };

/**
 * Every process derives the same id, so that two processes that start on an empty database at once make one
 * environment and not two.
 */
export const FIRST_ENVIRONMENT_ID: EnvironmentId = `env_${"0".repeat(26)}`;
const CREDENTIALS_FILE = "credentials.json";
/** Its one document says that the environment was furnished, and which key is the operator's. */
const SETUP = "environment-setup";
const SETUP_ID = "setup";

/**
 * Finds or makes the first environment, and brings it in line with the values the operator fixed. A secret key fixed
 * in place of an earlier one takes its place; keys made through `/admin` are left alone.
 * @param dataDir where `credentials.json` is kept; null, or `:memory:` as for the database, keeps no file.
 */
export async function openFirstEnvironment(options: {
  readonly environments: EnvironmentStore;
  readonly documents: DocumentStore;
  readonly clock: Clock;
  readonly fixed: FixedCredentials;
  readonly dataDir: string | null;
}): Promise<{ readonly environment: Environment; readonly credentials: FirstCredentials }> {
  const { environments, documents, clock, fixed } = options;
  const dataDir = options.dataDir === ":memory:" ? null : options.dataDir;
  const kept = dataDir === null ? null : await readKept(dataDir);
  let generatedKey = kept?.secretKey ?? null;
  let environment = await findFirst(environments);
  if (environment === null) {
    const wanted = {
      secretKey: fixed.secretKey ?? kept?.secretKey ?? newSecretKey("published"),
      publicKey: fixed.publicKey ?? kept?.publicKey ?? newPublicKey(),
      appCode: fixed.appCode ?? kept?.appCode ?? newAppCode(),
      feedId: fixed.feedId ?? kept?.feedId ?? randomUUID(),
    };
    // The file comes first: should we die in between, the next start takes its values up. The other way round the
    // database would hold the hash of a key that nobody has ever seen.
    const agreed = dataDir === null ? wanted : { ...wanted, ...(await keep(dataDir, generated(wanted, fixed), kept)) };
    generatedKey = agreed.secretKey;
    environment = await createFirst(environments, agreed, clock);
  }
  const { publicKey, appCode, feedId } = environment;
  const next = {
    ...environment,
    publicKey: fixed.publicKey ?? publicKey,
    appCode: fixed.appCode ?? appCode,
    feedId: fixed.feedId ?? feedId,
  };
  if (next.publicKey !== publicKey || next.appCode !== appCode || next.feedId !== feedId) {
    await environments.update(next);
  }
  await furnish(documents, environments, next, clock);
  await ensureAllChannels(documents, environments, next, clock);
  const secretKey = fixed.secretKey ?? (await ifValid(environments, generatedKey));
  if (fixed.secretKey !== null) await useSecretKey(environments, documents, next.id, fixed.secretKey, clock);
  return {
    environment: next,
    credentials: { secretKey, publicKey: next.publicKey, appCode: next.appCode, feedId: next.feedId },
  };
}

/** Another environment, empty but for the providers every environment begins with. @returns its key's text once. */
export async function createEnvironment(
  environments: EnvironmentStore,
  documents: DocumentStore,
  clock: Clock,
  name: string,
  mode: KeyMode,
): Promise<{ readonly environment: Environment; readonly secretKey: string }> {
  const now = clock.now();
  const secretKey = newSecretKey(mode);
  const environment: Environment = {
    id: newId("env", now),
    name,
    signingSecret: randomBytes(32).toString("base64url"),
    publicKey: newPublicKey(),
    appCode: newAppCode(),
    feedId: randomUUID(),
    createdAt: now,
  };
  await environments.create(environment, [apiKey(environment.id, mode, secretKey, now)]);
  await furnish(documents, environments, environment, clock);
  return { environment, secretKey };
}

/** The environment of this id, made without a key if there is none: its callers prove who they are in another way. */
export async function ensureEnvironment(
  environments: EnvironmentStore,
  documents: DocumentStore,
  clock: Clock,
  id: EnvironmentId,
  name: string,
): Promise<Environment> {
  const find = async (): Promise<Environment | undefined> =>
    (await environments.environments()).find((environment) => environment.id === id);
  const known = await find();
  if (known !== undefined) return known;
  const environment: Environment = {
    id,
    name,
    signingSecret: randomBytes(32).toString("base64url"),
    publicKey: newPublicKey(),
    appCode: newAppCode(),
    feedId: randomUUID(),
    createdAt: clock.now(),
  };
  try {
    await environments.create(environment, []);
  } catch (error) {
    // Another call, or another process, may have made it in this moment.
    const made = await find();
    if (made === undefined) throw error;
    return made;
  }
  await furnish(documents, environments, environment, clock);
  return environment;
}

async function findFirst(environments: EnvironmentStore): Promise<Environment | null> {
  return (await environments.environments()).find(({ id }) => id === FIRST_ENVIRONMENT_ID) ?? null;
}

async function createFirst(
  environments: EnvironmentStore,
  wanted: FirstCredentials & { readonly secretKey: string },
  clock: Clock,
): Promise<Environment> {
  const now = clock.now();
  const environment: Environment = {
    id: FIRST_ENVIRONMENT_ID,
    name: "Production",
    signingSecret: randomBytes(32).toString("base64url"),
    publicKey: wanted.publicKey,
    appCode: wanted.appCode,
    feedId: wanted.feedId,
    createdAt: now,
  };
  try {
    await environments.create(environment, [apiKey(environment.id, "published", wanted.secretKey, now)]);
    return environment;
  } catch (error) {
    const theirs = await findFirst(environments);
    if (theirs === null) throw error;
    return theirs;
  }
}

/** Gives an environment its providers and channels, once in its life: what the operator deletes later stays deleted. */
async function furnish(
  documents: DocumentStore,
  environments: EnvironmentStore,
  environment: Environment,
  clock: Clock,
): Promise<void> {
  const { id: environmentId } = environment;
  if ((await documents.read(environmentId, SETUP, SETUP_ID)) !== null) return;
  const now = clock.now();
  const [key] = await environments.keys(environmentId);
  const setup: DocumentWrite = { kind: SETUP, id: SETUP_ID, body: { keyId: key?.id ?? null }, expect: "absent" };
  const providers = FIRST_PROVIDERS.map((body): DocumentWrite => {
    return { kind: PROVIDER, id: newId("prv", now), body: body as unknown as JsonObject, expect: "absent" };
  });
  // Null means that another process furnished it meanwhile, which is just as good.
  await documents.write(environmentId, [setup, ...providers, ...firstChannels(environment)], now);
}

const FIRST_PROVIDERS: readonly ProviderBody[] = (
  [
    ["courier", "Inbox", false],
    ["webhook", "Webhook", false],
    ["capture-email", "Captured e-mail", true],
    ["capture-sms", "Captured SMS", true],
    ["capture-push", "Captured push", true],
    ["capture-chat", "Captured chat", true],
  ] as const
).map(([provider, title, standIn], position) => ({ provider, title, alias: null, settings: {}, standIn, position }));

/** Makes the fixed key valid, and the operator's earlier one invalid. */
async function useSecretKey(
  environments: EnvironmentStore,
  documents: DocumentStore,
  environmentId: EnvironmentId,
  text: string,
  clock: Clock,
): Promise<void> {
  const now = clock.now();
  const known = await environments.findKey(hashOf(text));
  if (known !== null && known.environmentId !== environmentId) {
    throw new Error("CARILLON_SECRET_KEY is a key of another environment");
  }
  let key = known ?? apiKey(environmentId, "published", text, now);
  if (known === null || known.revokedAt !== null) {
    // One that the operator configured before, and comes back to, is valid again.
    try {
      await environments.addKey({ ...key, revokedAt: null });
    } catch (error) {
      const theirs = await environments.findKey(hashOf(text));
      if (theirs === null || theirs.environmentId !== environmentId || theirs.revokedAt !== null) throw error;
      // Another process that starts with the same key was quicker.
      key = theirs;
    }
  }
  const setup = await documents.read(environmentId, SETUP, SETUP_ID);
  const earlier = setup?.body.keyId;
  if (setup === null || earlier === key.id) return;
  await documents.write(
    environmentId,
    [{ kind: SETUP, id: SETUP_ID, body: { ...setup.body, keyId: key.id }, expect: setup.version }],
    now,
  );
  if (typeof earlier === "string") await environments.revokeKey(environmentId, earlier as typeof key.id, now);
}

/** A generated key, unless the database does not know it: a foreign file, or one of a start that lost the race. */
async function ifValid(environments: EnvironmentStore, text: string | null): Promise<string | null> {
  const key = text === null ? null : await environments.findKey(hashOf(text));
  return key !== null && key.environmentId === FIRST_ENVIRONMENT_ID && key.revokedAt === null ? text : null;
}

// ——— what is generated ———————————————————————————————————————————————————————————————————————————————————————————

/** Browser SDKs decode it and throw when it is not base64. */
function newPublicKey(): string {
  return Buffer.from(`carillon-${randomText(20)}`).toString("base64");
}

function newAppCode(): string {
  return `${randomText(5)}-${randomText(5)}`;
}

// ——— the file ————————————————————————————————————————————————————————————————————————————————————————————————————

/** Only what we made up: what the operator fixed he knows, and may want to keep off the disk. */
function generated(all: FirstCredentials, fixed: FixedCredentials): JsonObject {
  return Object.fromEntries(
    (["secretKey", "publicKey", "appCode", "feedId"] as const)
      .filter((name) => fixed[name] === null)
      .map((name) => [name, all[name]]),
  );
}

async function readKept(dataDir: string): Promise<Partial<FirstCredentials> | null> {
  let text: string;
  try {
    text = await readFile(join(dataDir, CREDENTIALS_FILE), "utf8");
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === "ENOENT") return null;
    throw error;
  }
  let value: unknown = null;
  try {
    value = JSON.parse(text);
  } catch {
    // Told below.
  }
  if (!isObject(value)) throw new Error(`${join(dataDir, CREDENTIALS_FILE)} does not hold a JSON object`);
  const of = (name: string): string | undefined => (typeof value[name] === "string" ? value[name] : undefined);
  const found = {
    secretKey: of("secretKey"),
    publicKey: of("publicKey"),
    appCode: of("appCode"),
    feedId: of("feedId"),
  };
  return Object.fromEntries(Object.entries(found).filter(([, text]) => text !== undefined));
}

/**
 * Writes the file as a whole and waits until it is on the disk. Of processes that start at once on an empty directory
 * one writes, and the others take over what it wrote: else the file could name a key that lost the race.
 * @param earlier what the file held before. @returns what is to be used in place of `values` where it says otherwise.
 */
async function keep(
  dataDir: string,
  values: JsonObject,
  earlier: Partial<FirstCredentials> | null,
): Promise<Partial<KnownCredentials>> {
  await mkdir(dataDir, { recursive: true, mode: 0o700 });
  const path = join(dataDir, CREDENTIALS_FILE);
  const draft = `${path}.${process.pid}.${randomText(8)}`;
  try {
    const file = await open(draft, "wx", 0o600);
    try {
      await file.writeFile(`${JSON.stringify(values, null, 2)}\n`);
      await file.sync();
    } finally {
      await file.close();
    }
    if (earlier !== null) await rename(draft, path);
    else await link(draft, path);
    return {};
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException;
    // A file system without links; a second process at this very moment is the lesser worry.
    if (code === "EPERM" || code === "ENOTSUP") {
      await rename(draft, path);
      return {};
    }
    if (code !== "EEXIST") throw error;
    const theirs = (await readKept(dataDir)) ?? {};
    return Object.fromEntries(Object.entries(theirs).filter(([name]) => name in values));
  } finally {
    await rm(draft, { force: true });
  }
}
