import type { Server } from "node:http";
import { memoryBus } from "../../src/bus/memory.ts";
import type { Environment, InboxItem } from "../../src/engine/model.ts";
import type { Courier } from "../../src/facades/courier/courier.ts";
import { courierSockets } from "../../src/facades/courier/socket.ts";
import { systemClock } from "../../src/lib/clock.ts";
import { newId } from "../../src/lib/ids.ts";
import { Hub } from "../../src/realtime/hub.ts";
import { attachUpgrades } from "../../src/realtime/upgrade.ts";

/** A hub with the Courier dialect on an HTTP server; every credential is the same user's. */
export function startBenchHub(http: Server): { tell: (n: number) => void } {
  const now = Date.now();
  const environment: Environment = {
    id: newId("env", now),
    name: "bench",
    signingSecret: "c".repeat(43),
    publicKey: "bench",
    appCode: "AAAAA-AAAAA",
    feedId: "",
    createdAt: now,
  };
  const bus = memoryBus();
  const report = (error: unknown): void => console.error(error);
  const hub = new Hub({ clock: systemClock, bus, report, limits: { connectionsPerUser: 100_000 } });
  const principal = {
    kind: "user" as const,
    environment,
    userIds: ["u1"],
    scopes: ["user_id:u1", "inbox:read:messages"],
    expiresAt: now + 86_400_000,
  };
  // The socket asks the facade for nothing but who a credential stands for.
  const courier = {
    hub,
    environmentById: () => environment,
    findPrincipal: async () => principal,
  } as unknown as Courier;
  attachUpgrades(http, hub, courierSockets(courier), report);
  return {
    tell: (n) =>
      bus.publish([{ kind: "added", environmentId: environment.id, userId: "u1", item: itemOf(environment, n) }]),
  };
}

function itemOf(environment: Environment, n: number): InboxItem {
  const now = Date.now();
  return {
    id: newId("dlv", now),
    environmentId: environment.id,
    messageId: newId("msg", now),
    requestId: newId("req", now),
    userId: "u1",
    tenantId: null,
    channel: "inbox",
    provider: "courier",
    providerId: newId("prv", now),
    leaf: "",
    state: "delivered",
    dueAt: now,
    leaseUntil: null,
    attempts: 0,
    startedAt: null,
    timeoutMs: 0,
    address: {},
    content: {
      subject: "",
      title: "Invoice paid",
      html: "",
      text: "",
      body: `Invoice ${n} was paid.`,
      imageUrl: null,
      clickUrl: null,
      actions: [],
      blocks: [],
      links: [],
      raw: null,
    },
    override: null,
    error: null,
    reference: null,
    createdAt: now,
    sentAt: now,
    deliveredAt: now,
    seenAt: null,
    readAt: null,
    interactedAt: null,
    archivedAt: null,
    deletedAt: null,
    expiresAt: null,
    tags: ["billing"],
    data: { number: n },
    viaTenant: false,
  };
}
