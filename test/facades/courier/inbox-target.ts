/** The Courier facade with a fake engine behind it, listening on a port of its own. */
import type { AddressInfo } from "node:net";
import pino from "pino";
import { memoryBus } from "../../../src/bus/memory.ts";
import type { Environment } from "../../../src/engine/model.ts";
import { addAuthentication } from "../../../src/facades/courier/auth.ts";
import type { Courier, CourierSettings } from "../../../src/facades/courier/courier.ts";
import { addCourierErrors } from "../../../src/facades/courier/errors.ts";
import { graphqlRoutes } from "../../../src/facades/courier/graphql.ts";
import { publicMessageId } from "../../../src/facades/courier/ids.ts";
import { courierSockets } from "../../../src/facades/courier/socket.ts";
import { trackingRoutes } from "../../../src/facades/courier/tracking.ts";
import { EVERYTHING_SHOWN } from "../../../src/http/inbox-visibility.ts";
import { buildServer } from "../../../src/http/server.ts";
import { looksLikeUserToken, signUserToken, verifyUserToken } from "../../../src/http/user-token.ts";
import { FakeClock } from "../../../src/lib/clock.ts";
import { newId } from "../../../src/lib/ids.ts";
import { Hub, type HubLimits } from "../../../src/realtime/hub.ts";
import { attachUpgrades } from "../../../src/realtime/upgrade.ts";
import { FakeInbox } from "./fake-inbox.ts";
import type { TestTarget } from "./inbox-scenarios.ts";

export interface FakeTarget extends TestTarget {
  readonly inbox: FakeInbox;
  readonly environment: Environment;
  readonly clock: FakeClock;
  readonly hub: Hub;
  /** What was thrown where nobody awaits. */
  readonly faults: unknown[];
}

const SECRET_KEY = "sk_test_inbox";
const PUBLIC_KEY = "cGtfdGVzdA==";

export async function startFakeTarget(
  options: { readonly limits?: Partial<HubLimits>; readonly clientKeyAuth?: CourierSettings["clientKeyAuth"] } = {},
): Promise<FakeTarget> {
  const clock = new FakeClock(Date.now());
  const bus = memoryBus();
  const faults: unknown[] = [];
  const report = (error: unknown): void => void faults.push(error);
  const environment: Environment = {
    id: newId("env", clock.now()),
    name: "test",
    signingSecret: Buffer.alloc(32, 7).toString("base64url"),
    publicKey: PUBLIC_KEY,
    appCode: "AAAAA-BBBBB",
    feedId: "00000000-0000-4000-8000-000000000000",
    createdAt: clock.now(),
  };
  const inbox = new FakeInbox(bus, clock, environment.id);
  const hub = new Hub({ clock, bus, report, random: () => 0.5, limits: { goodbyeMs: 50, ...options.limits } });
  const environmentById = (id: string) => (id === environment.id ? environment : undefined);
  const log = pino({ level: "fatal" });
  const courier: Courier = {
    engine: inbox.engine,
    hub,
    log,
    visibility: EVERYTHING_SHOWN,
    settings: {
      publicUrl: "http://127.0.0.1",
      clientKeyAuth: options.clientKeyAuth ?? "signed",
      signatureKey: SECRET_KEY,
    },
    environmentById,
    recallPrincipal: () => undefined,
    findPrincipal: async (credential) => {
      if (credential === SECRET_KEY) return { kind: "secret", environment, mode: "published", keyId: "key_1" };
      if (credential === PUBLIC_KEY) return { kind: "public", environment };
      if (!looksLikeUserToken(credential)) return null;
      const claims = verifyUserToken(credential, environmentById);
      return claims === null || claims.expiresAt <= clock.now() ? null : { kind: "user", environment, ...claims };
    },
  };
  const app = buildServer({ clock, log, ping: async () => {} });
  app.register(async (scope) => {
    addCourierErrors(scope, log);
    addAuthentication(scope, courier);
    graphqlRoutes(scope, courier);
    trackingRoutes(scope, courier);
  });
  const detach = attachUpgrades(app.server, hub, courierSockets(courier), report);
  await app.listen({ port: 0, host: "127.0.0.1" });
  const { port } = app.server.address() as AddressInfo;
  let stopped: Promise<void> | null = null;
  const stop = async (): Promise<void> => {
    const leaving = hub.stop();
    // Whatever the hub waits for, it waits on the fake clock.
    const pump = setInterval(() => clock.advance(25), 5);
    await leaving;
    clearInterval(pump);
    detach();
    await app.close();
  };
  return {
    url: `http://127.0.0.1:${port}`,
    secretKey: SECRET_KEY,
    publicKey: PUBLIC_KEY,
    inbox,
    environment,
    clock,
    hub,
    faults,
    token: async (scope, lifeMs = 3_600_000) => signUserToken(environment, scope, clock.now(), clock.now() + lifeMs),
    send: async (message) => {
      // Distinct creation times, as messages sent one after the other have in life.
      clock.advance(1);
      return publicMessageId(inbox.add(message) as Parameters<typeof publicMessageId>[0]);
    },
    history: async (messageId) =>
      inbox.history
        .filter((entry) => publicMessageId({ ...find(inbox, entry.messageId) }) === messageId)
        .map((entry) => entry.kind.toUpperCase()),
    advance: (ms) => clock.advance(ms),
    stop: () => {
      stopped ??= stop();
      return stopped;
    },
  };
}

function find(inbox: FakeInbox, messageId: string): Parameters<typeof publicMessageId>[0] {
  return inbox.items.find((item) => item.messageId === messageId) as Parameters<typeof publicMessageId>[0];
}
