/**
 * From what happened to messages to endpoints that want to know of it. It was noted in the commit in which it happened;
 * here it becomes a message of its own (telling.ts) that carries the text which every try will send.
 */
import type { Logger } from "pino";
import type { Clock } from "../../lib/clock.ts";
import type { Endpoint, Endpoints } from "../endpoints.ts";
import type { Delivery, DeliveryId, EnvironmentId, Message, MessageId } from "../model.ts";
import type { DeliverySignal, Planned, Store } from "../ports.ts";
import { type Telling, type Told, telling } from "../telling.ts";
import { type Happening, KNOCK_WEBHOOK } from "./model.ts";
import type { StepChannel } from "./workflows.ts";

/** What describing happenings of one environment takes; what is not there any more is not in it. */
export interface HappeningFacts {
  readonly deliveries: ReadonlyMap<string, Delivery>;
  /** Those that are runs, and those of the deliveries. */
  readonly messages: ReadonlyMap<string, Message>;
  readonly signals: ReadonlyMap<DeliveryId, readonly DeliverySignal[]>;
  readonly channels: readonly StepChannel[];
}

/** In the facade's words; null: it has none for that, or what it is about is gone. Pure. */
export type DescribeHappening = (happening: Happening, facts: HappeningFacts) => Pick<Told, "event" | "content"> | null;

export interface HappeningDeps {
  readonly store: Pick<Store, "messages" | "happenings">;
  readonly endpoints: Endpoints;
  readonly channels: (environmentId: EnvironmentId) => Promise<readonly StepChannel[]>;
  /** Null: nobody is told anything. */
  readonly describe: DescribeHappening | null;
  readonly clock: Clock;
  readonly log: Logger;
}

/** Turns claimed happenings into messages to endpoints. */
export class HappeningTeller {
  readonly #deps: HappeningDeps;

  constructor(deps: HappeningDeps) {
    this.#deps = deps;
  }

  /** @returns what was written. Rejects when the database does; the happenings are then claimed again later. */
  async tell(happenings: readonly Happening[], leaseUntil: number): Promise<readonly Planned[]> {
    const ofEnvironments = Map.groupBy(happenings, ({ environmentId }) => environmentId);
    const told: { readonly happening: Happening; readonly by: Telling | null }[] = [];
    for (const [environmentId, some] of ofEnvironments) {
      const endpoints = await this.#deps.endpoints.all(environmentId, KNOCK_WEBHOOK);
      const facts = endpoints.length === 0 ? null : await this.#factsOf(environmentId, some);
      told.push(...some.map((happening) => ({ happening, by: this.#tellingOf(happening, endpoints, facts) })));
    }
    const written = await this.#deps.store.happenings.replace(told, leaseUntil);
    return told.flatMap(({ by }, i) => (written[i] && by !== null ? [by] : []));
  }

  #tellingOf(happening: Happening, endpoints: readonly Endpoint[], facts: HappeningFacts | null): Telling | null {
    const { clock, log, describe } = this.#deps;
    if (facts === null || describe === null) return null;
    const { environmentId, subject } = happening;
    try {
      const described = describe(happening, facts);
      if (described === null) return null;
      const wanting = endpoints.filter((endpoint) => endpoint.wants(described.event));
      return wanting.length === 0 ? null : telling({ environmentId, subject, ...described }, wanting, clock.now());
    } catch (error) {
      // Trying again would come to the same and hold up those it was claimed with.
      log.error({ err: error, environmentId, subject, what: happening.what }, "happening.not-told");
      return null;
    }
  }

  async #factsOf(environmentId: EnvironmentId, happenings: readonly Happening[]): Promise<HappeningFacts> {
    const { store, channels } = this.#deps;
    const subjects = (of: Happening["of"]): string[] => [
      ...new Set(happenings.filter((one) => one.of === of).map(({ subject }) => subject)),
    ];
    const deliveries = await store.messages.readDeliveries(environmentId, subjects("delivery") as DeliveryId[]);
    const ofDeliveries = [...new Set(deliveries.map(({ messageId }) => messageId))];
    const ids = new Set([...ofDeliveries, ...(subjects("run") as MessageId[])]);
    const [messages, signals, known] = await Promise.all([
      store.messages.readMessages(environmentId, [...ids]),
      store.messages.signals(environmentId, ofDeliveries),
      channels(environmentId),
    ]);
    return {
      deliveries: new Map(deliveries.map((delivery) => [delivery.id, delivery])),
      messages: new Map(messages.map((message) => [message.id, message])),
      signals: Map.groupBy(signals, ({ deliveryId }) => deliveryId),
      channels: known,
    };
  }
}
