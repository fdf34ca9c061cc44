/** Who is a member of which audience, as such or in a tenant. */
import type { EnvironmentId } from "../engine/model.ts";
import { type AudienceMember, keyInTime } from "../engine/workflow/model.ts";
import type { PartyStore } from "../engine/workflow/ports.ts";
import { type Database, type Dialect, type Operation, only, type Row, run, type Value } from "./database.ts";
import { columnsOf, type RowOf, tenantColumn, tenantOf } from "./schema.ts";
import { byCodePoints, insert, requireId, text } from "./text.ts";
import { pageInTime, walkingInTime } from "./walk-in-time.ts";

type AudienceMethods = "putMembers" | "deleteMembers" | "members" | "isMember";

type Member = Pick<AudienceMember, "userId" | "tenantId">;

/** The key of an audience shares an index row with the ids of a user and a tenant. */
const MAX_AUDIENCE_BYTES = 256;

const KEY = { env_id: "text", audience: "text", user_id: "text", tenant_id: "text" } as const;
const ADD = "on conflict (env_id, audience, user_id, tenant_id) do nothing";

/** The part of the parties' store that keeps the members of audiences. */
export function audienceStore(db: Database): Pick<PartyStore, AudienceMethods> {
  const { dialect } = db;
  return {
    async putMembers(environmentId, audience, members, at) {
      requireMembers(audience, members);
      if (members.length === 0) return;
      const rows = inLockOrder(environmentId, audience, members).map((key) => [...key, at]);
      await db.write(function* () {
        yield* run(only(insert("audience_members", columnsOf("audience_members"), rows, ADD)));
      });
    },

    async deleteMembers(environmentId, audience, members) {
      requireMembers(audience, members);
      if (members.length === 0) return;
      const rows = inLockOrder(environmentId, audience, members);
      await db.write(() => remove(dialect, rows));
    },

    members: (environmentId, audience, walk) =>
      db.read(function* () {
        const way = walkingInTime(walk, "added_at", ["user_id", "tenant_id"]);
        const sql = `select * from audience_members where env_id = ? and audience = ?${way.where}
          order by ${way.orderBy} limit ?`;
        const { rows } = yield* run(text(dialect, sql, [environmentId, audience, ...way.params, way.limit]));
        return pageInTime(rows.map(memberOf), walk, (one) =>
          keyInTime(one.addedAt, one.userId, tenantColumn(one.tenantId)),
        );
      }),

    isMember: (environmentId, audience, userId, tenantId) =>
      db.read(function* () {
        const sql = `select 1 as found from audience_members
          where env_id = ? and audience = ? and user_id = ? and tenant_id = ?`;
        const params = [environmentId, audience, userId, tenantColumn(tenantId)];
        return (yield* run(text(dialect, sql, params))).rows.length > 0;
      }),
  };
}

function requireMembers(audience: string, members: readonly Member[]): void {
  requireId("audience", audience, MAX_AUDIENCE_BYTES);
  for (const { userId, tenantId } of members) {
    requireId("userId", userId);
    if (tenantId !== null) requireId("tenantId", tenantId);
  }
}

/** Keys of the rows, each once, in one order for all callers: so that they cannot wait for each other. */
function inLockOrder(
  environmentId: EnvironmentId,
  audience: string,
  members: readonly Member[],
): readonly (readonly Value[])[] {
  const distinct = new Map(members.map((m) => [`${m.userId}\0${tenantColumn(m.tenantId)}`, m]));
  return [...distinct.values()]
    .sort(
      (a, b) => byCodePoints(a.userId, b.userId) || byCodePoints(tenantColumn(a.tenantId), tenantColumn(b.tenantId)),
    )
    .map((m) => [environmentId, audience, m.userId, tenantColumn(m.tenantId)]);
}

function* remove(dialect: Dialect, rows: readonly (readonly Value[])[]): Operation<void> {
  if (dialect === "postgres") {
    // A delete locks rows in the order of its plan; this makes it the order of all.
    const sql = `select m.user_id from :rows join audience_members as m on m.env_id = v.env_id and m.audience = v.audience
      and m.user_id = v.user_id and m.tenant_id = v.tenant_id order by m.user_id, m.tenant_id for update of m`;
    yield* run({ kind: "each", sql, columns: KEY, rows });
  }
  const sql = `delete from audience_members where (env_id, audience, user_id, tenant_id) in (
    select v.env_id, v.audience, v.user_id, v.tenant_id from :rows)`;
  yield* run({ kind: "each", sql, columns: KEY, rows });
}

function memberOf(row: Row): AudienceMember {
  const member = row as unknown as RowOf<"audience_members">;
  return { userId: member.user_id, tenantId: tenantOf(member.tenant_id), addedAt: member.added_at };
}
