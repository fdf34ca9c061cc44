/** Puts the parts together. The one file that knows everyone: a thing gets what it needs from here, as arguments. */
import type { AddressInfo } from "node:net";
import type { FastifyInstance } from "fastify";
import { type Logger, pino } from "pino";
import packageJson from "../package.json" with { type: "json" };
import { adminRoutes } from "./admin/routes.ts";
import { memoryBus } from "./bus/memory.ts";
import { lateOutbound } from "./channels/late.ts";
import { NetworkGuard } from "./channels/network-guard.ts";
import { providerKinds } from "./channels/registry.ts";
import { Senders } from "./channels/senders.ts";
import { stepFetch } from "./channels/step-fetch.ts";
import { endpointHttp } from "./channels/webhook/app-endpoint.ts";
import { knockWebhookKind } from "./channels/webhook/knock-events.ts";
import { outboundWebhookKind } from "./channels/webhook/outbound.ts";
import type { Config } from "./config.ts";
import { elemental } from "./content/elemental/elemental.ts";
import { knockLanguage } from "./content/knock/language.ts";
import { plain } from "./content/plain/plain.ts";
import type { Environment } from "./engine/model.ts";
import type { TrackingLinks } from "./engine/plan.ts";
import type { Store } from "./engine/ports.ts";
import { sealedStore } from "./engine/sealed-store.ts";
import { type RunningEngine, startEngine } from "./engine/start.ts";
import type { Courier } from "./facades/courier/courier.ts";
import { courierFacade } from "./facades/courier/facade.ts";
import { publicMessageId } from "./facades/courier/ids.ts";
import { messageRecord } from "./facades/courier/message-views.ts";
import { courierSockets } from "./facades/courier/socket.ts";
import { trackingLinks } from "./facades/courier/tracking.ts";
import { knockUnroutable } from "./facades/knock/errors.ts";
import { describeHappening } from "./facades/knock/event-webhooks.ts";
import { knockFacade } from "./facades/knock/facade.ts";
import { Shelves } from "./facades/knock/guide-shelf.ts";
import { toMessageId, toUuid } from "./facades/knock/ids.ts";
import type { Knock } from "./facades/knock/knock.ts";
import { describeParty } from "./facades/knock/party-views.ts";
import { knockSockets } from "./facades/knock/socket.ts";
import { UserTokens } from "./facades/knock/user-tokens.ts";
import { pushwooshFacade } from "./facades/pushwoosh/facade.ts";
import { pushMessage } from "./facades/pushwoosh/push-payload.ts";
import { svixFacade, svixUnroutable } from "./facades/svix/facade.ts";
import { fromKsuid } from "./facades/svix/ids.ts";
import { spellId } from "./facades/svix/spelling.ts";
import type { Svix } from "./facades/svix/svix.ts";
import { describeTask } from "./facades/svix/tasks.ts";
import { AccessTokens } from "./facades/svix/tokens.ts";
import { Credentials } from "./http/credentials.ts";
import { demoRoutes } from "./http/demo.ts";
import {
  ensureEnvironment,
  FIRST_ENVIRONMENT_ID,
  type FirstCredentials,
  openFirstEnvironment,
} from "./http/environments.ts";
import { InboxVisibility } from "./http/inbox-visibility.ts";
import { portalRoutes } from "./http/portal.ts";
import { buildServer } from "./http/server.ts";
import { signUserToken } from "./http/user-token.ts";
import { type Clock, type Millis, steadyClock, systemClock } from "./lib/clock.ts";
import { FollowingClock } from "./lib/following-clock.ts";
import { openVault } from "./lib/vault.ts";
import { Hub } from "./realtime/hub.ts";
import { attachUpgrades } from "./realtime/upgrade.ts";
import { openSandbox } from "./sandbox/sandbox.ts";
import { openStore } from "./storage/store.ts";

const VERSION: string = packageJson.version;
/** All of a stop fits into the 10 s that an operator's supervisor gives us. */
const STOP_WORK_MS = 6_000;
const STOP_HTTP_MS = 3_000;
const LOOPBACK = new Set(["127.0.0.1", "::1", "localhost"]);

