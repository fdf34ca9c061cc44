import type { Logger } from "pino";
import type { Clock, Millis } from "../lib/clock.ts";
import { newId } from "../lib/ids.ts";
import { TurnBatcher } from "../lib/turn-batcher.ts";
import { tellDeliveries, untilAlone } from "./accept.ts";
import type { Endpoints } from "./endpoints.ts";
import type { Attempt, Delivery, MessageState, Outcome, Provider } from "./model.ts";
import { type PlanningDeps, planFailover, requestContext } from "./plan.ts";
import type { Bus, Outgoing, Settled, Settlement, Store } from "./ports.ts";
import { isUnavailable } from "./refusal.ts";
import { nextStep, STEP_SCHEDULE, USUAL_SCHEDULE } from "./retry.ts";
import { changeDeliverySecrets, mayHoldSecrets } from "./secrets.ts";
import { targetOfMessage } from "./target.ts";
import type { Vault } from "./webhooks/webhooks.ts";

/** Makes tries; see channels/senders.ts. Never rejects. */
export interface Senders {
  send(outgoing: Outgoing): Promise<Outcome>;
}

export interface DeliverDeps {
  readonly store: Store;
  readonly planning: PlanningDeps;
  readonly endpoints: Endpoints;
  readonly senders: Senders;
  readonly vault: Vault;
  readonly bus: Bus;
  readonly clock: Clock;
  readonly log: Logger;
  /** A number in [0, 1). */
  readonly roll: () => number;
  /** Longest time for one try. */
  readonly tryTimeoutMs: Millis;
}

type Next = Settlement["next"];

/** A try is given this long, however little time is left: one cut off in the middle of a mail may have sent it. */
const SHORTEST_TRY_MS = 3_000;

/**
 * Tries a claimed delivery once and records what came of it. Settlements of one turn share their commit.
 * A delivery whose lease was lost meanwhile is not recorded: whoever holds it now will tell.
 */
export class Deliverer {
  readonly #deps: DeliverDeps;
  readonly #settlements: TurnBatcher<Settlement, Settled | Error>;

