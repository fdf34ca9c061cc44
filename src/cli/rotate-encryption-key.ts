import { type Config, ConfigError } from "../config.ts";
import type { EnvironmentId } from "../engine/model.ts";
import type { DocumentStore } from "../engine/ports.ts";
import { checkKeys, ENCRYPTION_KEY } from "../engine/sealed-store.ts";
import { type Change, changeSecrets, changeTexts, holdsSecrets, SECRETS_OF_ROWS } from "../engine/secrets.ts";
import { FIRST_ENVIRONMENT_ID } from "../http/environments.ts";
import { systemClock } from "../lib/clock.ts";
import type { JsonObject } from "../lib/json.ts";
import { type KeyVault, keyIdOf, MARK, openVault } from "../lib/vault.ts";
import { type DocumentWalk, documentWalk, type StoredDocument } from "../storage/documents-walk.ts";
import {
  SEALED_TABLES,
  type SealedRow,
  type SealedRows,
  type SealedTable,
  sealedRows,
} from "../storage/sealed-rows.ts";
import { openDatabase, storeOn } from "../storage/store.ts";

const PAGE = 100;
const PROGRESS_EVERY_MS = 1_000;
/** A document that servers change more often than that while we look at it is worth a second call of the command. */
const MOST_TRIES = 20;
const MOST_SHOWN = 10;

/**
 * Brings every secret in the database under the current key: those under older keys, and those that were written before
 * there was one. Servers may run meanwhile, if they know both keys. Begun again it leaves what is done.
 * @returns the exit code: 1 when something was left, for example under a key that is not known.
 */
export async function rotateEncryptionKey(
  config: Config,
  print: { readonly out: (line: string) => void; readonly progress: (line: string) => void } = {
    out: (line) => process.stdout.write(`${line}\n`),
    progress: (line) => process.stderr.write(`${line}\n`),
  },
): Promise<number> {
  const vault = openVault(config);
  if (vault.keyId === null) throw new ConfigError("CARILLON_ENCRYPTION_KEY is not set: there is no key to seal with");
  const { databaseUrl: url, dataDir, durability } = config;
  const database = await openDatabase({ url, dataDir, durability, poolSize: 4 });
  const store = storeOn(database);
  try {
    await checkKeys(store.documents, vault, FIRST_ENVIRONMENT_ID, systemClock);
    const rotation = new Rotation(vault, store.documents, documentWalk(database), print.progress);
    const environments = await store.environments.environments();
    for (const { id, signingSecret } of environments) await rotation.environment(id, signingSecret);
    for (const table of SEALED_TABLES) await rotation.rows(sealedRows(database), table);
    const { counts, failures } = rotation;
    for (const failure of failures.slice(0, MOST_SHOWN)) print.progress(`carillon: ${failure}`);
    if (failures.length > MOST_SHOWN) print.progress(`carillon: and ${failures.length - MOST_SHOWN} more`);
    if (failures.length === 0) await forgetOtherKeys(store.documents, vault.keyId);
    const left = counts.foreign === 0 ? "" : `; ${amount(counts.foreign, "text")} only looked sealed`;
    print.out(
      `${amount(counts.sealed, "value")} sealed with the key ${vault.keyId}, ${number(counts.current)} were already; ` +
        `${amount(counts.documents, "document")} in ${amount(environments.length, "environment")} and ` +
        `${amount(counts.rows, "other row")} looked at${left}`,
    );
    if (failures.length === 0) return 0;
    print.out(`not done, as told above: ${amount(failures.length, "document or row", "documents or rows")}`);
    return 1;
  } finally {
    await store.close();
  }
}

class Rotation {
  readonly counts = { documents: 0, rows: 0, sealed: 0, current: 0, foreign: 0 };
  readonly failures: string[] = [];
  readonly #vault: KeyVault;
  readonly #documents: DocumentStore;
  readonly #walk: DocumentWalk;
  readonly #progress: (line: string) => void;
  #shownAt = systemClock.now();

  constructor(vault: KeyVault, documents: DocumentStore, walk: DocumentWalk, progress: (line: string) => void) {
    this.#vault = vault;
    this.#documents = documents;
    this.#walk = walk;
    this.#progress = progress;
  }

