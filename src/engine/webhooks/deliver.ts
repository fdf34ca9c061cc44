import type { Logger } from "pino";
import type { Clock, Millis } from "../../lib/clock.ts";
import { newId, timeOf } from "../../lib/ids.ts";
import type { JsonObject } from "../../lib/json.ts";
import { TurnBatcher } from "../../lib/turn-batcher.ts";
import { untilAlone } from "../accept.ts";
import type { AttemptId, Delivery, EnvironmentId, MessageId } from "../model.ts";
import type { Bus, Settled, Settlement, Store } from "../ports.ts";
import { changeSentHeaders } from "../secrets.ts";
import type { EndpointAnswer, EndpointHttp } from "./exchange.ts";
import { maySend, wants } from "./match.ts";
import type { AppEndpoint, AppEndpointId, AppId, AppMessage, EndpointAttempt } from "./model.ts";
import type { Operational } from "./operational.ts";
import type { AppAcceptance, EndpointSettlement } from "./ports.ts";
import { endpointRequest } from "./request.ts";
import { isSensitive, withoutSecrets } from "./sensitive-headers.ts";
import type { WebhookSettings } from "./settings.ts";
import type { SettingsStore } from "./settings-store.ts";
import { endpointById, type Snapshots } from "./snapshots.ts";
import { nextTry } from "./try-schedule.ts";
import type { AppEndpoints, AppSnapshot, Sandbox, Vault } from "./webhooks.ts";

export interface EndpointDelivererDeps {
  readonly store: Pick<Store, "pipeline" | "appMessages">;
  readonly snapshots: Snapshots;
  readonly settings: SettingsStore;
  readonly endpoints: AppEndpoints;
  readonly operational: Operational;
  readonly http: EndpointHttp;
  readonly sandbox: Sandbox;
  readonly vault: Vault;
  /** An id as receivers are told it. */
  readonly spell: (id: string) => string;
  readonly bus: Bus;
  readonly clock: Clock;
  readonly log: Logger;
  /** A number in [0, 1). */
  readonly roll: () => number;
  readonly tryTimeoutMs: Millis;
  readonly retryWaitsMs: readonly Millis[];
  /** How long an endpoint may go on failing before it is disabled. */
  readonly disableAfterMs: Millis;
}

/** With this try in vain an endpoint counts as failing; with a success after it, as recovered. */
const FAILING_AFTER_TRIES = 4;

interface MessageKey {
  readonly environmentId: EnvironmentId;
  readonly appId: AppId;
  readonly id: MessageId;
}

/** All that a try needs, read anew for it: what was changed meanwhile holds from now on. */
interface Context {
  readonly delivery: Delivery;
  readonly message: AppMessage;
  readonly snapshot: AppSnapshot;
  readonly endpoint: AppEndpoint;
  readonly settings: WebhookSettings;
}

/** What came of a try, before what follows from it. */
interface Tried {
  readonly outcome: EndpointAttempt["outcome"];
  readonly url: string;
  readonly answer: EndpointAnswer;
}

/**
 * Tries a claimed delivery to an application's endpoint once and records what came of it: the delivery, the attempt,
 * how the endpoint is doing, and what the environment is to be told of it, all in one commit.
 *
 *   pending ──▶ sent
 *      │ ├────▶ failed             (the schedule is over, or it is a manual try)
 *      │ └────▶ canceled           (nobody wants it any more; a transformation said so)
 *      └──▶ pending, due later     (one more wait of the schedule)
 */
export class EndpointDeliverer {
  readonly #deps: EndpointDelivererDeps;
  readonly #settlements: TurnBatcher<Settlement, Settled | Error>;
  readonly #messages: TurnBatcher<MessageKey, AppMessage | null>;
  /** Of deliveries that were born a moment ago. */
  readonly #known = new WeakMap<Delivery, AppMessage>();

