/** Webhooks on a real server when receivers hang, and when it stops while messages come in. */
import assert from "node:assert/strict";
import { test } from "node:test";
import type { App } from "../../src/app.ts";
import type { AppId } from "../../src/engine/webhooks/model.ts";
import type { NewAppMessage } from "../../src/engine/webhooks/webhooks.ts";
import { DIALECTS, newPlace, type Place } from "../conformance/databases.ts";
import { httpReceiver } from "../support/http-receiver.ts";
import { startFarm } from "../support/receiver-farm.ts";
import { startServer } from "../support/server.ts";

const APPLICATIONS = 10;
/** In each application. */
const HANGING = 30;
const BACKLOG = 10;
const HEALTHY = 40;

const DAY = 86_400_000;

function at(place: Place): Promise<App> {
  return startServer({
    CARILLON_DATA_DIR: place.dataDir,
    ...(place.url === null ? {} : { CARILLON_DATABASE_URL: place.url }),
  });
}

function aMessage(payload: object): NewAppMessage {
  return {
    ...{ eventId: null, eventType: "order.placed", channels: null, tags: null, raw: null, parameters: null },
    payload: JSON.stringify(payload),
    deliverAt: null,
    keepMs: DAY,
  };
}

async function anApplication({ engine, environment }: App, urls: readonly string[]): Promise<AppId> {
  const { applications, endpoints } = engine.webhooks;
  const app = await applications.create(environment.id, { uid: null, name: "a", throttleRate: null, metadata: {} });
  for (const url of urls) {
    await endpoints.create(environment.id, app.id, {
      ...{ uid: null, url, description: "", throttleRate: null, version: 1, disabled: false, eventTypes: null },
      ...{ channels: null, metadata: {}, headers: {}, oldSecrets: [], transformation: null, kind: "http" },
      secret: `whsec_${Buffer.alloc(24, 1).toString("base64")}`,
    });
  }
  return app.id;
}

for (const dialect of DIALECTS) {
  test(`${dialect}: ${APPLICATIONS * HANGING} endpoints that hang with a backlog do not delay a healthy one`, {
    timeout: 120_000,
  }, async (t) => {
    const { place, remove } = await newPlace(dialect);
    t.after(remove);
    const farm = await startFarm();
    t.after(() => farm.close());
    const hook = await httpReceiver();
    t.after(() => hook.close());
    const server = await at(place);
    t.after(() => server.close());
    const { environment } = server;
    const { webhooks } = server.engine;
    const apps: AppId[] = [];
    for (let a = 0; a < APPLICATIONS; a++) {
      const urls = Array.from({ length: HANGING }, (_, i) => farm.url("hangs", `${a}-${i}`));
      apps.push(await anApplication(server, urls));
    }
    const healthy = await anApplication(server, [hook.url]);
    await Promise.all(
      apps.flatMap((app) =>
        Array.from({ length: BACKLOG }, (_, n) => webhooks.publish(environment.id, app, aMessage({ n }))),
      ),
    );
    const startedAt = performance.now();
    for (let n = 0; n < HEALTHY; n++) await webhooks.publish(environment.id, healthy, aMessage({ n }));
    await hook.received(HEALTHY, 5_000);
    t.diagnostic(`${HEALTHY} were delivered within ${Math.round(performance.now() - startedAt)} ms`);
    // Now that all that hang are known: each at once.
    let worst = 0;
    for (let n = 1; n <= 20; n++) {
      const sentAt = performance.now();
      await webhooks.publish(environment.id, healthy, aMessage({ n }));
      await hook.received(HEALTHY + n, 5_000);
      worst = Math.max(worst, performance.now() - sentAt);
    }
    t.diagnostic(`then one took ${Math.round(worst)} ms at most`);
    assert.equal(hook.requests.length, HEALTHY + 20, "each once");
  });

  test(`${dialect}: a message that comes in while the server stops is sent by the next one, without waiting for a lease`, {
    timeout: 60_000,
  }, async (t) => {
    const { place, remove } = await newPlace(dialect);
    t.after(remove);
    const hook = await httpReceiver();
    t.after(() => hook.close());
    const first = await at(place);
    const app = await anApplication(first, [hook.url]);
    const { environment } = first;
    const publish = (n: number) => first.engine.webhooks.publish(environment.id, app, aMessage({ n }));
    await publish(0);
    await hook.received(1);
    const publishing = Array.from({ length: 50 }, (_, n) => publish(n + 1));
    const closing = first.close();
    const published = await Promise.all(publishing);
    await closing;
    assert.ok(published.every(({ kind }) => kind === "accepted"));
    const second = await at(place);
    t.after(() => second.close());
    await hook.received(51, 5_000);
    await second.engine.dispatcher.idle();
    assert.equal(new Set(hook.requests.map(({ text }) => text)).size, 51);
    assert.equal(hook.requests.length, 51, "each once");
  });
}
