/**
 * Making one user of two. All of it is one commit: half a merge would show up as notifications that are nobody's. What
 * that costs grows with what the user has got; see `mergeUsers`.
 *
 * Rows are locked in the order of all others who lock several kinds of them: users, requests, gates, runs, messages,
 * deliveries, counts.
 */
import type { EnvironmentId, Recipient, UserRecipient } from "../engine/model.ts";
import { Refusal } from "../engine/refusal.ts";
import { type PartyRef, partyKey, type RunRecord, type RunState, USERS } from "../engine/workflow/model.ts";
import type { PartyStore } from "../engine/workflow/ports.ts";
import type { Millis } from "../lib/clock.ts";
import type { JsonObject } from "../lib/json.ts";
import { type Database, type Dialect, type Operation, run } from "./database.ts";
import { changeExpanding, expandingWith, withRemaining } from "./expanding.ts";
import { moveGates } from "./gates.ts";
import { CountChanges } from "./inbox-counts.ts";
import { merged } from "./party-properties.ts";
import { runFrom, runText } from "./run-records.ts";
import { columnsOf } from "./schema.ts";
import { among, decodeObject, encodeJson, lockingRows, requireId, text, textList } from "./text.ts";
import { MAX_TOKENS_OF_USER } from "./tokens.ts";

/** Records of runs that are read and written at a time. */
const RECORDS_AT_ONCE = 500;

/** Who is merged into whom. */
interface Merge {
  readonly dialect: Dialect;
  readonly environmentId: EnvironmentId;
  readonly into: string;
  readonly from: string;
  readonly at: Millis;
}

/**
 * The part of the parties' store that merges users. A user with 100,000 inbox items takes 0.7 s on SQLite, during which
 * nobody else is served, and 3.4 s on Postgres. What is being committed for the first user at that very moment stays with
 * that id, as after `delete`. So does whom runs name as their actor.
 */
export function userMergeStore(db: Database): Pick<PartyStore, "mergeUsers"> {
  const { dialect } = db;
  return {
    async mergeUsers(environmentId, into, from, at) {
      requireId("into", into);
      requireId("from", from);
      if (into === from) throw new Refusal("invalid", "from: another user was expected", { field: "from" });
      const merge = { dialect, environmentId, into, from, at };
      await db.write(function* () {
        yield* mergeProfiles(merge);
        yield* moveRequests(merge);
        yield* moveGates(dialect, environmentId, userOf(from), userOf(into), at);
        yield* moveRuns(merge);
        yield* moveSchedules(merge);
        yield* moveMessages(merge);
        yield* moveDevices(merge);
        yield* moveTokens(merge);
        for (const belonging of BELONGINGS) yield* moveBelongings(merge, belonging);
      });
    },
  };
}

/** @throws Refusal("not_found") when one of the two is missing. */
function* mergeProfiles({ dialect, environmentId, into, from, at }: Merge): Operation<void> {
  const sql = `select user_id, profile from users where env_id = ? and ${among(dialect, "user_id")}
    order by user_id${lockingRows(dialect)}`;
  const { rows } = yield* run(text(dialect, sql, [environmentId, textList(dialect, [into, from])]));
  const profiles = new Map(rows.map((row) => [row.user_id as string, decodeObject(row.profile)]));
  for (const [field, id] of Object.entries({ into, from })) {
    if (!profiles.has(id)) throw new Refusal("not_found", `${field}: there is no such user`, { field });
  }
  const profile = merged(profiles.get(from) as JsonObject, profiles.get(into) as JsonObject);
  yield* run(
    text(dialect, "update users set profile = ?, updated_at = ? where env_id = ? and user_id = ?", [
      encodeJson(profile),
      at,
      environmentId,
      into,
    ]),
  );
  yield* run(text(dialect, "delete from users where env_id = ? and user_id = ?", [environmentId, from]));
}

