/**
 * Requests that are still being expanded, for those who change what becomes of their remaining recipients. Whatever is
 * written to one ends its lease: the page that somebody is planning of it is not written, and planned anew.
 */
import type { EnvironmentId, ExpandingCursor, Recipient, Request } from "../engine/model.ts";
import type { Millis } from "../lib/clock.ts";
import type { JsonObject } from "../lib/json.ts";
import type { Dialect, Operation } from "./database.ts";
import { requestOf, SELECT_REQUEST } from "./rows.ts";
import { among, encodeJson, text, textList } from "./text.ts";

const CHANGE = `update requests set spec = v.spec, lease_until = null, ready_at = v.ready_at
  from :rows where requests.env_id = v.env_id and requests.id = v.id`;
const CHANGE_COLUMNS = { env_id: "text", id: "text", spec: "text", ready_at: "int" } as const;

/** Those that have the text anywhere in what they ask for, locked until the operation ends. */
export function* expandingWith(
  dialect: Dialect,
  environmentId: EnvironmentId,
  mentioned: string,
): Operation<readonly Request[]> {
  const [position, lock] =
    dialect === "sqlite" ? ["instr(r.spec, ?)", ""] : ["strpos(r.spec, ?)", " order by r.id for update of r"];
  // There are few. `cross join` is for the planner of SQLite, which would otherwise go through all of the environment.
  const sql = `with expanding as materialized (
      select env_id, id from requests where ready_at is not null order by ready_at)
    select ${SELECT_REQUEST} from expanding as e cross join requests as r
    where r.env_id = e.env_id and r.id = e.id and e.env_id = ? and r.state = 'expanding' and ${position} > 0${lock}`;
  const { rows } = yield text(dialect, sql, [environmentId, JSON.stringify(mentioned)]);
  return rows.map(requestOf);
}

/** They are expanded no further. */
export function* endExpanding(
  dialect: Dialect,
  environmentId: EnvironmentId,
  requests: readonly Request[],
): Operation<void> {
  if (requests.length === 0) return;
  const ids = requests.map(({ id }) => id);
  yield text(
    dialect,
    `update requests set state = 'expanded', lease_until = null, ready_at = null
     where env_id = ? and ${among(dialect, "id")} and state = 'expanding'`,
    [environmentId, textList(dialect, ids)],
  );
}

/** What requests ask for is replaced. They are due at once. */
export function* changeExpanding(changed: readonly Request[], at: Millis): Operation<void> {
  const rows = changed.map(({ environmentId, id, spec }) => [
    environmentId,
    id,
    encodeJson(spec as unknown as JsonObject),
    at,
  ]);
  if (rows.length > 0) yield { kind: "each", sql: CHANGE, columns: CHANGE_COLUMNS, rows };
}

/** The request with other recipients behind where expanding stands; itself when nothing changes. */
export function withRemaining(request: Request, change: (one: Recipient) => readonly Recipient[]): Request {
  const { recipients } = request.spec;
  const from = request.cursor === null ? 0 : (JSON.parse(request.cursor) as ExpandingCursor).entry;
  const remaining = recipients.slice(from);
  const changed = remaining.flatMap(change);
  const isSame = changed.length === remaining.length && changed.every((one, i) => one === remaining[i]);
  return isSame
    ? request
    : { ...request, spec: { ...request.spec, recipients: [...recipients.slice(0, from), ...changed] } };
}