  constructor(deps: EndpointDelivererDeps) {
    this.#deps = deps;
    // One that the database does not take must not make the others of its batch be sent again.
    this.#settlements = new TurnBatcher(
      (batch) => untilAlone(batch, (settlements) => deps.store.pipeline.settle(settlements)),
      500,
    );
    this.#messages = new TurnBatcher((keys) => this.#readMessages(keys), 500);
  }

  /**
   * @param finalLease gives the lease the delivery is settled under: it may have been renewed meanwhile.
   * @param stop ends the try early; the delivery is then given back unsettled.
   */
  async deliver(
    delivery: Delivery,
    finalLease: () => Promise<Millis>,
    stop: AbortSignal,
  ): Promise<{ readonly kind: "settled" | "lost" | "stopped"; readonly attempt: EndpointAttempt | null }> {
    const { clock } = this.#deps;
    const startedAt = clock.now();
    const context = await this.#contextOf(delivery);
    if (typeof context === "string") return await this.#drop(delivery, context, finalLease);
    // Before the try: readers take the time of an attempt from its id, and ids are never earlier than others before them.
    const id = newId("att", startedAt);
    const tried = await this.#try(context, startedAt, stop);
    // A try that was cut short by our own stop says nothing about the endpoint.
    if (tried.answer.aborted && stop.aborted) return { kind: "stopped", attempt: null };
    const endedAt = clock.now();
    const next = this.#next(context, tried, endedAt);
    const attempt = attemptOf(context, id, tried, startedAt, endedAt, next.state === "pending" ? next.dueAt : null);
    const { health, disable } = await this.#healthOf(context, tried, next.state, endedAt);
    const told = await this.#tellings(context, tried, attempt, next.state);
    const wipeContent = context.settings.wipeWhenSent && tried.outcome === "sent";
    const written = await this.#settle({
      delivery,
      // Last of all: from here on nobody renews it.
      leaseUntil: await finalLease(),
      attempt: null,
      next,
      endpoint: { attempt: this.#sealed(attempt), health, told, wipeContent },
    });
    this.#logAttempt(delivery, attempt, next, written);
    if (!written) return { kind: "lost", attempt };
    if (next.state === "pending" || told.length > 0) this.#deps.bus.lookNow("deliveries");
    if (disable !== null || tried.answer.disableEndpoint) {
      await this.#deps.endpoints.disableFailing(delivery.environmentId, attempt.appId, attempt.endpointId, disable);
    }
    return { kind: "settled", attempt };
  }

  /** As it is kept: headers of the endpoint are its owner's, and may be what he logs us in with. */
  #sealed(attempt: EndpointAttempt): EndpointAttempt {
    const { vault } = this.#deps;
    return { ...attempt, sentHeaders: changeSentHeaders(attempt.sentHeaders, (text) => vault.sealOften(text)) };
  }

  remember(delivery: Delivery, message: AppMessage): void {
    this.#known.set(delivery, message);
  }

  async #settle(settlement: Settlement): Promise<boolean> {
    const settled = await this.#settlements.add(settlement);
    if (settled instanceof Error) throw settled;
    return settled === "written";
  }

  /** @returns why nothing is to be tried, instead. */
  async #contextOf(delivery: Delivery): Promise<Context | string> {
    const { snapshots } = this.#deps;
    const { environmentId } = delivery;
    const app = delivery.app as NonNullable<Delivery["app"]>;
    const [snapshot, settings, message] = await Promise.all([
      snapshots.peek(environmentId, app.id) ?? snapshots.get(environmentId, app.id),
      this.#deps.settings.peek(environmentId) ?? this.#deps.settings.read(environmentId),
      this.#known.get(delivery) ?? this.#messages.add({ environmentId, appId: app.id, id: delivery.messageId }),
    ]);
    // It may be over without having been thrown away yet.
    const isKept = message !== null && message.payloadUntil > this.#deps.clock.now();
    if (!isKept || (message.payload === null && message.raw === null)) return "its content is no longer kept";
    let target = targetIn(snapshot, delivery, message);
    // Memory may be a second old: an endpoint that another process made, or enabled, must not be taken for gone.
    if (typeof target === "string") {
      target = targetIn(await snapshots.get(environmentId, app.id, true), delivery, message);
    }
    return typeof target === "string" ? target : { delivery, message, settings, ...target };
  }

  async #readMessages(keys: readonly MessageKey[]): Promise<readonly (AppMessage | null)[]> {
    // A message on its way to many endpoints is read once.
    const distinct = new Map<string, MessageKey>();
    for (const key of keys) distinct.set(`${key.appId} ${key.id}`, key);
    const found = await this.#deps.store.appMessages.readMany([...distinct.values()]);
    const byKey = new Map([...distinct.keys()].map((key, i) => [key, found[i] ?? null]));
    return keys.map((key) => byKey.get(`${key.appId} ${key.id}`) ?? null);
  }

  async #try(context: Context, startedAt: Millis, stop: AbortSignal): Promise<Tried> {
    const { sandbox, http, spell, tryTimeoutMs } = this.#deps;
    const { message, endpoint, settings } = context;
    const request = await endpointRequest({ message, endpoint, settings, sandbox, spell, now: startedAt });
    if (request.kind === "failed") return notSent("failed", endpoint.url, request.reason);
    if (request.kind === "canceled") return notSent("canceled", request.url, "canceled by the transformation");
    const answer = await http.exchange({ ...request.request, timeoutMs: tryTimeoutMs, signal: stop });
    const isSuccess = answer.statusCode >= 200 && answer.statusCode < 300;
    return { outcome: isSuccess ? "sent" : "failed", url: request.request.url, answer };
  }

  #next({ delivery, settings }: Context, { outcome, answer }: Tried, now: Millis): Settlement["next"] {
    if (outcome === "sent") return { state: "sent", at: now, reference: null };
    if (outcome === "canceled") return { state: "canceled", at: now };
    const error = answer.statusCode === 0 ? answer.response : `answered ${answer.statusCode}`;
    const failed: Settlement["next"] = {
      state: "failed",
      at: now,
      error,
      failover: [],
      ifLast: { state: "undeliverable", reason: "failed" },
    };
    if (delivery.app?.manual === true || answer.abortMessage) return failed;
    const at = nextTry({
      attempts: delivery.attempts + 1,
      waitsMs: settings.retryWaitsMs ?? this.#deps.retryWaitsMs,
      retryAfterMs: answer.retryAfterMs,
      timedOut: answer.timedOut,
      statusCode: answer.statusCode,
      roll: this.#deps.roll(),
      now,
    });
    if (at === null) return failed;
    return { state: "pending", dueAt: at, error, startedAt: delivery.startedAt ?? now };
  }

  /**
   * An endpoint begins to fail with the first message whose schedule is over. When another one's ends later than the
   * limit after that, it is disabled; when that takes more than twice the limit, the failing begins anew.
   */
  async #healthOf(
    { delivery, settings }: Context,
    { outcome }: Tried,
    state: Settlement["next"]["state"],
    now: Millis,
  ): Promise<{ readonly health: EndpointSettlement["health"]; readonly disable: Millis | null }> {
    if (outcome === "sent") return { health: "well", disable: null };
    if (state !== "failed" || delivery.app?.manual === true) return { health: null, disable: null };
    const { store, disableAfterMs } = this.#deps;
    const endpointId = delivery.providerId as AppEndpointId;
    const since = await store.appMessages.failingSince(delivery.environmentId, endpointId);
    if (since === null) return { health: { failingSince: now }, disable: null };
    if (disableAfterMs > 0 && now - since > 2 * disableAfterMs) {
      await store.appMessages.clearFailing(delivery.environmentId, endpointId);
      return { health: { failingSince: now }, disable: null };
    }
    return { health: null, disable: settings.disableFailing && now > since + disableAfterMs ? since : null };
  }

  async #tellings(
    { delivery, message, snapshot, endpoint, settings }: Context,
    { outcome }: Tried,
    attempt: EndpointAttempt,
    state: Settlement["next"]["state"],
  ): Promise<readonly AppAcceptance[]> {
    const { operational, spell } = this.#deps;
    const tries = delivery.attempts + 1;
    const turn = delivery.app?.manual === true ? null : turnOf(outcome, state, tries);
    if (turn === null && !settings.logAttempts) return [];
    // What tells of tries is not told of itself.
    if (operational.isOwn(delivery.environmentId, message.appId)) return [];
    const tell = (type: string, data: JsonObject | readonly JsonObject[]): Promise<readonly AppAcceptance[]> =>
      operational.tellings(delivery.environmentId, type, data, attempt.endedAt);
    const ids = {
      appId: spell(message.appId),
      ...(snapshot.application.uid === null ? {} : { appUid: snapshot.application.uid }),
      endpointId: spell(endpoint.id),
      msgId: spell(message.id),
      ...(message.eventId === null ? {} : { msgEventId: message.eventId }),
    };
    const told: AppAcceptance[] = [];
    if (settings.logAttempts) {
      const entry = {
        orgId: spell(delivery.environmentId),
        ...ids,
        msgCreated: iso(message.createdAt),
        attemptStart: iso(attempt.startedAt),
        attemptEnd: iso(attempt.endedAt),
        attemptId: spell(attempt.id),
        responseStatusCode: attempt.statusCode,
        attemptCount: tries,
        status: outcome === "sent" ? "success" : outcome === "failed" ? "fail" : "canceled",
        eventType: message.eventType,
        httpTimes: { start: iso(attempt.startedAt), end: iso(attempt.endedAt) },
      };
      told.push(...(await tell("message.attempt.log", [entry])));
    }
    if (turn === null) return told;
    const data = {
      ...ids,
      lastAttempt: {
        id: spell(attempt.id),
        responseStatusCode: attempt.statusCode,
        // As lists show it: the time in its id.
        timestamp: iso(timeOf(attempt.id)),
      },
    };
    told.push(...(await tell(turn, data)));
    return told;
  }

  /** Ends a delivery that there is nothing to try of. One that was tried before has failed; else nobody sees it. */
  async #drop(
    delivery: Delivery,
    why: string,
    finalLease: () => Promise<Millis>,
  ): Promise<{ readonly kind: "settled" | "lost"; readonly attempt: null }> {
    const at = this.#deps.clock.now();
    const written = await this.#settle({
      delivery,
      leaseUntil: await finalLease(),
      attempt: null,
      next:
        delivery.startedAt === null || delivery.app?.manual === true
          ? { state: "canceled", at }
          : {
              state: "failed",
              at,
              error: why,
              failover: [],
              ifLast: { state: "undeliverable", reason: "failed" },
            },
      endpoint: { attempt: null, health: null, told: [], wipeContent: false },
    });
    this.#deps.log.info(
      { deliveryId: delivery.id, messageId: delivery.messageId, endpointId: delivery.providerId, reason: why },
      "delivery.dropped",
    );
    return { kind: written ? "settled" : "lost", attempt: null };
  }

  #logAttempt(delivery: Delivery, attempt: EndpointAttempt, next: Settlement["next"], settled: boolean): void {
    const { log } = this.#deps;
    if (!log.isLevelEnabled("info")) return;
    log.info(
      {
        deliveryId: delivery.id,
        messageId: delivery.messageId,
        applicationId: attempt.appId,
        endpointId: attempt.endpointId,
        channel: "webhook",
        attempt: delivery.attempts + 1,
        trigger: attempt.trigger,
        outcome: attempt.outcome,
        statusCode: attempt.statusCode,
        state: next.state,
        dueAt: next.state === "pending" ? next.dueAt : undefined,
        settled,
        tookMs: attempt.endedAt - attempt.startedAt,
      },
      "delivery.attempted",
    );
  }
}

