import assert from "node:assert/strict";
import { test } from "node:test";
import { pino } from "pino";
import { FakeClock } from "../../lib/clock.ts";
import { newId } from "../../lib/ids.ts";
import type { AppEndpoint } from "./model.ts";
import type { AppAcceptance } from "./ports.ts";
import { Publisher } from "./publish.ts";
import type { AppSnapshot, NewAppMessage } from "./webhooks.ts";

const MESSAGE: NewAppMessage = {
  ...{ eventId: null, eventType: "a", channels: null, tags: null, payload: "{}", raw: null, parameters: null },
  ...{ deliverAt: null, keepMs: 1_000 },
};

/** An application that has another endpoint with every read. @param calm the generation from which on it stays as it is. */
function world(calm: number) {
  const clock = new FakeClock();
  const now = clock.now();
  const [environmentId, appId] = [newId("env", now), newId("app", now)];
  let generation = 0;
  const times = { createdAt: now, updatedAt: now };
  const snapshot = (): AppSnapshot => {
    generation = Math.min(generation + 1, calm);
    const endpoint: AppEndpoint = {
      ...{ environmentId, appId, id: newId("ep", now), uid: null, url: `http://x/${generation}`, description: "" },
      ...{ throttleRate: null, version: 1, disabled: false, eventTypes: null, channels: null, metadata: {} },
      ...{
        headers: {},
        secret: "whsec_",
        oldSecrets: [],
        transformation: null,
        kind: "http",
        deletedAt: null,
        ...times,
      },
    };
    const application = { environmentId, id: appId, uid: null, name: "a", throttleRate: null, metadata: {}, ...times };
    return { application, endpoints: [endpoint], generation };
  };
  const asked: AppAcceptance[] = [];
  const publisher = new Publisher({
    store: {
      appMessages: {
        accept: async (batch: readonly AppAcceptance[]) => {
          asked.push(...batch);
          return batch.map((one) => ({ kind: one.generation === null || generation === calm ? "accepted" : "stale" }));
        },
      } as never,
    },
    snapshots: { peek: () => undefined, get: async () => snapshot() } as never,
    bus: { lookNow: () => {} } as never,
    clock,
    log: pino({ level: "silent" }),
    remember: () => {},
    maxBatch: 10,
  });
  return { asked, publish: () => publisher.publish(environmentId, appId, MESSAGE) };
}

test("a message is made for the endpoints that there are when it is written", async () => {
  const { asked, publish } = world(3);
  assert.equal((await publish()).kind, "accepted");
  assert.deepEqual(
    asked.map(({ generation }) => generation),
    [1, 2, 3],
  );
});

// While endpoints were made and deleted without end, every fifth message to their application was refused with 503.
test("an application whose endpoints never stop changing is sent to all the same", async () => {
  const { asked, publish } = world(Number.POSITIVE_INFINITY);
  assert.equal((await publish()).kind, "accepted");
  assert.deepEqual(
    asked.map(({ generation }) => generation),
    [1, 2, 3, 4, null],
  );
  assert.equal(asked.at(-1)?.deliveries.length, 1);
});
