/** Since when endpoints have been failing. */
import type { EnvironmentId } from "../engine/model.ts";
import type { Settlement } from "../engine/ports.ts";
import type { AppEndpointId } from "../engine/webhooks/model.ts";
import type { AppMessageStore } from "../engine/webhooks/ports.ts";
import type { Millis } from "../lib/clock.ts";
import { type Database, type Operation, only, run } from "./database.ts";
import { columnsOf } from "./schema.ts";
import { byCodePoints, text } from "./text.ts";

type HealthMethods = Pick<AppMessageStore, "failingSince" | "clearFailing">;

const COLUMNS = columnsOf("endpoint_health");
const CLEAR = "delete from endpoint_health where (env_id, endpoint_id) in (select v.env_id, v.endpoint_id from :rows)";
const KEY = { env_id: "text", endpoint_id: "text" } as const;

export function endpointHealthStore(db: Database): HealthMethods {
  const { dialect } = db;
  return {
    failingSince: (environmentId, endpointId) =>
      db.read(function* () {
        const sql = "select failing_since from endpoint_health where env_id = ? and endpoint_id = ?";
        const { rows } = yield text(dialect, sql, [environmentId, endpointId]);
        return (rows[0]?.failing_since as Millis | undefined) ?? null;
      }),

    clearFailing: (environmentId, endpointId) =>
      db.write(function* () {
        const sql = "delete from endpoint_health where env_id = ? and endpoint_id = ?";
        yield* run(only(text(dialect, sql, [environmentId, endpointId])));
      }),
  };
}

/** What several tries at one endpoint come to, in their order. */
interface Note {
  readonly environmentId: EnvironmentId;
  readonly endpointId: AppEndpointId;
  clear: boolean;
  since: Millis | null;
}

/** Notes how endpoints are doing, as if one settlement came after the other. */
export function* noteHealth(settlements: readonly Settlement[]): Operation<void> {
  const notes = new Map<string, Note>();
  for (const { delivery, endpoint } of settlements) {
    const health = endpoint?.health ?? null;
    if (health === null) continue;
    const { environmentId, providerId } = delivery;
    let note = notes.get(providerId);
    if (note === undefined) {
      note = { environmentId, endpointId: providerId as AppEndpointId, clear: false, since: null };
      notes.set(providerId, note);
    }
    if (health === "well") {
      note.clear = true;
      note.since = null;
    } else note.since ??= health.failingSince;
  }
  if (notes.size === 0) return;
  const ordered = [...notes.values()].sort((a, b) => byCodePoints(a.endpointId, b.endpointId));
  const cleared = ordered.filter(({ clear }) => clear).map((note) => [note.environmentId, note.endpointId]);
  if (cleared.length > 0) yield { kind: "each", sql: CLEAR, columns: KEY, rows: cleared };
  const failing = ordered.filter(({ since }) => since !== null);
  if (failing.length === 0) return;
  yield {
    kind: "insert",
    table: "endpoint_health",
    columns: COLUMNS,
    rows: failing.map((note) => [note.environmentId, note.endpointId, note.since]),
    suffix: "on conflict (env_id, endpoint_id) do nothing",
  };
}