  async environment(id: EnvironmentId, signingSecret: string): Promise<void> {
    await this.#signingSecret(id, signingSecret);
    for (let after: StoredDocument | null = null; ; ) {
      const page: readonly StoredDocument[] = await this.#walk.page(id, after, PAGE);
      await Promise.all(page.map((document) => this.#document(id, document)));
      this.counts.documents += page.length;
      this.#show();
      const last = page.at(-1);
      if (last === undefined || page.length < PAGE) return;
      after = last;
    }
  }

  async rows(stored: SealedRows, table: SealedTable): Promise<void> {
    for (let after: SealedRow | null = null; ; ) {
      const page: readonly SealedRow[] = await stored.page(table, after, PAGE);
      await Promise.all(page.map((row) => this.#row(stored, table, row)));
      this.counts.rows += page.length;
      this.#show();
      const last = page.at(-1);
      if (last === undefined || page.length < PAGE) return;
      after = last;
    }
  }

  async #row(stored: SealedRows, table: SealedTable, found: SealedRow): Promise<void> {
    const what = `${table} ${found.key.join(" ")}`;
    let current: SealedRow | null = found;
    for (let tries = 1; tries <= MOST_TRIES; tries++) {
      const counted = newCount();
      const change = this.#changing(what, counted);
      const texts = (SECRETS_OF_ROWS[table] as (typeof SECRETS_OF_ROWS)[string])(current.texts, change);
      if (counted.sealed === 0 || (await stored.replace(table, current, texts))) {
        this.#add(counted);
        return;
      }
      current = await stored.read(table, found.key);
      if (current === null) return;
    }
    this.failures.push(`${what} is being changed all the time; call the command again`);
  }

  async #signingSecret(id: EnvironmentId, stored: string): Promise<void> {
    const { vault, counts } = { vault: this.#vault, counts: this.counts };
    if (vault.isCurrent(stored)) {
      counts.current++;
      return;
    }
    const sealed = this.#sealed(stored, `the signing secret of ${id}`);
    // Nobody but another call of this command changes it.
    if (sealed !== null && (await this.#walk.replaceSigningSecret(id, stored, sealed))) counts.sealed++;
  }

  async #document(environmentId: EnvironmentId, found: StoredDocument): Promise<void> {
    const { kind, id } = found;
    // What tells which keys are in use stays under the very keys it tells of.
    if (kind === ENCRYPTION_KEY || !(holdsSecrets(kind) || found.body.includes(MARK))) return;
    let current = { body: JSON.parse(found.body) as JsonObject, version: found.version, updatedAt: found.updatedAt };
    for (let tries = 1; tries <= MOST_TRIES; tries++) {
      const resealed = this.#body(kind, id, current.body);
      const isDone =
        resealed.body === current.body ||
        // With the time of its last change: nobody has changed anything about it.
        (await this.#documents.write(
          environmentId,
          [{ kind, id, body: resealed.body, expect: current.version }],
          current.updatedAt,
        )) !== null;
      if (isDone) {
        this.#add(resealed);
        return;
      }
      const next = await this.#documents.read(environmentId, kind, id);
      if (next === null) return;
      current = next;
    }
    this.failures.push(`${kind} ${id} is being changed all the time; call the command again`);
  }

  #add({ sealed, current, foreign, failure }: Counted): void {
    this.counts.sealed += sealed;
    this.counts.current += current;
    this.counts.foreign += foreign;
    if (failure !== null) this.failures.push(failure);
  }

  /** Brings a secret text under the current key, and counts that. */
  #changing(what: string, counted: Counted): Change {
    return (text) => {
      if (this.#vault.isCurrent(text)) {
        counted.current++;
        return text;
      }
      try {
        const sealed = this.#vault.seal(this.#vault.open(text));
        counted.sealed++;
        return sealed;
      } catch (error) {
        counted.failure ??= `${what}: ${(error as Error).message}`;
        return text;
      }
    };
  }

  #body(kind: string, id: string, body: JsonObject) {
    const counted = newCount();
    const made = new Set<string>();
    const change = this.#changing(`${kind} ${id}`, counted);
    const known = changeSecrets(kind, body, (text) => {
      const sealed = change(text);
      made.add(sealed);
      return sealed;
    });
    // Elsewhere only what one of our keys has sealed is taken for sealed: any other text is somebody's own.
    const everywhere = changeTexts(known, (text) => {
      if (!text.startsWith(MARK) || made.has(text)) return text;
      const opened = keyIdOf(text) === null ? null : this.#openOrNull(text);
      if (opened === null) counted.foreign++;
      else if (this.#vault.isCurrent(text)) counted.current++;
      else {
        counted.sealed++;
        return this.#vault.seal(opened);
      }
      return text;
    });
    return { ...counted, body: everywhere as JsonObject };
  }

  #sealed(text: string, what: string): string | null {
    try {
      return this.#vault.seal(this.#vault.open(text));
    } catch (error) {
      this.failures.push(`${what}: ${(error as Error).message}`);
      return null;
    }
  }

  #openOrNull(text: string): string | null {
    try {
      return this.#vault.open(text);
    } catch {
      return null;
    }
  }

  #show(): void {
    const now = systemClock.now();
    if (now - this.#shownAt < PROGRESS_EVERY_MS) return;
    this.#shownAt = now;
    const { documents, sealed } = this.counts;
    this.#progress(`${amount(documents, "document")} looked at, ${amount(sealed, "value")} sealed`);
  }
}

/** What was found in one document or row. */
interface Counted {
  sealed: number;
  current: number;
  foreign: number;
  failure: string | null;
}

function newCount(): Counted {
  return { sealed: 0, current: 0, foreign: 0, failure: null };
}

/** From now on a server starts without them. */
async function forgetOtherKeys(documents: DocumentStore, keyId: string): Promise<void> {
  const { items } = await documents.list(FIRST_ENVIRONMENT_ID, ENCRYPTION_KEY, { limit: 200 });
  const others = items.filter(({ id }) => id !== keyId);
  await documents.write(
    FIRST_ENVIRONMENT_ID,
    others.map(({ id }) => ({ kind: ENCRYPTION_KEY, id, body: null, expect: "any" as const })),
    systemClock.now(),
  );
}

function amount(count: number, of: string, many = `${of}s`): string {
  return `${number(count)} ${count === 1 ? of : many}`;
}

function number(count: number): string {
  return count.toLocaleString("en-US");
}