/** Whom requests name and have not reached yet. A trigger that names both reaches the target once. */
function* moveRequests({ dialect, environmentId, into, from, at }: Merge): Operation<void> {
  const requests = yield* expandingWith(dialect, environmentId, from);
  const changed = requests.map((request) => {
    const { recipients, content } = request.spec;
    const isNamed = recipients.some((one) => one.kind === "user" && one.userId === into);
    const instead = (one: UserRecipient): readonly Recipient[] =>
      isNamed && content.kind === "workflow" ? [] : [{ ...one, userId: into }];
    return withRemaining(request, (one) => (one.kind === "user" && one.userId === from ? instead(one) : [one]));
  });
  yield* changeExpanding(
    changed.filter((request, i) => request !== requests[i]),
    at,
  );
}

/** Messages of a user; of people without an id the recipient is an address, which may read like an id. */
const MESSAGES_OF = "env_id = ? and recipient = ? and user_id = ?";

/** A run loses its lease: whoever has it would go on for the user who is gone. */
function* moveRuns({ dialect, environmentId, into, from }: Merge): Operation<void> {
  const found = yield* run(
    text(
      dialect,
      `select message_id, state from runs
       where env_id = ? and message_id in (select id from messages where ${MESSAGES_OF})
       order by env_id, message_id${lockingRows(dialect)}`,
      [environmentId, environmentId, from, from],
    ),
  );
  if (found.rows.length === 0) return;
  const key = keyOf(into);
  const ids = found.rows.map((row) => row.message_id as string);
  yield* run(
    text(
      dialect,
      `update runs set recipient = ?, lease_until = null, ready_at = due_at
       where env_id = ? and ${among(dialect, "message_id")}`,
      [key, environmentId, textList(dialect, ids)],
    ),
  );
  const batches = found.rows.flatMap((row) => (JSON.parse(row.state as string) as RunState).carries ?? []);
  if (batches.length === 0) return;
  yield* run(
    text(dialect, `update batch_items set recipient = ? where env_id = ? and ${among(dialect, "batch_id")}`, [
      key,
      environmentId,
      textList(dialect, batches),
    ]),
  );
}

/** Whatever is written to a schedule ends its lease (schedules.ts). */
function* moveSchedules({ dialect, environmentId, into, from, at }: Merge): Operation<void> {
  const sql = `update schedules set recipient = ?, updated_at = ?, lease_until = null, ready_at = next_at
    where env_id = ? and recipient = ?`;
  yield* run(text(dialect, sql, [keyOf(into), at, environmentId, keyOf(from)]));
}

function* moveMessages(merge: Merge): Operation<void> {
  const { dialect, environmentId, into, from } = merge;
  const mine = [environmentId, from, from];
  if (dialect === "postgres") {
    const sql = `with locked as materialized (select id from messages where ${MESSAGES_OF} order by id for update)
      select count(*) as n from locked`;
    yield* run(text(dialect, sql, mine));
  }
  yield* moveDeliveries(merge);
  yield* moveRecords(merge);
  // A delayed one loses its lease as runs do: what is being planned of it would make it the other's again.
  const sql = `update messages set user_id = ?, recipient = ?, lease_until = null,
      ready_at = case when lease_until is null then ready_at else due_at end
    where ${MESSAGES_OF}`;
  yield* run(text(dialect, sql, [into, into, ...mine]));
}

/**
 * The piles change by what was moved. On Postgres that need not be what the piles say: who is just adding an item has
 * not committed it yet, and it stays where it is.
 */
function* moveDeliveries({ dialect, environmentId, into, from }: Merge): Operation<void> {
  const move = `update deliveries set user_id = ? where env_id = ? and user_id = ?
    and message_id in (select id from messages where ${MESSAGES_OF})`;
  const moving = [into, environmentId, from, environmentId, from, from];
  const piles = "select tenant_id, bucket, n from inbox_counts where env_id = ? and user_id = ?";
  const counted = `with moved as (${move} returning tenant_id, bucket)
    select tenant_id, bucket, count(*) as n from moved where bucket is not null group by tenant_id, bucket`;
  const { rows } = yield* run(
    dialect === "sqlite" ? text(dialect, piles, [environmentId, from]) : text(dialect, counted, moving),
  );
  if (dialect === "sqlite") yield* run(text(dialect, move, moving));
  const counts = new CountChanges();
  for (const row of rows) {
    const [tenant, bucket, n] = [row.tenant_id as string, row.bucket as number, row.n as number];
    counts.add(environmentId, from, tenant, bucket, -n);
    counts.add(environmentId, into, tenant, bucket, n);
  }
  yield* counts.write();
  const empty = "delete from inbox_counts where env_id = ? and user_id = ? and n = 0";
  yield* run(text(dialect, empty, [environmentId, from]));
}

