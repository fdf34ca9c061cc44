/**
 * Writing messages of applications with their deliveries, in batches. Of each message everything is written or nothing:
 * its key, itself and its deliveries stand or fall together, and alone.
 */
import { type AppAcceptance, type AppAccepted, ENDPOINTS_GENERATION } from "../engine/webhooks/ports.ts";
import type { Dialect, Operation } from "./database.ts";
import { DELIVERY_COLUMNS, deliveryValues } from "./rows.ts";
import { giveBackKeys, type KeyTaker, takeKeys } from "./taken-keys.ts";
import { byCodePoints, insert } from "./text.ts";
import { APP_MESSAGE_COLUMNS, appMessageValues } from "./webhook-rows.ts";

const GENERATIONS = `select d.env_id, d.id, d.version from :rows cross join documents as d
  where d.env_id = v.env_id and d.kind = '${ENDPOINTS_GENERATION}' and d.id = v.app_id`;
const APP_KEY = { env_id: "text", app_id: "text" } as const;

const UNLESS_EVENT = "on conflict (app_id, event_id) where event_id is not null do nothing returning id";

const ACCEPTED: AppAccepted = { kind: "accepted" };
const STALE: AppAccepted = { kind: "stale" };
const DUPLICATE: AppAccepted = { kind: "duplicate" };

/** See `AppMessageStore.accept`. */
export function* acceptAppMessages(
  dialect: Dialect,
  batch: readonly AppAcceptance[],
): Operation<readonly AppAccepted[]> {
  const takers = batch.map(takerOf);
  // Keys first: the repetition of a call gets its answer whatever has changed since.
  const keys = yield* takeKeys(dialect, takers);
  const results: AppAccepted[] = keys.map((key) => key?.result ?? ACCEPTED);

  const stale = yield* staleAmong(batch.filter((_, i) => isAccepted(results[i])));
  for (const [i, item] of batch.entries()) if (stale.has(item)) results[i] = STALE;

  const places = [...batch.keys()].filter((i) => isAccepted(results[i]));
  const written = yield* writeAppMessages(places.map((i) => batch[i] as AppAcceptance));
  for (const [n, i] of places.entries()) if (!written[n]) results[i] = DUPLICATE;

  const vain = takers.filter((taker, i): taker is KeyTaker => {
    return taker !== null && isAccepted(keys[i]?.result) && !isAccepted(results[i]);
  });
  yield* giveBackKeys(vain);
  // Who came together with a call whose key was given back would repeat an answer that nobody got: it has to come again.
  return results.map((result, i) => {
    const after = keys[i]?.after ?? i;
    return after !== i && !isAccepted(results[after]) ? STALE : result;
  });
}

function takerOf({ message, idempotency }: AppAcceptance): KeyTaker | null {
  if (idempotency === null) return null;
  return { environmentId: message.environmentId, at: message.createdAt, idempotency };
}

function isAccepted(result: AppAccepted | undefined): boolean {
  return result?.kind === "accepted";
}

/** Those whose application has other endpoints by now, or is gone. */
function* staleAmong(items: readonly AppAcceptance[]): Operation<ReadonlySet<AppAcceptance>> {
  const checked = items.filter(({ generation }) => generation !== null);
  if (checked.length === 0) return new Set();
  const apps = new Map(checked.map(({ message: { environmentId, appId } }) => [appId, [environmentId, appId]]));
  const { rows } = yield { kind: "each", sql: GENERATIONS, columns: APP_KEY, rows: [...apps.values()] };
  const versions = new Map(rows.map((row) => [`${row.env_id} ${row.id}`, row.version]));
  return new Set(
    checked.filter(
      ({ message, generation }) => versions.get(`${message.environmentId} ${message.appId}`) !== generation,
    ),
  );
}

/**
 * Writes messages and their deliveries, but for those whose event id their application has already, also from earlier
 * in the list. Neither keys nor generations are looked at.
 * @returns for each whether it was written.
 */
export function* writeAppMessages(items: readonly AppAcceptance[]): Operation<readonly boolean[]> {
  const plain = items.filter(({ message }) => message.eventId === null);
  if (plain.length > 0) {
    const rows = plain.map(({ message }) => appMessageValues(message));
    yield insert("app_messages", APP_MESSAGE_COLUMNS, rows);
  }
  const named = plain.length === items.length ? null : yield* writeNamed(items);
  const written = items.map((item) => item.message.eventId === null || named?.has(item) === true);
  const deliveries = items.flatMap((item, i) => (written[i] ? item.deliveries : []));
  if (deliveries.length > 0) {
    yield { kind: "insert", table: "deliveries", columns: DELIVERY_COLUMNS, rows: deliveries.map(deliveryValues) };
  }
  return written;
}

/** @returns those with an event id that were written. */
function* writeNamed(items: readonly AppAcceptance[]): Operation<ReadonlySet<AppAcceptance>> {
  const firsts = new Map<string, AppAcceptance>();
  for (const item of items) {
    const { appId, eventId } = item.message;
    if (eventId === null) continue;
    const name = `${appId} ${eventId}`;
    if (!firsts.has(name)) firsts.set(name, item);
  }
  // In one order everywhere: two batches that share event ids then wait for each other instead of deadlocking.
  const ordered = [...firsts].sort(([a], [b]) => byCodePoints(a, b)).map(([, item]) => item);
  const values = ordered.map(({ message }) => appMessageValues(message));
  const { rows } = yield insert("app_messages", APP_MESSAGE_COLUMNS, values, UNLESS_EVENT);
  const ids = new Set(rows.map((row) => row.id));
  return new Set(ordered.filter(({ message }) => ids.has(message.id)));
}
