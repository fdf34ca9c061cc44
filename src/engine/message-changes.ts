/**
 * From a change of a message to deliveries to the endpoints that want to know. The change is noted by the database in
 * the commit that makes it; here it becomes a message of its own, which goes to endpoints instead of a recipient and
 * carries the text that every try will send.
 */
import type { Logger } from "pino";
import type { Clock, Millis } from "../lib/clock.ts";
import type { JsonObject } from "../lib/json.ts";
import { type Endpoints, OUTBOUND_WEBHOOK } from "./endpoints.ts";
import type { Delivery, EnvironmentId, Message, MessageChange, Provider } from "./model.ts";
import type { Bus, MessageRecord, Planned, Store } from "./ports.ts";
import { type Telling, telling } from "./telling.ts";

const MESSAGE_UPDATED = "message:updated";

/** A message as the clients of the facade it came through read it; what endpoints are told. */
export type DescribeMessage = (via: string, record: MessageRecord) => JsonObject;

export interface TellingDeps {
  readonly store: Pick<Store, "messages" | "messageChanges">;
  readonly endpoints: Endpoints;
  /** Null: nobody is told anything. */
  readonly describeMessage: DescribeMessage | null;
  readonly clock: Clock;
  readonly log: Logger;
}

/** Turns claimed changes into messages to endpoints. */
export class ChangeTeller {
  readonly #deps: TellingDeps;

  constructor(deps: TellingDeps) {
    this.#deps = deps;
  }

  /** @returns what was written. Rejects when the database does; the changes are then claimed again later. */
  async tell(changes: readonly MessageChange[], leaseUntil: Millis): Promise<readonly Planned[]> {
    const { store, endpoints } = this.#deps;
    const wanting = new Map<EnvironmentId, readonly Provider[]>();
    for (const { environmentId } of changes) {
      if (wanting.has(environmentId)) continue;
      wanting.set(environmentId, await endpoints.wanting(environmentId, OUTBOUND_WEBHOOK, MESSAGE_UPDATED));
    }
    const told = await Promise.all(
      changes.map(async (change) => ({
        change,
        by: await this.#tellingOf(change, wanting.get(change.environmentId) ?? []),
      })),
    );
    const written = await store.messageChanges.replace(told, leaseUntil);
    return told.flatMap(({ by }, i) => (written[i] && by !== null ? [by] : []));
  }

  async #tellingOf(change: MessageChange, endpoints: readonly Provider[]): Promise<Telling | null> {
    const { store, clock, log, describeMessage } = this.#deps;
    if (endpoints.length === 0 || describeMessage === null) return null;
    const record = await store.messages.read(change.environmentId, change.messageId);
    // Thrown away meanwhile: there is nothing left to tell.
    if (record === null) return null;
    try {
      const data = describeMessage(record.request.spec.via, recordAt(record, change));
      const content = { body: JSON.stringify({ type: MESSAGE_UPDATED, data }) };
      const about = { environmentId: change.environmentId, subject: change.messageId, event: MESSAGE_UPDATED };
      return telling({ ...about, content }, endpoints, clock.now());
    } catch (error) {
      // Trying again would come to the same and hold up the changes it was claimed with.
      log.error({ err: error, messageId: change.messageId, state: change.state }, "change.not-told");
      return null;
    }
  }
}

/**
 * The record as it was at the change, so that endpoints hear of every state although we may come late: what the message
 * had no time for then has not happened to its deliveries either. Pure.
 */
export function recordAt(record: MessageRecord, change: MessageChange): MessageRecord {
  const { state, reason, error, sentAt, deliveredAt, openedAt, clickedAt, canceledAt } = change;
  const message: Message = {
    ...record.message,
    state,
    reason,
    error,
    sentAt,
    deliveredAt,
    openedAt,
    clickedAt,
    canceledAt,
  };
  const wasNot = (kind: string): boolean =>
    (kind === "opened" && openedAt === null) ||
    (kind === "clicked" && clickedAt === null) ||
    (kind === "delivered" && deliveredAt === null);
  return {
    ...record,
    message,
    deliveries: record.deliveries.map((delivery) => deliveryAt(delivery, change)),
    events: record.events.filter((event) => !wasNot(event.kind)),
  };
}

function deliveryAt(delivery: Delivery, { sentAt, deliveredAt }: MessageChange): Delivery {
  if (delivery.sentAt !== null && sentAt === null) {
    return { ...delivery, state: "pending", sentAt: null, deliveredAt: null, reference: null };
  }
  if (delivery.deliveredAt !== null && deliveredAt === null) {
    return { ...delivery, state: delivery.state === "delivered" ? "sent" : delivery.state, deliveredAt: null };
  }
  return delivery;
}

/**
 * A store that shouts after every write that may have changed messages of an environment with endpoints. A shout that
 * is lost, or one too many, costs a look.
 */
export function shoutingStore(store: Store, endpoints: Endpoints, bus: Pick<Bus, "lookNow">): Store {
  const after = <T>(done: Promise<T>, environmentIds: Iterable<EnvironmentId>): Promise<T> =>
    done.then((result) => {
      for (const id of new Set(environmentIds)) {
        if (!endpoints.mayExist(id)) continue;
        bus.lookNow("changes");
        bus.lookNow("happenings");
        break;
      }
      return result;
    });
  const { pipeline, inbox, runs } = store;
  const ofMessages = (planned: readonly Planned[]): EnvironmentId[] => planned.map((p) => p.message.environmentId);
  return {
    ...store,
    pipeline: {
      ...pipeline,
      accept: (batch) =>
        after(
          pipeline.accept(batch),
          batch.map(({ request }) => request.environmentId),
        ),
      commitPage: (request, lease, cursor, planned) =>
        after(pipeline.commitPage(request, lease, cursor, planned), [request.environmentId]),
      commitPlanned: (planned, leaseUntil) => after(pipeline.commitPlanned(planned, leaseUntil), ofMessages(planned)),
      settle: (batch) =>
        after(
          pipeline.settle(batch),
          batch.map(({ delivery }) => delivery.environmentId),
        ),
      cancel: (environmentId, id, at) => after(pipeline.cancel(environmentId, id, at), [environmentId]),
    },
    runs: {
      ...runs,
      commit: (legs, leaseUntil, now) =>
        after(
          runs.commit(legs, leaseUntil, now),
          legs.map(({ run }) => run.environmentId),
        ),
      cancel: (environmentId, ...rest) => after(runs.cancel(environmentId, ...rest), [environmentId]),
    },
    inbox: {
      ...inbox,
      change: (environmentId, ...rest) => after(inbox.change(environmentId, ...rest), [environmentId]),
      changeAll: (environmentId, ...rest) => after(inbox.changeAll(environmentId, ...rest), [environmentId]),
      progress: (environmentId, steps) => after(inbox.progress(environmentId, steps), [environmentId]),
    },
  };
}