const RECORD_COLUMNS = { env_id: "text", id: "text", run: "text" } as const;

function* moveRecords({ dialect, environmentId, into, from }: Merge): Operation<void> {
  const recipient = userOf(into);
  for (let after = ""; ; ) {
    const { rows } = yield* run(
      text(
        dialect,
        `select id, run from messages where ${MESSAGES_OF} and run is not null and id > ? order by id limit ?`,
        [environmentId, from, from, after, RECORDS_AT_ONCE],
      ),
    );
    if (rows.length > 0) {
      yield* run({
        kind: "each",
        sql: "update messages set run = v.run from :rows where messages.env_id = v.env_id and messages.id = v.id",
        columns: RECORD_COLUMNS,
        rows: rows.map((row) => {
          const record: RunRecord = { ...runFrom(row.run as string), recipient };
          return [environmentId, row.id as string, runText(record)];
        }),
      });
    }
    if (rows.length < RECORDS_AT_ONCE) return;
    after = rows.at(-1)?.id as string;
  }
}

/** Else a broadcast to everybody with a device would go on reaching the user who is gone. */
function* moveDevices({ dialect, environmentId, into, from, at }: Merge): Operation<void> {
  const sql = "update devices set user_id = ?, updated_at = ? where env_id = ? and user_id = ?";
  yield* run(text(dialect, sql, [into, at, environmentId, from]));
}

/** @throws Refusal("invalid") when that would be more than a user can have. */
function* moveTokens({ dialect, environmentId, into, from, at }: Merge): Operation<void> {
  const move = "update device_tokens set user_id = ?, updated_at = ? where env_id = ? and user_id = ?";
  const { changes } = yield* run(text(dialect, move, [into, at, environmentId, from]));
  if (changes === 0) return;
  const count = "select count(*) as n from device_tokens where env_id = ? and user_id = ?";
  const { rows } = yield* run(text(dialect, count, [environmentId, into]));
  if ((rows[0]?.n as number) <= MAX_TOKENS_OF_USER) return;
  throw new Refusal("invalid", `from: a user can have at most ${MAX_TOKENS_OF_USER} device tokens`, { field: "from" });
}

/**
 * Tables with a row for each pair of a user and something else: the column that names the user, and the index that begins
 * with it where the key does not. SQLite has to be told of it: it takes an environment for ten rows, and reads them all.
 */
const BELONGINGS = [
  { table: "party_documents", column: "party", index: null },
  { table: "object_subscriptions", column: "recipient", index: "object_subscriptions_recipient" },
  { table: "audience_members", column: "user_id", index: "audience_members_user" },
  { table: "list_subscriptions", column: "user_id", index: "list_subscriptions_user" },
  { table: "memberships", column: "user_id", index: "memberships_user" },
] as const;

/** What the other user has, too, stays as that user has it. */
function* moveBelongings(
  { dialect, environmentId, into, from }: Merge,
  { table, column, index }: (typeof BELONGINGS)[number],
): Operation<void> {
  const name = column === "user_id" ? (id: string): string => id : keyOf;
  const columns = columnsOf(table);
  const taken = columns.map((one: string) => (one === column ? "cast(? as text)" : one));
  const indexed = dialect === "sqlite" && index !== null ? ` indexed by ${index}` : "";
  const mine = `from ${table}${indexed} where env_id = ? and ${column} = ?`;
  yield* run(
    text(
      dialect,
      `insert into ${table} (${columns.join(", ")}) select ${taken.join(", ")} ${mine} on conflict do nothing`,
      [name(into), environmentId, name(from)],
    ),
  );
  yield* run(text(dialect, `delete ${mine}`, [environmentId, name(from)]));
}

function userOf(id: string): PartyRef {
  return { collection: USERS, id };
}

function keyOf(userId: string): string {
  return partyKey(userOf(userId));
}
