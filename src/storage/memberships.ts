/** Which users belong to which tenants. */
import type { Membership } from "../engine/model.ts";
import type { DirectoryStore, Page } from "../engine/ports.ts";
import { type Database, type Dialect, type Operation, only, type Row, run } from "./database.ts";
import { distinctUsers } from "./distinct-users.ts";
import type { RowOf } from "./schema.ts";
import {
  among,
  byCodePoints,
  decodeJson,
  encodeJson,
  insert,
  lockingRows,
  pageOf,
  requireId,
  text,
  textList,
} from "./text.ts";

/** Members of a tenant that are removed in one commit; deleting half a million at once would stop everything else. */
const REMOVED_AT_ONCE = 5000;

const GROUPED = { table: "memberships", group: "tenant_id" } as const;

const COLUMNS = ["env_id", "tenant_id", "user_id", "profile", "created_at"] as const;
const REPLACE = "on conflict (env_id, tenant_id, user_id) do update set profile = excluded.profile";

type MembershipMethods =
  | "putMemberships"
  | "readMembership"
  | "deleteMembership"
  | "deleteMembershipsOfUser"
  | "deleteMembershipsOfTenant"
  | "tenantsOf"
  | "membersOfAny"
  | "filterMembers";

/**
 * The part of the directory that keeps memberships. Of the same membership twice in one call the last wins.
 * `deleteMembershipsOfTenant` works in batches, each of them one commit: who reads meanwhile sees fewer and fewer, and
 * after a crash the call has to be made again.
 */
export function membershipStore(db: Database): Pick<DirectoryStore, MembershipMethods> {
  const { dialect } = db;
  return {
    async putMemberships(environmentId, memberships) {
      for (const { tenantId, userId } of memberships) {
        requireId("tenantId", tenantId);
        requireId("userId", userId);
      }
      if (memberships.length > 0) await db.write(() => put(environmentId, memberships));
    },

    readMembership: (environmentId, userId, tenantId) =>
      db.read(function* () {
        const { rows } = yield* run(
          text(dialect, "select * from memberships where env_id = ? and tenant_id = ? and user_id = ?", [
            environmentId,
            tenantId,
            userId,
          ]),
        );
        return rows[0] === undefined ? null : membershipOf(rows[0]);
      }),

    deleteMembership: (environmentId, userId, tenantId) =>
      db.write(function* () {
        const sql = "delete from memberships where env_id = ? and tenant_id = ? and user_id = ?";
        return (yield* run(only(text(dialect, sql, [environmentId, tenantId, userId])))).changes > 0;
      }),

    deleteMembershipsOfUser: (environmentId, userId) =>
      db.write(function* () {
        const mine = "from memberships where env_id = ? and user_id = ?";
        // A delete locks rows in the order of its plan; this makes it the order of `put`.
        if (dialect === "postgres") {
          const sql = `select tenant_id ${mine} order by tenant_id${lockingRows(dialect)}`;
          yield* run(text(dialect, sql, [environmentId, userId]));
        }
        yield* run(text(dialect, `delete ${mine}`, [environmentId, userId]));
      }),

    async deleteMembershipsOfTenant(environmentId, tenantId) {
      let removed: number;
      do {
        removed = await db.write(() => removeSome(dialect, environmentId, tenantId));
      } while (removed >= REMOVED_AT_ONCE);
    },

    tenantsOf: (environmentId, userId, page) =>
      db.read(function* () {
        const { rows } = yield* run(
          text(
            dialect,
            "select * from memberships where env_id = ? and user_id = ? and tenant_id > ? order by tenant_id limit ?",
            [environmentId, userId, page.after ?? "", page.limit + 1],
          ),
        );
        return pageOf(rows.map(membershipOf), page.limit, (membership) => membership.tenantId);
      }),

    membersOfAny: (environmentId, tenantIds, page) =>
      db.read(function* (): Operation<Page<Membership>> {
        const rows = yield* distinctUsers(db, GROUPED, environmentId, [...new Set(tenantIds)], page);
        return pageOf(rows.map(membershipOf), page.limit, (membership) => membership.userId);
      }),

    async filterMembers(environmentId, userIds, tenantIds) {
      if (userIds.length === 0) return new Set<string>();
      const tenants = [...new Set(tenantIds)];
      if (tenants.length === 0) return new Set(userIds);
      return db.read(function* () {
        const { rows } = yield* run(
          text(
            dialect,
            `select user_id from memberships
            where env_id = ? and ${among(dialect, "user_id")} and ${among(dialect, "tenant_id")}
            group by user_id having count(*) = ?`,
            [environmentId, textList(dialect, userIds), textList(dialect, tenants), tenants.length],
          ),
        );
        return new Set(rows.map((row) => row.user_id as string));
      });
    },
  };
}

function* put(environmentId: string, memberships: readonly Membership[]): Operation<void> {
  // In one order for all callers, so that two with the same memberships cannot wait for each other.
  const sorted = [...memberships].sort(
    (a, b) => byCodePoints(a.tenantId, b.tenantId) || byCodePoints(a.userId, b.userId),
  );
  // Sorting keeps the order of equals, so the last of them is the last that came.
  const last = sorted.filter((m, i) => m.tenantId !== sorted[i + 1]?.tenantId || m.userId !== sorted[i + 1]?.userId);
  const rows = last.map((m) => [environmentId, m.tenantId, m.userId, encodeJson(m.profile), m.createdAt]);
  yield* run(only(insert("memberships", COLUMNS, rows, REPLACE)));
}

/**
 * Removes up to a bound that is looked up first. With `in (select … limit …)` instead, Postgres without fresh statistics
 * compares every row with every other (5,000 rows: 2.5 s).
 */
function* removeSome(dialect: Dialect, environmentId: string, tenantId: string): Operation<number> {
  const members = "from memberships where env_id = ? and tenant_id = ?";
  const { rows } = yield* run(
    text(dialect, `select user_id ${members} order by user_id limit 1 offset ?`, [
      environmentId,
      tenantId,
      REMOVED_AT_ONCE - 1,
    ]),
  );
  const last = rows[0]?.user_id;
  const removed = yield* run(
    last === undefined
      ? text(dialect, `delete ${members}`, [environmentId, tenantId])
      : text(dialect, `delete ${members} and user_id <= ?`, [environmentId, tenantId, last]),
  );
  return removed.changes;
}

function membershipOf(row: Row): Membership {
  const membership = row as unknown as RowOf<"memberships">;
  return {
    tenantId: membership.tenant_id,
    userId: membership.user_id,
    profile: decodeJson(membership.profile),
    createdAt: membership.created_at,
  };
}
