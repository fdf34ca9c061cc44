/** Lanes over endpoints of an imaginary store: rows parked by it, tries that the test lets end. */
import { pino } from "pino";
import type { Delivery } from "../../src/engine/model.ts";
import { deliveryTo } from "../../src/engine/webhooks/delivery-to.ts";
import { Lanes } from "../../src/engine/webhooks/lanes.ts";
import type { AppEndpointId } from "../../src/engine/webhooks/model.ts";
import { FakeClock, type Millis } from "../../src/lib/clock.ts";
import { newId } from "../../src/lib/ids.ts";

export const LEASE: Millis = 15_000;

export interface LanesOptions {
  readonly room?: number;
  readonly slowRoom?: number;
  readonly perEndpoint?: number;
  readonly rate?: number | null;
  readonly clock?: FakeClock;
  /** How many of the first claims from what is parked fail. */
  readonly failingClaims?: number;
}

export function lanesWorld(options: LanesOptions = {}) {
  const clock = options.clock ?? new FakeClock();
  const message = {
    environmentId: newId("env", clock.now()),
    appId: newId("app", clock.now()),
    id: newId("msg", clock.now()),
    createdAt: clock.now(),
  };
  const parked = new Map<AppEndpointId, Delivery[]>();
  const running = new Map<Delivery, (isAnswered: boolean) => void>();
  const begun: Delivery[] = [];
  const held = new Map<Delivery, Millis>();
  const released: Delivery[] = [];
  const world = { rate: options.rate as number | null | undefined, rooms: 0, claims: 0 };
  if (options.rate === undefined) world.rate = null;
  let failing = options.failingClaims ?? 0;
  const put = (delivery: Delivery): void => {
    const id = delivery.providerId as AppEndpointId;
    parked.set(id, [...(parked.get(id) ?? []), delivery]);
  };
  const lanes = new Lanes({
    store: {
      parkClaimed: async (deliveries) => {
        for (const delivery of deliveries as Delivery[]) put(delivery);
      },
      nextParked: async (after) =>
        [...parked.values()]
          .flatMap((rows) => rows.slice(0, 1))
          .filter(({ providerId }) => after === null || providerId > after)
          .sort((a, b) => (a.providerId < b.providerId ? -1 : 1))[0] ?? null,
      claimOf: async (endpointId, _now, limit) => {
        world.claims++;
        if (failing-- > 0) throw new Error("the database is away");
        return (parked.get(endpointId) ?? []).splice(0, limit);
      },
    },
    clock,
    log: pino({ level: "silent" }),
    leaseMs: LEASE,
    limits: { room: options.room ?? 100, slowRoom: options.slowRoom ?? 10, perEndpoint: options.perEndpoint ?? 16 },
    prepare: async () => {},
    rateOf: () => world.rate,
    run: (delivery) => {
      begun.push(delivery);
      return new Promise((resolve) => running.set(delivery, resolve));
    },
    hold: (delivery, leaseUntil) => held.set(delivery, leaseUntil),
    keeps: (delivery) => (held.get(delivery) ?? 0) > clock.now(),
    giveBack: async (deliveries, parkedUntil) => {
      if (parkedUntil === null) released.push(...deliveries);
      else for (const delivery of deliveries) put(delivery);
    },
    onRoom: () => world.rooms++,
  });
  const endpoint = (): { id: AppEndpointId } => ({ id: newId("ep", clock.now()) });
  const deliveries = (to: { id: AppEndpointId }, count: number): Delivery[] =>
    Array.from({ length: count }, () => deliveryTo(to, message, { manual: false, dueAt: clock.now() }));
  const finish = async (which: readonly Delivery[], isAnswered = true): Promise<void> => {
    for (const delivery of which) {
      running.get(delivery)?.(isAnswered);
      running.delete(delivery);
    }
    await settled();
  };
  /** Answers until nothing is under way. */
  const finishAll = async (): Promise<void> => {
    while (running.size > 0) await finish([...running.keys()]);
  };
  /** Answers quickly so often that the endpoint gets many tries at once. */
  const prove = async (to: { id: AppEndpointId }): Promise<void> => {
    for (let i = 0; i < 20; i++) {
      lanes.take(deliveries(to, 1), clock.now() + LEASE);
      await finish([...running.keys()]);
    }
    begun.length = 0;
  };
  const pass = async (ms: Millis): Promise<void> => {
    clock.advance(ms);
    await settled();
  };
  const tools = { endpoint, deliveries, finish, finishAll, prove, pass, put };
  return { clock, lanes, parked, running, begun, released, world, ...tools };
}

/** What was resolved has had its consequences. */
export async function settled(): Promise<void> {
  for (let i = 0; i < 30; i++) await Promise.resolve();
  await new Promise<void>((resolve) => setImmediate(resolve));
}