  constructor(deps: DeliverDeps) {
    this.#deps = deps;
    // One that the database does not take must not make the others of its batch be sent again.
    this.#settlements = new TurnBatcher(
      (batch) => untilAlone(batch, (settlements) => deps.store.pipeline.settle(settlements)),
      500,
    );
  }

  /**
   * @param finalLease gives the lease the delivery is settled under: it may have been renewed meanwhile.
   * @param stop ends the try early; the delivery is then given back unsettled.
   */
  async deliver(
    delivery: Delivery,
    finalLease: () => Promise<Millis>,
    stop: AbortSignal,
  ): Promise<"settled" | "lost" | "stopped"> {
    const { clock, log, bus } = this.#deps;
    const startedAt = clock.now();
    const outcome = await this.#try(delivery, stop);
    // A try that was cut short by our own stop says nothing about the provider, but for whom it has reached already.
    if (stop.aborted && outcome.kind === "failed" && outcome.reference === undefined) return "stopped";
    const endedAt = clock.now();
    const attempt: Attempt = {
      id: newId("att", startedAt),
      environmentId: delivery.environmentId,
      messageId: delivery.messageId,
      deliveryId: delivery.id,
      number: delivery.attempts + 1,
      startedAt,
      endedAt,
      outcome: outcome.kind,
      reason: outcome.kind === "sent" ? null : outcome.reason,
      statusCode: outcome.statusCode ?? null,
    };
    const decide = (): Promise<Next> => this.#next(delivery, outcome, startedAt, endedAt);
    const decided = await decide();
    // Last of all: from here on nobody renews it. Most of it is left, more than deciding again takes.
    const leaseUntil = await finalLease();
    let { settled, next } = await this.#settle({ delivery, leaseUntil, attempt, next: decided });
    while (settled === "again") {
      ({ settled, next } = await this.#settle({ delivery, leaseUntil, attempt, next: await decide() }));
    }
    if (log.isLevelEnabled("info")) {
      log.info(
        {
          deliveryId: delivery.id,
          messageId: delivery.messageId,
          channel: delivery.channel,
          provider: delivery.provider,
          attempt: attempt.number,
          outcome: outcome.kind,
          reason: attempt.reason ?? undefined,
          state: next.state,
          dueAt: next.state === "pending" ? next.dueAt : undefined,
          settled: settled === "written",
          tookMs: endedAt - startedAt,
        },
        "delivery.attempted",
      );
    }
    if (settled !== "written") return "lost";
    if (next.state === "pending") bus.lookNow("deliveries");
    if (next.state === "failed" && next.failover.length > 0) {
      tellDeliveries(bus, next.failover);
    }
    return "settled";
  }

  /**
   * A try is recorded even where the database refuses what follows from it: else it would be made again for ever.
   * @returns also what followed.
   */
  async #settle(settlement: Settlement): Promise<{ readonly settled: Settled; readonly next: Next }> {
    const settled = await this.#settlements.add(settlement);
    if (!(settled instanceof Error)) return { settled, next: settlement.next };
    if (isUnavailable(settled)) throw settled;
    const { messageId, id: deliveryId } = settlement.delivery;
    this.#deps.log.error({ err: settled, messageId, deliveryId }, "delivery.not-settled");
    const next = withoutConsequences(settlement.next);
    const [settledSo] = await this.#deps.store.pipeline.settle([{ ...settlement, next }]);
    return { settled: settledSo as Settled, next };
  }

  async #try(delivery: Delivery, stop: AbortSignal): Promise<Outcome> {
    const { senders, store, clock, tryTimeoutMs, vault } = this.#deps;
    const provider = await this.#providerOf(delivery);
    if (provider === null) return { kind: "rejected", reason: "the provider was removed" };
    // A provider that hangs must not hold its message past the time that it has.
    const left = (delivery.startedAt ?? clock.now()) + delivery.timeoutMs - clock.now();
    const timeout = AbortSignal.timeout(Math.min(tryTimeoutMs, Math.max(SHORTEST_TRY_MS, left)));
    let opened = delivery;
    try {
      if (mayHoldSecrets(delivery)) opened = changeDeliverySecrets(delivery, (text) => vault.open(text));
    } catch (error) {
      // A key that is missing may be there with the next try.
      return { kind: "failed", reason: (error as Error).message };
    }
    const outcome = await senders.send({ delivery: opened, provider, signal: AbortSignal.any([stop, timeout]) });
    if (outcome.deadTokens !== undefined && outcome.deadTokens.length > 0) {
      const reason = outcome.kind === "rejected" ? outcome.reason : "the provider called it dead";
      await store.directory.failTokens(delivery.environmentId, outcome.deadTokens, reason, clock.now());
    }
    return outcome;
  }

  /** What the delivery goes through as it is configured now, null when that was removed. */
  async #providerOf(delivery: Delivery): Promise<Provider | null> {
    const { planning, endpoints } = this.#deps;
    if (endpoints.kinds.has(delivery.provider)) return await endpoints.read(delivery);
    return await planning.catalog.provider(delivery.environmentId, delivery.providerId);
  }

  async #next(delivery: Delivery, outcome: Outcome, startedAt: Millis, now: Millis): Promise<Next> {
    if (outcome.kind === "sent") return { state: "sent", at: now, reference: outcome.reference ?? null };
    const record = await this.#deps.store.messages.read(delivery.environmentId, delivery.messageId);
    const first = delivery.startedAt ?? startedAt;
    const limits = {
      startedAt: first,
      timeoutMs: delivery.timeoutMs,
      deadlineAt: record?.message.deadlineAt ?? Number.MAX_SAFE_INTEGER,
    };
    const kind = this.#deps.planning.kinds.get(delivery.provider) ?? this.#deps.endpoints.kinds.get(delivery.provider);
    const schedule = kind?.retry ?? (delivery.origin === undefined ? USUAL_SCHEDULE : STEP_SCHEDULE);
    const step = nextStep(outcome, delivery.attempts + 1, schedule, limits, now, this.#deps.roll());
    const reference = outcome.kind === "failed" ? outcome.reference : undefined;
    const partly = outcome.kind === "failed" && outcome.partly === true;
    if (step.kind === "retry") {
      const { reason: error } = outcome;
      return {
        state: "pending",
        dueAt: step.at,
        error,
        startedAt: first,
        ...(reference === undefined ? {} : { reference }),
        ...(partly ? { sentAt: now } : {}),
      };
    }
    // Nothing takes its place: whoever was reached would get it twice.
    if (partly || delivery.sentAt !== null) return { state: "sent", at: now, reference: reference ?? null };
    // The end of the whole message is a failure of its own; a provider's or channel's limit is that of the provider.
    const messageOver =
      step.kind === "give-up" && step.why === "time-over" && limits.deadlineAt <= first + limits.timeoutMs;
    const ifLast: { state: MessageState; reason: "provider_error" | "failed" } = {
      state: "undeliverable",
      reason: messageOver ? "failed" : "provider_error",
    };
    const failed = { state: "failed" as const, at: now, error: outcome.reason, ifLast };
    if (record === null || record.message.plan === null || now >= limits.deadlineAt) return { ...failed, failover: [] };

    const { planning, store } = this.#deps;
    const { message, request } = record;
    const target = targetOfMessage(message, request);
    const [facts = null] =
      target.userId === null ? [] : await store.directory.facts(delivery.environmentId, [target.userId]);
    const siblings = record.deliveries.map((other) =>
      other.id === delivery.id ? { ...other, state: "failed" as const, startedAt: first } : other,
    );
    const besides = siblings.flatMap(({ id, state }) => (state === "pending" ? [id] : []));
    const context = await requestContext(request, planning);
    return { ...failed, besides, failover: await planFailover(context, message, siblings, target, facts, planning) };
  }
}

function withoutConsequences(next: Next): Next {
  switch (next.state) {
    case "failed":
      return { ...next, failover: [] };
    case "pending": {
      const { reference: _, ...rest } = next;
      return rest;
    }
    default:
      return "reference" in next ? { ...next, reference: null } : next;
  }
}
