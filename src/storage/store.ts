/** Puts the storage together: the runner for the database at hand, and on it one store for each noun. */
import { mkdir, open } from "node:fs/promises";
import { join } from "node:path";
import type { Store } from "../engine/ports.ts";
import { appMessageStore } from "./app-messages.ts";
import { audienceStore } from "./audiences.ts";
import { bulkOperationStore } from "./bulk-operations.ts";
import { captureStore } from "./captured.ts";
import type { Database } from "./database.ts";
import { delayedStore } from "./delayed.ts";
import { deliveryStore } from "./deliveries.ts";
import { deviceStore } from "./devices.ts";
import { documentStore } from "./documents.ts";
import { endpointAttemptStore } from "./endpoint-attempts.ts";
import { endpointHealthStore } from "./endpoint-health.ts";
import { endpointPairStore } from "./endpoint-pairs.ts";
import { endpointQueueStore } from "./endpoint-queue.ts";
import { environmentStore } from "./environments.ts";
import { happeningStore } from "./happenings.ts";
import { housekeepingStore } from "./housekeeping.ts";
import { idempotencyStore } from "./idempotency.ts";
import { inboxStore } from "./inbox.ts";
import { inboxBriefStore } from "./inbox-brief.ts";
import { listStore } from "./lists.ts";
import { membershipStore } from "./memberships.ts";
import { userMergeStore } from "./merge-users.ts";
import { messageChangeStore } from "./message-changes.ts";
import { messageStore } from "./messages.ts";
import { objectSubscriptionStore } from "./object-subscriptions.ts";
import { partyStore } from "./parties.ts";
import { partyDocumentStore } from "./party-documents.ts";
import { recallStore } from "./recalls.ts";
import { requestStore } from "./requests.ts";
import { runStore } from "./runs.ts";
import { scheduleStore } from "./schedules.ts";
import { openSqlite } from "./sqlite.ts";
import { taskStore } from "./tasks.ts";
import { tokenStore } from "./tokens.ts";
import { userStore } from "./users.ts";

/** Name of the embedded database's file inside the data directory. */
const FILE = "carillon.db";

export interface StoreOptions {
  /** `postgres://…`; null for the embedded database. */
  readonly url: string | null;
  /** Where the embedded database lives; created if need be. `:memory:` keeps it in memory, for tests. */
  readonly dataDir: string;
  /** `full`: what is committed survives a power cut. `normal`: a crash of the process. Of the embedded database only. */
  readonly durability: "full" | "normal";
  /** Connections to Postgres at most; 10 by default. */
  readonly poolSize?: number;
}

/**
 * Opens the storage and brings its schema up to date.
 * @throws Refusal("unavailable") while Postgres cannot be reached, Error when the database is a newer program's.
 */
export async function openStore(options: StoreOptions): Promise<Store> {
  return storeOn(await openDatabase(options));
}

/** The runner alone, for whatever needs the database but no nouns. @throws as `openStore`. */
export async function openDatabase(options: StoreOptions): Promise<Database> {
  if (options.url !== null) {
    // Only who uses Postgres pays the memory of its driver, 10 MB.
    const { openPostgres } = await import("./postgres.ts");
    return await openPostgres(options.url, options.poolSize);
  }
  if (options.dataDir === ":memory:") return openSqlite(":memory:", options.durability);
  // The database holds signing secrets and people's addresses: nobody else on the machine needs to look in.
  const path = join(options.dataDir, FILE);
  try {
    await mkdir(options.dataDir, { recursive: true, mode: 0o700 });
    // The directory may have been there, open to all. SQLite gives its other files the mode of this one.
    await (await open(path, "a", 0o600)).close();
    return openSqlite(path, options.durability);
  } catch (error) {
    const { message, code } = error as NodeJS.ErrnoException;
    // The system's and the database's own errors do not name the file; ours say all there is to say.
    if (code === undefined) throw error;
    throw new Error(`${path} cannot be used: ${message}`, { cause: error });
  }
}

/** The stores of all nouns on one database. Closing the store closes the database. */
export function storeOn(database: Database): Store {
  return {
    pipeline: { ...requestStore(database), ...delayedStore(database), ...deliveryStore(database) },
    messages: messageStore(database),
    messageChanges: messageChangeStore(database),
    inbox: { ...inboxStore(database), ...inboxBriefStore(database) },
    directory: {
      ...userStore(database),
      ...listStore(database),
      ...tokenStore(database),
      ...membershipStore(database),
    },
    devices: deviceStore(database),
    recalls: recallStore(database),
    documents: documentStore(database),
    idempotency: idempotencyStore(database),
    captured: captureStore(database),
    environments: environmentStore(database),
    housekeeping: housekeepingStore(database),
    appMessages: {
      ...appMessageStore(database),
      ...endpointQueueStore(database),
      ...endpointAttemptStore(database),
      ...endpointPairStore(database),
      ...endpointHealthStore(database),
    },
    tasks: taskStore(database),
    runs: runStore(database),
    happenings: happeningStore(database),
    schedules: scheduleStore(database),
    parties: {
      ...partyStore(database),
      ...partyDocumentStore(database),
      ...objectSubscriptionStore(database),
      ...audienceStore(database),
      ...userMergeStore(database),
      ...bulkOperationStore(database),
    },
    time: () => database.time(),
    ping: () => database.ping(),
    close: () => database.close(),
  };
}