/** What a try of the schedule has turned the delivery into, if that is worth telling. */
function turnOf(
  outcome: EndpointAttempt["outcome"],
  state: Settlement["next"]["state"],
  tries: number,
): "message.attempt.exhausted" | "message.attempt.failing" | "message.attempt.recovered" | null {
  if (state === "failed") return "message.attempt.exhausted";
  if (state === "pending" && tries === FAILING_AFTER_TRIES) return "message.attempt.failing";
  return outcome === "sent" && tries > FAILING_AFTER_TRIES ? "message.attempt.recovered" : null;
}

/** Where the delivery goes to, or why it goes nowhere. */
function targetIn(
  snapshot: AppSnapshot | null,
  delivery: Delivery,
  message: AppMessage,
): { readonly snapshot: AppSnapshot; readonly endpoint: AppEndpoint } | string {
  if (snapshot === null) return "the application was deleted";
  const endpoint = endpointById(snapshot, delivery.providerId as AppEndpointId);
  if (endpoint === undefined) return "the endpoint was deleted";
  if (!maySend(endpoint)) return "the endpoint is disabled";
  if (delivery.app?.manual !== true && !wants(endpoint, message)) return "the endpoint does not want it any more";
  return { snapshot, endpoint };
}

function notSent(outcome: "failed" | "canceled", url: string, reason: string): Tried {
  return {
    outcome,
    url,
    answer: {
      statusCode: 0,
      response: reason,
      responseHeaders: null,
      sentHeaders: {},
      retryAfterMs: null,
      timedOut: false,
      aborted: false,
      durationMs: 0,
      abortMessage: false,
      disableEndpoint: false,
    },
  };
}

function attemptOf(
  { delivery, message, endpoint }: Context,
  id: AttemptId,
  { outcome, url, answer }: Tried,
  startedAt: Millis,
  endedAt: Millis,
  nextAt: Millis | null,
): EndpointAttempt {
  return {
    environmentId: delivery.environmentId,
    appId: message.appId,
    endpointId: endpoint.id,
    messageId: message.id,
    deliveryId: delivery.id,
    id,
    eventType: message.eventType,
    outcome,
    trigger: delivery.app?.manual === true ? "manual" : "scheduled",
    url,
    statusCode: answer.statusCode,
    response: answer.response,
    startedAt,
    endedAt,
    nextAt,
    sentHeaders: withoutSecrets(answer.sentHeaders),
    responseHeaders: answer.responseHeaders?.filter(([name]) => !isSensitive(name)) ?? null,
  };
}

function iso(at: Millis): string {
  return new Date(at).toISOString();
}
