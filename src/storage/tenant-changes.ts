/** Changing tenants as part of whatever operation. They are documents, and whoever compares their versions notices. */
import type { TenantChange } from "../engine/ports.ts";
import { TENANT, type TenantBody } from "../engine/templates.ts";
import type { Millis } from "../lib/clock.ts";
import type { JsonObject } from "../lib/json.ts";
import { type Dialect, type Operation, run } from "./database.ts";
import { byCodePoints, decodeObject, encodeJson, lockingRows, text } from "./text.ts";

/** One after the other, in the order of their ids, so that two operations wait for each other in one direction only. */
export function* changeTenants(
  dialect: Dialect,
  environmentId: string,
  changes: readonly TenantChange[],
  at: Millis,
): Operation<void> {
  const byId = Map.groupBy(changes, ({ id }) => id);
  for (const [id, of] of [...byId].sort(([a], [b]) => byCodePoints(a, b))) {
    while (!(yield* changeTenant(dialect, [environmentId, TENANT, id], of, at)));
  }
}

/** @returns false when somebody has just made the tenant, which we took for absent: what is not there cannot be locked. */
function* changeTenant(
  dialect: Dialect,
  key: readonly [env: string, kind: string, id: string],
  changes: readonly TenantChange[],
  at: Millis,
): Operation<boolean> {
  const find = `select body from documents where env_id = ? and kind = ? and id = ?${lockingRows(dialect)}`;
  const [row] = (yield* run(text(dialect, find, key))).rows;
  const old = row === undefined ? null : (decodeObject(row.body) as unknown as TenantBody);
  const body = changes.reduce((before, { change }) => change(before) ?? before, old);
  if (body === null || body === old) return true;
  const encoded = encodeJson(body as unknown as JsonObject);
  if (old !== null) {
    const replace = `update documents set body = ?, version = version + 1, updated_at = ?
      where env_id = ? and kind = ? and id = ?`;
    yield* run(text(dialect, replace, [encoded, at, ...key]));
    return true;
  }
  const make = `insert into documents (env_id, kind, id, body, version, created_at, updated_at)
    values (?, ?, ?, ?, 1, ?, ?) on conflict (env_id, kind, id) do nothing`;
  return (yield* run(text(dialect, make, [...key, encoded, at, at]))).changes > 0;
}
