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
import { type KeyTaker, takeKeys } from "./taken-keys.ts";
import { changeTenants } from "./tenant-changes.ts";
import { byCodePoints, text } from "./text.ts";

type RequestMethods = Pick<PipelineStore, "accept" | "claimRequests" | "commitPage">;

const ACCEPTED: Accepted = { kind: "accepted" };

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
    const hasKeys = batch.some(({ idempotency }) => idempotency !== null);
    const keys = hasKeys ? yield* takeKeys(db.dialect, batch.map(takerOf)) : null;
    const results = batch.map((_, i) => keys?.[i]?.result ?? ACCEPTED);
    const fresh = keys === null ? batch : batch.filter((_, i) => results[i]?.kind === "accepted");
    if (fresh.length > 0) {
      yield* changeNamedTenants(fresh);
      yield {
        kind: "insert",
        table: "requests",
        columns: REQUEST_COLUMNS,
        rows: fresh.map(({ request, planned }) => requestValues(request, planned.length > 0)),
      };
      const all = fresh.length === 1 ? (fresh[0] as Acceptance).planned : fresh.flatMap((a) => a.planned);
      yield* insertPlanned(db.dialect, all);
    }
    return results;
  }

  function* changeNamedTenants(fresh: readonly Acceptance[]): Operation<void> {
    const naming = fresh.filter(({ tenants = [] }) => tenants.length > 0);
    if (naming.length === 0) return;
    const byEnvironment = Map.groupBy(naming, ({ request }) => request.environmentId as string);
    for (const [environmentId, of] of [...byEnvironment].sort(([a], [b]) => (a < b ? -1 : 1))) {
      const at = Math.max(...of.map(({ request }) => request.createdAt));
      const changes = of.flatMap(({ tenants = [] }) => tenants);
      yield* changeTenants(db.dialect, environmentId, changes, at);
    }
  }
}

function takerOf({ request, idempotency }: Acceptance): KeyTaker | null {
  return idempotency === null ? null : { environmentId: request.environmentId, at: request.createdAt, idempotency };
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