export interface App {
  /** Where it listens, without a trailing slash. */
  readonly url: string;
  readonly demoUrl: string | null;
  readonly engine: RunningEngine;
  readonly store: Store;
  readonly hub: Hub;
  readonly environment: Environment;
  readonly credentials: FirstCredentials;
  /** Stops taking work, finishes or gives back what is under way, sends sockets away so that they come back. */
  close(): Promise<void>;
}

/** What a test may put in place of the real thing. */
export interface Overrides {
  readonly clock?: Clock;
  readonly log?: Logger;
  readonly roll?: () => number;
}

/**
 * Opens the database, starts the engine and listens.
 * Rejects when the database cannot be opened or the port is taken; nothing is left running then.
 */
export async function startApp(config: Config, overrides: Overrides = {}): Promise<App> {
  const roll = overrides.roll ?? Math.random;
  const log = overrides.log ?? pino({ level: config.logLevel });
  const undo: (() => Promise<unknown> | unknown)[] = [];
  const closeAll = async (): Promise<void> => {
    for (const step of undo.splice(0).reverse()) await step();
  };
  try {
    const { databaseUrl: url, dataDir, durability, databasePool: poolSize } = config;
    const opened = await openStore({ url, dataDir, durability, poolSize });
    undo.push(() => opened.close());
    const { clock, stop: stopClock } =
      overrides.clock === undefined ? await clockOf(opened, log) : { clock: overrides.clock, stop: () => {} };
    undo.push(stopClock);
    const vault = openVault(config);
    const store = await sealedStore(opened, vault, FIRST_ENVIRONMENT_ID, clock);
    const { environment, credentials: first } = await openFirstEnvironment({
      environments: store.environments,
      documents: store.documents,
      clock,
      fixed: {
        secretKey: config.secretKey,
        publicKey: config.publicKey,
        appCode: config.appCode,
        feedId: config.feedId,
      },
      dataDir,
    });
    const credentials = new Credentials(store.environments, clock);
    await credentials.refresh();
    const environmentById = (id: string): Environment | undefined => credentials.environmentById(id);

    // The port may be left to the system, so the address is known only once the server listens.
    let listening = "";
    const publicUrl = (): string => config.publicUrl?.replace(/\/+$/, "") ?? listening;

    const bus = memoryBus((error) => log.error({ err: error }, "bus.listener-failed"));
    undo.push(() => bus.close());
    const guard = new NetworkGuard({ allowNetworks: config.allowNetworks });
    const http = lateOutbound(
      async () => new (await import("./channels/outbound-http.ts")).OutboundHttp({ guard, clock }),
    );
    undo.push(() => http.close());
    const kinds = providerKinds({ guard, http, captured: store.captured, clock, describePush: pushMessage });
    const toOperators = [outboundWebhookKind({ http, clock }), knockWebhookKind({ http, clock })];
    const endpointKinds = new Map(toOperators.map((kind) => [kind.provider, kind]));
    const senders = new Senders({ kinds: new Map([...kinds, ...endpointKinds]), log });
    undo.push(() => senders.close());
    const sandbox = openSandbox();
    undo.push(() => sandbox.close());

    const engine = startEngine({
      store,
      bus,
      clock,
      log,
      roll,
      kinds,
      senders,
      endpointKinds,
      describeMessage: (_via, record) => messageRecord(record),
      describeHappening,
      languages: new Map([
        ["elemental", elemental],
        ["plain", plain],
      ]),
      tracking: config.tracking === "on" ? lateLinks(publicUrl, environmentById) : null,
      publicMessageId: (_via, message) => publicMessageId({ ...message, messageId: message.id }),
      limits: {
        maxBatch: 256,
        maxInFlight: config.maxInFlight,
        tryTimeoutMs: config.tryTimeoutMs,
        leaseMs: config.leaseMs,
        pollMs: config.pollMs,
      },
      retention: { messagesMs: config.keepMessages, inboxMs: config.keepInbox, capturedMs: config.keepCaptured },
      webhooks: {
        vault,
        http: endpointHttp({ http, version: VERSION, clock }),
        sandbox,
        spell: spellId,
        describeTask,
        tryTimeoutMs: config.webhookTimeoutMs,
        retryWaitsMs: config.webhookRetryWaitsMs,
        disableAfterMs: config.webhookDisableAfterMs,
        maxEndpoints: config.maxEndpointsPerApplication,
      },
      workflows: {
        language: knockLanguage(),
        fetch: stepFetch(http),
        describeParty,
        spelling: { message: toMessageId, run: toUuid },
        accountTimezone: config.timezone,
      },
      deliver: config.roles.includes("deliver"),
    });
    let stopped: Promise<void> | null = null;
    const stopEngine = (): Promise<void> => (stopped ??= engine.stop(STOP_WORK_MS));
    undo.push(stopEngine);

    const hub = new Hub({
      clock,
      bus,
      random: roll,
      report: (error) => log.error({ err: error }, "socket.failed"),
      limits: { connectionsPerUser: config.maxSocketsPerUser, outboxBytes: config.maxSocketOutboxBytes },
    });
    const app = buildServer({
      clock,
      log,
      ping: () => store.ping(),
      maxBodyBytes: config.maxBodyBytes,
      unroutable: (error, url) => svixUnroutable(error, url) ?? knockUnroutable(error, url),
      metrics: async () =>
        (await import("./http/metrics.ts")).metricsOf({ hub, inFlight: () => engine.dispatcher.inFlight }),
    });
    const visibility = new InboxVisibility({ documents: engine.documents, bus, clock });
    const courier: Courier = {
      engine,
      hub,
      visibility,
      log,
      environmentById,
      findPrincipal: (credential) => credentials.findPrincipal(credential),
      recallPrincipal: (credential) => credentials.recallPrincipal(credential),
      settings: {
        get publicUrl() {
          return publicUrl();
        },
        clientKeyAuth: config.clientKeyAuth,
        signatureKey: first.secretKey,
      },
    };
    const knock: Knock = {
      engine,
      hub,
      log,
      clock,
      environmentById,
      findPrincipal: (credential) => credentials.findPrincipal(credential),
      recallPrincipal: (credential) => credentials.recallPrincipal(credential),
      createKey: async (environmentId) => (await credentials.createKey(environmentId, "published")).text,
      tokens: new UserTokens({ documents: engine.documents, clock, bus }),
      shelves: new Shelves(engine.documents, bus, clock),
      onChanged: (listener) => bus.onChanged(listener),
      visibility,
      settings: {
        get publicUrl() {
          return publicUrl();
        },
        rateLimits: config.knockRateLimits === "on",
        // Whoever lets every body be larger means triggers, too.
        maxTriggerBytes: Math.max(config.maxTriggerBodyBytes, config.maxBodyBytes),
      },
    };
    const svix: Svix = {
      engine,
      webhooks: engine.webhooks,
      log,
      clock,
      environmentById,
      openEnvironment: async (id, name) => {
        const known = environmentById(id);
        if (known !== undefined) return known;
        const made = await ensureEnvironment(store.environments, engine.documents, clock, id, name);
        await credentials.refresh();
        return made;
      },
      findPrincipal: (credential) => credentials.findPrincipal(credential),
      recallPrincipal: (credential) => credentials.recallPrincipal(credential),
      tokens: new AccessTokens({ documents: engine.documents, clock }),
      settings: {
        get publicUrl() {
          return publicUrl();
        },
        jwtSecret: config.svixJwtSecret,
        secretKind: config.webhookSignature === "ed25519" ? "asymmetric" : "symmetric",
        maxPayloadBytes: config.maxWebhookBodyBytes,
      },
    };
    const demo = config.demo === "on" || (config.demo === "auto" && LOOPBACK.has(config.host));
    if (config.roles.includes("api")) {
      adminRoutes(app, {
        engine,
        credentials,
        listen: {
          webhooks: engine.webhooks,
          bus,
          clock,
          spell: spellId,
          readAppId: (text) => fromKsuid("app", "app", text),
        },
        get publicUrl() {
          return publicUrl();
        },
      });
      demoRoutes(app, {
        enabled: demo,
        engine,
        environment: () => environment,
        get publicUrl() {
          return publicUrl();
        },
        issueToken: async (userIds, scopes, ttlMs) => {
          const scope = [...userIds.map((id) => `user_id:${id}`), ...scopes].join(" ");
          return signUserToken(environment, scope, clock.now(), clock.now() + ttlMs);
        },
      });
      courierFacade(app, courier);
      knockFacade(app, knock);
      pushwooshFacade(app, {
        engine,
        log,
        clock,
        bus,
        environmentByAppCode: (code) => credentials.environmentByAppCode(code),
        findPrincipal: (credential) => credentials.findPrincipal(credential),
        visibility,
      });
      svixFacade(app, svix);
      portalRoutes(app);
    }
    undo.push(() => closeServer(app));
    if (config.roles.includes("realtime")) {
      attachUpgrades(app.server, hub, new Map([...courierSockets(courier), ...knockSockets(knock)]), (error) =>
        log.error({ err: error }, "upgrade.failed"),
      );
    }
    undo.push(() => hub.stop());
    await app.listen({ port: config.port, host: config.host }).catch((error: Error) => {
      throw new Error(`cannot listen where HOST and PORT say: ${error.message}`, { cause: error });
    });
    listening = urlOf(config.host, (app.server.address() as AddressInfo).port);
    return {
      url: listening,
      demoUrl: demo && config.roles.includes("api") ? `${listening}/demo` : null,
      engine,
      store,
      hub,
      environment,
      credentials: first,
      close: async () => {
        // Work ends while sockets and answers under way do, so that all of it fits into the time there is.
        const working = stopEngine();
        await closeAll();
        await working;
      },
    };
  } catch (error) {
    await closeAll();
    throw error;
  }
}

