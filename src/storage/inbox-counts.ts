/**
 * Counting a million items must not mean looking at a million items. Every item of an inbox lies on one of eight
 * piles, its **bucket**, by whether it is seen, read and archived; `inbox_counts` holds the height of every pile of
 * every user and tenant, changed in the commit that moves an item. The sum of a few piles answers every count, and the
 * same column, in an index, makes the first page of any combination one range (or a few).
 *
 *   bucket = 1 if seen | 2 if read | 4 if archived;   null: deleted, expired and ended, or not an inbox item
 *
 * Whatever is done to an item on a pile, or moves one, also gives the pile a new `stamp`. As long as a user's stamps are
 * the same, so is all that lies in the inbox.
 */
import { randomInt } from "node:crypto";
import type { Delivery } from "../engine/model.ts";
import type { InboxFilter } from "../engine/ports.ts";
import type { Operation } from "./database.ts";
import { columnsOf, tenantColumn } from "./schema.ts";
import { byCodePoints } from "./text.ts";

export const SEEN = 1;
export const READ = 2;
export const ARCHIVED = 4;
const ALL_BUCKETS = [0, 1, 2, 3, 4, 5, 6, 7];

/** Where an item lies as far as its own timestamps say; a bucket that is null once stays null. */
export function bucketOf(d: Delivery): number | null {
  if (d.channel !== "inbox" || d.userId === null || d.deletedAt !== null) return null;
  return (d.seenAt === null ? 0 : SEEN) | (d.readAt === null ? 0 : READ) | (d.archivedAt === null ? 0 : ARCHIVED);
}

/** The buckets whose items a filter of seen, read and archived lets through. */
export function bucketsOf(filter: Pick<InboxFilter, "seen" | "read" | "archived">): readonly number[] {
  const passes = (wanted: boolean | undefined, bit: number, bucket: number): boolean =>
    wanted === undefined || wanted === ((bucket & bit) !== 0);
  return ALL_BUCKETS.filter(
    (bucket) =>
      passes(filter.seen, SEEN, bucket) &&
      passes(filter.read, READ, bucket) &&
      passes(filter.archived, ARCHIVED, bucket),
  );
}

interface Pile {
  readonly env: string;
  readonly user: string;
  readonly tenant: string;
  readonly bucket: number;
  change: number;
}

const COLUMNS = columnsOf("inbox_counts");
const ADD = `on conflict (env_id, user_id, tenant_id, bucket) do update set
  n = inbox_counts.n + excluded.n, stamp = excluded.stamp`;

/** Counted on from a random beginning: two processes, or one before and after a start, do not meet. */
let lastStamp = randomInt(2 ** 47) * 32;

/** Collects what an operation does to the piles, so that each is written once. */
export class CountChanges {
  readonly #piles = new Map<string, Pile>();

  /** Takes the item off the one pile and puts it on the other; null is no pile. On the same one it has changed there. */
  move(item: Delivery, from: number | null, to: number | null): void {
    if (item.userId === null) return;
    if (from === to) {
      if (from !== null) this.add(item.environmentId, item.userId, tenantColumn(item.tenantId), from, 0);
      return;
    }
    if (from !== null) this.add(item.environmentId, item.userId, tenantColumn(item.tenantId), from, -1);
    if (to !== null) this.add(item.environmentId, item.userId, tenantColumn(item.tenantId), to, 1);
  }

  /** Puts so many items on a pile; takes them off when `change` is negative. None at all still stamps it. */
  add(env: string, user: string, tenant: string, bucket: number, change: number): void {
    // Ids may hold any character but NUL.
    const key = `${env}\0${user}\0${tenant}\0${bucket}`;
    const pile = this.#piles.get(key);
    if (pile === undefined) this.#piles.set(key, { env, user, tenant, bucket, change });
    else pile.change += change;
  }

  /** In one order everywhere, so that two operations on the same user wait for each other instead of deadlocking. */
  *write(): Operation<void> {
    const piles = [...this.#piles.values()];
    if (piles.length === 0) return;
    if (piles.length > 1) {
      piles.sort(
        (a, b) =>
          byCodePoints(a.env, b.env) ||
          byCodePoints(a.user, b.user) ||
          byCodePoints(a.tenant, b.tenant) ||
          a.bucket - b.bucket,
      );
    }
    yield {
      kind: "insert",
      table: "inbox_counts",
      columns: COLUMNS,
      rows: piles.map((pile) => [pile.env, pile.user, pile.tenant, pile.bucket, pile.change, ++lastStamp]),
      suffix: ADD,
    };
  }
}
