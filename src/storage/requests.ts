/**
 * Accepting requests and expanding those that are too large to be expanded at once.
 *
 * The hot path of the whole server is `accept` of a batch of sends to one inbox each: a request, a message, a delivery
 * and a count, in twelve b-trees. Measured on SQLite with full durability in batches of 100, on two cores shared with
 * others: 32 µs a send to users in order (a list), 57 to 87 µs to 50,000 users in no order, where each send dirties
 * three pages of its own (messages by recipient, the inbox, the counts) and the disk is what one waits for. Of these,
 * 24 to 32 µs are ours. Postgres, from four callers: 47 µs.
 */
import type { EnvironmentId, Request } from "../engine/model.ts";
import type { Acceptance, Accepted, PipelineStore } from "../engine/ports.ts";
import type { Database, Operation } from "./database.ts";
import { insertPlanned } from "./planned.ts";
import { REQUEST_COLUMNS, RETURN_REQUEST, requestOf, requestValues, SELECT_REQUEST } from "./rows.ts";
import { columnsOf } from "./schema.ts";
import { byCodePoints, text } from "./text.ts";

type RequestMethods = Pick<PipelineStore, "accept" | "claimRequests" | "commitPage">;

const KEY_COLUMNS = columnsOf("idempotency_keys");
/** A key that has outlived its end is free. Whoever does not get the row back was too late. */
const TAKE_KEY = `on conflict (env_id, scope, key) do update set state = excluded.state, status = excluded.status,
  body = excluded.body, begun_at = excluded.begun_at, expires_at = excluded.expires_at
  where idempotency_keys.expires_at <= excluded.begun_at
  returning env_id, scope, key`;

const ACCEPTED: Accepted = { kind: "accepted" };
const BUSY: Accepted = { kind: "busy" };

export function requestStore(db: Database): RequestMethods {
  return {
    accept: (batch) => db.write(() => accept(batch)),

    claimRequests: (now, limit, leaseUntil) =>
      db.write(function* () {
        const { rows } = yield text(db.dialect, claim(db), [now, limit, leaseUntil, leaseUntil]);
        return rows.map(requestOf).sort((a, b) => a.createdAt - b.createdAt || byCodePoints(a.id, b.id));
      }),

    commitPage: (request, lease, cursor, planned) =>
      db.write(function* () {
        const ended = cursor === null;
        const { changes } = yield text(
          db.dialect,
          `update requests set cursor = ?, state = ?, lease_until = ?, ready_at = ?,
             has_messages = case when ? > 0 then 1 else has_messages end
           where env_id = ? and id = ? and state = 'expanding' and lease_until = ? and cursor is not distinct from ?`,
          [
            cursor,
            ended ? "expanded" : "expanding",
            ended ? null : lease.next,
            ended ? null : lease.next,
            planned.length,
            request.environmentId,
            request.id,
            lease.held,
            request.cursor,
          ],
        );
        if (changes === 0) return false;
        yield* insertPlanned(db.dialect, planned);
        return true;
      }),
  };

  function* accept(batch: readonly Acceptance[]): Operation<readonly Accepted[]> {
    const results = yield* takeKeys(batch);
    const fresh = results === null ? batch : batch.filter((_, i) => results[i] === ACCEPTED);
    if (fresh.length > 0) {
      yield {
        kind: "insert",
        table: "requests",
        columns: REQUEST_COLUMNS,
        rows: fresh.map(({ request, planned }) => requestValues(request, planned.length > 0)),
      };
      const all = fresh.length === 1 ? (fresh[0] as Acceptance).planned : fresh.flatMap((a) => a.planned);
      yield* insertPlanned(db.dialect, all);
    }
    return results ?? batch.map(() => ACCEPTED);
  }

  /** @returns what becomes of each, or null when none has a key. */
  function* takeKeys(batch: readonly Acceptance[]): Operation<readonly Accepted[] | null> {
    const firsts = new Map<string, KeyedAcceptance>();
    for (const acceptance of batch) {
      if (acceptance.idempotency === null) continue;
      const key = keyOf(acceptance.request.environmentId, acceptance.idempotency);
      if (!firsts.has(key)) firsts.set(key, acceptance as KeyedAcceptance);
    }
    if (firsts.size === 0) return null;

    // In one order everywhere: two batches that share keys then wait for each other instead of deadlocking.
    const takers = [...firsts].sort(([a], [b]) => byCodePoints(a, b)).map(([, acceptance]) => acceptance);
    const { rows } = yield {
      kind: "insert",
      table: "idempotency_keys",
      columns: KEY_COLUMNS,
      rows: takers.map(({ request, idempotency: { scope, key, answer, expiresAt } }) => [
        request.environmentId,
        scope,
        key,
        "done",
        answer.status,
        answer.body,
        request.createdAt,
        expiresAt,
      ]),
      suffix: TAKE_KEY,
    };
    const taken = new Set(
      rows.map((row) => keyOf(row.env_id as EnvironmentId, { scope: row.scope as string, key: row.key as string })),
    );
    const earlier = new Map<string, Accepted>();
    for (const [key, acceptance] of firsts) {
      earlier.set(key, taken.has(key) ? replay(acceptance.idempotency.answer) : yield* foundUnder(acceptance));
    }

    return batch.map((acceptance) => {
      if (acceptance.idempotency === null) return ACCEPTED;
      const key = keyOf(acceptance.request.environmentId, acceptance.idempotency);
      return taken.has(key) && firsts.get(key) === acceptance ? ACCEPTED : (earlier.get(key) as Accepted);
    });
  }

  function* foundUnder({ request, idempotency }: KeyedAcceptance): Operation<Accepted> {
    const { rows } = yield text(
      db.dialect,
      "select state, status, body from idempotency_keys where env_id = ? and scope = ? and key = ?",
      [request.environmentId, idempotency.scope, idempotency.key],
    );
    const row = rows[0];
    // Given up since we asked: the next try will find it free.
    if (row === undefined || row.state === "begun") return BUSY;
    return replay({ status: row.status as number, body: row.body as string });
  }
}

type KeyedAcceptance = Acceptance & { readonly idempotency: NonNullable<Acceptance["idempotency"]> };

function keyOf(environmentId: EnvironmentId, { scope, key }: { readonly scope: string; readonly key: string }): string {
  return `${environmentId}\0${scope}\0${key}`;
}

function replay(answer: { readonly status: number; readonly body: string }): Accepted {
  return { kind: "replayed", answer: { status: answer.status, body: answer.body } };
}

function claim(db: Database): string {
  const skipLocked = db.dialect === "postgres" ? "for update skip locked" : "";
  return `with claimed as materialized (
      select env_id, id from requests where ready_at <= ? order by ready_at, id limit ? ${skipLocked})
    update requests set lease_until = ?, ready_at = ? from claimed
    where requests.env_id = claimed.env_id and requests.id = claimed.id
    returning ${RETURN_REQUEST}`;
}

/** For those who read one request; null when there is none. */
export function* readRequest(db: Database, environmentId: EnvironmentId, id: string): Operation<Request | null> {
  const { rows } = yield text(db.dialect, `select ${SELECT_REQUEST} from requests as r where env_id = ? and id = ?`, [
    environmentId,
    id,
  ]);
  return rows[0] === undefined ? null : requestOf(rows[0]);
}