/** Answers under way are waited for; a client that does not come to the end of its request is cut off. */
async function closeServer(app: FastifyInstance): Promise<void> {
  const timer = setTimeout(() => app.server.closeAllConnections(), STOP_HTTP_MS);
  try {
    await app.close();
  } finally {
    clearTimeout(timer);
  }
}

/** A wildcard address is no place to go to; the machine itself is. */
function urlOf(host: string, port: number): string {
  const name = host === "0.0.0.0" || host === "::" ? "127.0.0.1" : host;
  return `http://${name.includes(":") ? `[${name}]` : name}:${port}`;
}

/** Tracking links that look up their address when they are made. */
function lateLinks(publicUrl: () => string, environmentById: (id: string) => Environment | undefined): TrackingLinks {
  let made: { readonly at: string; readonly links: TrackingLinks } | null = null;
  const links = (): TrackingLinks => {
    const at = publicUrl();
    if (made?.at !== at) made = { at, links: trackingLinks(at, environmentById) };
    return made.links;
  };
  return {
    click: (...args) => links().click(...args),
    open: (...args) => links().open(...args),
    unsubscribe: (...args) => links().unsubscribe(...args),
  };
}

/** Worth knowing of a machine, although nothing comes of it: logs of other programs there are as wrong. */
const DIFFERING_MS: Millis = 1_000;

/**
 * Processes on one database keep its time: leases and due times are read by all of them, and whoever is ahead by more
 * than a lease would make the tries of others a second time. Alone on a machine, it is the machine's.
 */
async function clockOf(store: Store, log: Logger): Promise<{ readonly clock: Clock; readonly stop: () => void }> {
  if ((await store.time()) === null) return { clock: systemClock, stop: () => {} };
  const ask = async (): Promise<Millis> => (await store.time()) as Millis;
  const clock = new FollowingClock(ask, steadyClock(), (aheadMs) => {
    if (Math.abs(aheadMs) >= DIFFERING_MS) log.warn({ aheadMs }, "clock.differs-from-database");
  });
  await clock.start();
  return { clock, stop: () => clock.stop() };
}
