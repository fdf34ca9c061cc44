/** Idempotency keys that are taken in the commit which accepts what they stand for. */
import type { EnvironmentId } from "../engine/model.ts";
import type { Acceptance, Accepted, StoredAnswer } from "../engine/ports.ts";
import type { Millis } from "../lib/clock.ts";
import type { Dialect, Operation } from "./database.ts";
import { columnsOf } from "./schema.ts";
import { byCodePoints, insert, text } from "./text.ts";

/** Who wants to take a key, and when. */
export interface KeyTaker {
  readonly environmentId: EnvironmentId;
  readonly at: Millis;
  readonly idempotency: NonNullable<Acceptance["idempotency"]>;
}

export interface TakenKey {
  /** `accepted`: the key is this taker's. */
  readonly result: Accepted;
  /** Place of the taker whose answer this one repeats, when both came together; else its own. */
  readonly after: number;
}

const KEY_COLUMNS = columnsOf("idempotency_keys");
/** A key that has outlived its end is free. Whoever does not get the row back was too late. */
const TAKE = `on conflict (env_id, scope, key) do update set state = excluded.state, status = excluded.status,
  body = excluded.body, begun_at = excluded.begun_at, expires_at = excluded.expires_at
  where idempotency_keys.expires_at <= excluded.begun_at
  returning env_id, scope, key`;
const GIVE_BACK =
  "delete from idempotency_keys where (env_id, scope, key) in (select v.env_id, v.scope, v.key from :rows)";
const KEY = { env_id: "text", scope: "text", key: "text" } as const;

const ACCEPTED: Accepted = { kind: "accepted" };
const BUSY: Accepted = { kind: "busy" };

/** @returns what becomes of each, null for those without a key. The first of several with one key takes it. */
export function* takeKeys(
  dialect: Dialect,
  takers: readonly (KeyTaker | null)[],
): Operation<readonly (TakenKey | null)[]> {
  const firsts = new Map<string, number>();
  const names = takers.map((taker) => (taker === null ? null : nameOf(taker.environmentId, taker.idempotency)));
  for (const [i, name] of names.entries()) if (name !== null && !firsts.has(name)) firsts.set(name, i);
  if (firsts.size === 0) return takers.map(() => null);

  // In one order everywhere: two batches that share keys then wait for each other instead of deadlocking.
  const ordered = [...firsts].sort(([a], [b]) => byCodePoints(a, b)).map(([, i]) => takers[i] as KeyTaker);
  const { rows } = yield insert("idempotency_keys", KEY_COLUMNS, ordered.map(rowOf), TAKE);
  const taken = new Set(
    rows.map((row) => nameOf(row.env_id as EnvironmentId, { scope: row.scope as string, key: row.key as string })),
  );
  const earlier = new Map<string, Accepted>();
  for (const [name, i] of firsts) {
    const taker = takers[i] as KeyTaker;
    earlier.set(name, taken.has(name) ? replay(taker.idempotency.answer) : yield* foundUnder(dialect, taker));
  }
  return names.map((name, i) => {
    if (name === null) return null;
    if (!taken.has(name)) return { result: earlier.get(name) as Accepted, after: i };
    const first = firsts.get(name) as number;
    return { result: first === i ? ACCEPTED : (earlier.get(name) as Accepted), after: first };
  });
}

/** For those whose keys were taken in this same operation, for something that then could not be accepted. */
export function* giveBackKeys(takers: readonly KeyTaker[]): Operation<void> {
  if (takers.length === 0) return;
  const rows = takers.map(({ environmentId, idempotency: { scope, key } }) => [environmentId, scope, key]);
  yield { kind: "each", sql: GIVE_BACK, columns: KEY, rows };
}

function rowOf({ environmentId, at, idempotency: { scope, key, answer, expiresAt } }: KeyTaker) {
  return [environmentId, scope, key, "done", answer.status, answer.body, at, expiresAt];
}

function nameOf(
  environmentId: EnvironmentId,
  { scope, key }: { readonly scope: string; readonly key: string },
): string {
  return `${environmentId}\0${scope}\0${key}`;
}

function replay(answer: StoredAnswer): Accepted {
  return { kind: "replayed", answer: { status: answer.status, body: answer.body } };
}

function* foundUnder(dialect: Dialect, { environmentId, idempotency }: KeyTaker): Operation<Accepted> {
  const { rows } = yield text(
    dialect,
    "select state, status, body from idempotency_keys where env_id = ? and scope = ? and key = ?",
    [environmentId, idempotency.scope, idempotency.key],
  );
  const row = rows[0];
  // Given up since we asked: the next try will find it free.
  if (row === undefined || row.state === "begun") return BUSY;
  return replay({ status: row.status as number, body: row.body as string });
}
