/**
 * The queue of each endpoint within the queue of all. A delivery that its endpoint has no room for is parked: it stays
 * pending and due (`due_at`), but others are offered it only later (`ready_at`), while `claimOf` takes it at any time.
 *
 *   pending, ready_at = due_at ──park──▶ pending, ready_at > due_at ──claimOf, or its time comes──▶ leased
 *        ▲                                     ▲                                                   │
 *        └──── released, lapsed                └───────────────────── parkClaimed ─────────────────┘
 */
import type { Delivery } from "../engine/model.ts";
import type { AppMessageStore } from "../engine/webhooks/ports.ts";
import { newId } from "../lib/ids.ts";
import { type Database, type Operation, only, run } from "./database.ts";
import { DELIVERY_COLUMNS, deliveryOf, deliveryValues, RETURN_DELIVERY, SELECT_DELIVERY } from "./rows.ts";
import { among, byCodePoints, text, textList } from "./text.ts";

type QueueMethods = Pick<AppMessageStore, "addManual" | "claimOf" | "parkClaimed" | "nextParked">;

/** What is parked of one endpoint; written as the index for it is, so that both databases see it. */
const ANY_PARKED = "app_id is not null and lease_until is null and ready_at > due_at";
const PARKED = `provider_id = ? and ${ANY_PARKED}`;

export function endpointQueueStore(db: Database): QueueMethods {
  const { dialect } = db;
  const skipLocked = dialect === "postgres" ? "for update skip locked" : "";
  const claimOf = `with claimed as materialized (
      select id from deliveries where ${PARKED} and due_at <= ? order by due_at limit ? ${skipLocked})
    update deliveries set lease_until = ?, ready_at = ? from claimed where deliveries.id = claimed.id
    returning ${RETURN_DELIVERY}`;
  const nextParked = `select ${SELECT_DELIVERY} from deliveries as d where provider_id > ? and ${ANY_PARKED}
    order by provider_id limit 1`;
  const parkClaimed = `update deliveries set lease_until = null, ready_at = case when due_at > ? then due_at else ? end
    where ${among(dialect, "id")} and app_id is not null and state = 'pending' and lease_until = ?`;

  return {
    async addManual(deliveries) {
      if (deliveries.length === 0) return;
      const rows = manualRows(deliveries);
      await db.write(() => addManual(rows));
    },

    claimOf: (endpointId, now, limit, leaseUntil) =>
      db.lease(function* () {
        const params = [endpointId, now, limit, leaseUntil, leaseUntil];
        const { rows } = yield* run(only(text(dialect, claimOf, params)));
        return rows.map(deliveryOf).sort((a, b) => a.dueAt - b.dueAt || byCodePoints(a.id, b.id));
      }),

    nextParked: (after) =>
      db.read(function* () {
        const { rows } = yield text(dialect, nextParked, [after ?? ""]);
        return rows[0] === undefined ? null : deliveryOf(rows[0]);
      }),

    async parkClaimed(deliveries, held, until) {
      if (deliveries.length === 0) return;
      const ids = textList(
        dialect,
        deliveries.map(({ id }) => id),
      );
      await db.lease(function* () {
        yield* run(only(text(dialect, parkClaimed, [until, until, ids, held])));
      });
    },
  };
}

/** Manual tries, and for each the row of its pair: what happens unless the pair has one. */
export interface ManualRows {
  readonly manual: readonly Delivery[];
  readonly pairs: readonly Delivery[];
}

/** Makes ids, so it is to be called before the operation, which may run again. */
export function manualRows(deliveries: readonly Delivery[]): ManualRows {
  const pairs = deliveries.map(
    (delivery): Delivery => ({
      ...delivery,
      id: newId("dlv", delivery.createdAt),
      state: "canceled",
      app: { id: appOf(delivery), manual: false },
    }),
  );
  return { manual: deliveries, pairs: inOrder(pairs) };
}

function appOf(delivery: Delivery): NonNullable<Delivery["app"]>["id"] {
  if (delivery.app === undefined) throw new Error("a delivery to an application's endpoint was expected");
  return delivery.app.id;
}

/** See `AppMessageStore.addManual`. */
export function* addManual({ manual, pairs }: ManualRows): Operation<void> {
  if (manual.length === 0) return;
  yield* put(pairs, `${ON_PAIR} do nothing`);
  yield { kind: "insert", table: "deliveries", columns: DELIVERY_COLUMNS, rows: manual.map(deliveryValues) };
}

const ON_PAIR = "on conflict (provider_id, message_id) where app_id is not null and manual = 0";
/** What was sent before will have been sent again; that it was tried stays. */
const ANEW = `state = 'pending', due_at = excluded.due_at, ready_at = excluded.ready_at, lease_until = null, attempts = 0,
  error = null, reference = null, sent_at = null`;
const MISSING = `${ON_PAIR} do update set ${ANEW}
  where deliveries.state <> 'pending' and deliveries.started_at is null
    and not exists (select 1 from deliveries as m
      where m.message_id = excluded.message_id and m.provider_id = excluded.provider_id and m.state = 'pending')`;
const AGAIN = `${ON_PAIR} do update set ${ANEW} where deliveries.state <> 'pending'`;

/** See `TaskEffects.missing`. @returns how many were written. */
export function* addMissing(deliveries: readonly Delivery[]): Operation<number> {
  return yield* put(oncePerPair(deliveries), MISSING);
}

/** See `TaskEffects.again`. @returns how many were written. */
export function* beginAgain(deliveries: readonly Delivery[]): Operation<number> {
  return yield* put(oncePerPair(deliveries), AGAIN);
}

function* put(deliveries: readonly Delivery[], suffix: string): Operation<number> {
  if (deliveries.length === 0) return 0;
  const rows = deliveries.map(deliveryValues);
  return (yield { kind: "insert", table: "deliveries", columns: DELIVERY_COLUMNS, rows, suffix }).changes;
}

/** Postgres takes a row only once in a statement. */
function oncePerPair(deliveries: readonly Delivery[]): readonly Delivery[] {
  return inOrder([...new Map(deliveries.map((d) => [`${d.providerId} ${d.messageId}`, d])).values()]);
}

/** In one order everywhere: two that write the same pairs then wait for each other instead of deadlocking. */
function inOrder(deliveries: readonly Delivery[]): readonly Delivery[] {
  return [...deliveries].sort(
    (a, b) => byCodePoints(a.providerId, b.providerId) || byCodePoints(a.messageId, b.messageId),
  );
}
