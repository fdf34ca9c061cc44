import type { Logger } from "pino";
import type { Clock } from "../../lib/clock.ts";
import { newId } from "../../lib/ids.ts";
import { TurnBatcher } from "../../lib/turn-batcher.ts";
import { untilAlone } from "../accept.ts";
import type { Delivery, EnvironmentId } from "../model.ts";
import type { Bus, Store } from "../ports.ts";
import { Refusal } from "../refusal.ts";
import { deliveryTo } from "./delivery-to.ts";
import type { Lanes, Places } from "./lanes.ts";
import { wants } from "./match.ts";
import type { AppId, AppMessage } from "./model.ts";
import type { AppAcceptance, AppAccepted } from "./ports.ts";
import type { Snapshots } from "./snapshots.ts";
import type { AppSnapshot, NewAppMessage, Published, Webhooks } from "./webhooks.ts";

export interface PublishDeps {
  readonly store: Pick<Store, "appMessages">;
  readonly snapshots: Snapshots;
  readonly bus: Bus;
  readonly clock: Clock;
  readonly log: Logger;
  /** The message of a delivery that is about to be tried: it need not be read again. */
  readonly remember: (delivery: Delivery, message: AppMessage) => void;
  readonly maxBatch: number;
}

/** Takes deliveries that are born in this process, if it makes tries: see webhooks/lanes.ts. */
export type Intake = Pick<Lanes, "offer" | "adopt" | "decline">;

/**
 * So often a message is made anew because its application's endpoints have changed meanwhile. The last time goes to
 * those that were there when they were read, after the call came: were they changed without end, none would get through.
 */
const MOST_TRIES = 5;

/** A longer message is read again when its turn has come: some hundreds may wait in memory. */
const REMEMBERED_CHARS = 65_536;

type Options = NonNullable<Parameters<Webhooks["publish"]>[3]>;

/** Takes messages of applications in. Callers who come in one turn of the event loop share their commit. */
export class Publisher {
  readonly #deps: PublishDeps;
  readonly #batcher: TurnBatcher<AppAcceptance, AppAccepted | Error>;
  /** Null where others make the tries. */
  intake: Intake | null = null;

  constructor(deps: PublishDeps) {
    this.#deps = deps;
    this.#batcher = new TurnBatcher(
      (batch) => untilAlone(batch, (items) => deps.store.appMessages.accept(items)),
      deps.maxBatch,
    );
  }

  /** See `Webhooks.publish`. */
  async publish(
    environmentId: EnvironmentId,
    appId: AppId,
    given: NewAppMessage,
    options: Options = {},
  ): Promise<Published> {
    const { snapshots } = this.#deps;
    let snapshot = snapshots.peek(environmentId, appId) ?? (await snapshots.get(environmentId, appId));
    for (let tries = 1; tries <= MOST_TRIES; tries++) {
      if (snapshot === null) return { kind: "no-application" };
      const made = this.#prepare(environmentId, snapshot, given, options);
      const prepared = tries === MOST_TRIES ? { ...made, generation: null } : made;
      // It may be set to null meanwhile; what it has promised it has to be told the end of.
      const { intake } = this;
      const places = intake?.offer(prepared.deliveries) ?? null;
      const acceptance = places === null ? prepared : { ...prepared, deliveries: places.deliveries };
      const accepted =
        intake === null || places === null
          ? await this.#batcher.add(acceptance)
          : await this.#acceptInto(intake, acceptance, places);
      if (accepted instanceof Error) throw accepted;
      switch (accepted.kind) {
        case "accepted":
          this.#tell(acceptance);
          return { kind: "accepted", message: acceptance.message };
        case "replayed":
        case "duplicate":
          return accepted;
        case "busy":
          throw new Refusal("busy", "a call with this idempotency key is still under way");
        case "stale":
          snapshot = await snapshots.get(environmentId, appId, true);
      }
    }
    throw new Refusal("busy", "the application's endpoints are being changed at this moment", { retryAfterMs: 1000 });
  }

  async #acceptInto(intake: Intake, acceptance: AppAcceptance, places: Places): Promise<AppAccepted | Error> {
    let isStored = false;
    try {
      const accepted = await this.#batcher.add(acceptance);
      isStored = !(accepted instanceof Error) && accepted.kind === "accepted";
      return accepted;
    } finally {
      if (isStored) {
        const { payload, raw } = acceptance.message;
        if ((raw ?? payload ?? "").length <= REMEMBERED_CHARS) {
          for (const delivery of places.own) this.#deps.remember(delivery, acceptance.message);
        }
        intake.adopt(places);
      } else intake.decline(places);
    }
  }

  #prepare(environmentId: EnvironmentId, snapshot: AppSnapshot, given: NewAppMessage, options: Options): AppAcceptance {
    const now = this.#deps.clock.now();
    const { keepMs, ...rest } = given;
    const message: AppMessage = {
      ...rest,
      environmentId,
      appId: snapshot.application.id,
      id: newId("msg", now),
      // What is told to wait is kept from then on: else it could be gone before anybody was sent it.
      payloadUntil: (given.deliverAt ?? now) + keepMs,
      createdAt: now,
    };
    const endpoints = snapshot.endpoints.filter(
      (endpoint) =>
        (options.only === undefined || (options.only !== "none" && endpoint.id === options.only)) &&
        wants(endpoint, message),
    );
    const dueAt = given.deliverAt ?? now;
    const { idempotency } = options;
    return {
      message,
      deliveries: endpoints.map((endpoint) => deliveryTo(endpoint, message, { manual: false, dueAt })),
      // The hidden application has no document to check before it has its first endpoint.
      generation: snapshot.generation === 0 ? null : snapshot.generation,
      idempotency: idempotency === undefined ? null : { ...idempotency, answer: idempotency.answer(message.id) },
    };
  }

  #tell({ message, deliveries }: AppAcceptance): void {
    const { bus, log } = this.#deps;
    if (deliveries.some(({ leaseUntil, parkedUntil }) => leaseUntil === null && parkedUntil === undefined)) {
      bus.lookNow("deliveries");
    }
    if (!log.isLevelEnabled("info")) return;
    log.info(
      {
        messageId: message.id,
        environmentId: message.environmentId,
        applicationId: message.appId,
        eventType: message.eventType,
        endpoints: deliveries.length,
      },
      "message.published",
    );
  }
}
