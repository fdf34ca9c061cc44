/** Nothing is lost and nothing doubled for who follows an application's messages, in whatever order they are committed. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { memoryBus } from "../../src/bus/memory.ts";
import type { EnvironmentId } from "../../src/engine/model.ts";
import { type ListenFilter, Listening, MOST_SEEN, type Place } from "../../src/engine/webhooks/listening.ts";
import type { AppMessage } from "../../src/engine/webhooks/model.ts";
import { FakeClock } from "../../src/lib/clock.ts";
import { newId } from "../../src/lib/ids.ts";
import { forEachDatabase } from "./databases.ts";
import { anAppMessage, newAppId, publishing } from "./webhook-fixtures.ts";

const NEVER = new AbortController().signal;

forEachDatabase((name, open) => {
  async function started() {
    const store = await open();
    const clock = new FakeClock();
    const bus = memoryBus();
    const listening = new Listening({ messages: store.appMessages, bus, clock });
    const environmentId = newId("env", clock.now()) as EnvironmentId;
    const appId = newAppId();
    /** A message with an id of `agoMs` before now. */
    const message = (agoMs = 0, over: Partial<AppMessage> = {}): AppMessage => {
      const at = clock.now() - agoMs;
      return anAppMessage(environmentId, appId, { createdAt: at, ...over });
    };
    const accept = async (...messages: AppMessage[]): Promise<void> => {
      await store.appMessages.accept(messages.map((one) => publishing(one)));
    };
    let place: Place = await listening.begin(environmentId, appId, {});
    const next = async (filter: ListenFilter = {}, waitMs = 0): Promise<readonly string[]> => {
      const heard = await listening.next(environmentId, appId, filter, place, waitMs, NEVER);
      place = heard.place;
      return heard.messages.map(({ id }) => id);
    };
    return { store, clock, bus, listening, environmentId, appId, message, accept, next, place: () => place };
  }

  test(`${name}: what comes is heard once, with its content, in order`, async () => {
    const { message, accept, next, clock } = await started();
    assert.deepEqual(await next(), []);
    const [a, b] = [message(), message()];
    await accept(a, b);
    assert.deepEqual(await next(), [a.id, b.id]);
    assert.deepEqual(await next(), []);
    clock.advance(60_000);
    assert.deepEqual(await next(), []);
    const c = message();
    await accept(c);
    assert.deepEqual(await next(), [c.id]);
  });

  test(`${name}: what was there before is not heard`, async () => {
    const { listening, environmentId, appId, message, accept } = await started();
    await accept(message(60_000), message(5_000), message());
    const place = await listening.begin(environmentId, appId, {});
    const heard = await listening.next(environmentId, appId, {}, place, 0, NEVER);
    assert.deepEqual(heard.messages, []);
  });

  test(`${name}: a message that appears behind others is heard all the same`, async () => {
    const { message, accept, next, clock, place } = await started();
    const early = message();
    clock.advance(20);
    const late = message();
    await accept(late);
    assert.deepEqual(await next(), [late.id]);
    clock.advance(10_000);
    await accept(early);
    assert.deepEqual(await next(), [early.id]);
    assert.deepEqual(await next(), []);
    clock.advance(60_000);
    assert.deepEqual(await next(), []);
    assert.equal(place().seen.length, 0, "what is settled is not remembered");
  });

  test(`${name}: an answer that was lost comes again, from the place before it`, async () => {
    const { listening, environmentId, appId, message, accept, place, next } = await started();
    const a = message();
    await accept(a);
    const lost = await listening.next(environmentId, appId, {}, place(), 0, NEVER);
    assert.equal(lost.messages.length, 1);
    assert.deepEqual(await next(), [a.id]);
  });

  test(`${name}: more than one answer holds are heard in several, also after a long pause`, async () => {
    const { message, accept, next, clock } = await started();
    const all = Array.from({ length: 630 }, () => message());
    await accept(...all);
    clock.advance(120_000);
    const heard: string[] = [];
    for (let page = await next(); page.length > 0; page = await next()) heard.push(...page);
    assert.deepEqual(
      heard,
      all.map(({ id }) => id),
    );
  });

  test(`${name}: an answer is bounded by its texts, too`, async () => {
    const { message, accept, next } = await started();
    const big = Array.from({ length: 5 }, () => message(0, { payload: `{"x":"${"y".repeat(1_500_000)}"}` }));
    await accept(...big);
    const sizes: number[] = [];
    for (let page = await next(); page.length > 0; page = await next()) sizes.push(page.length);
    assert.deepEqual(sizes, [3, 2]);
  });

  test(`${name}: only what passes the filter, and never another application's or environment's`, async () => {
    const { store, message, accept, next, appId } = await started();
    const paid = message(0, { eventType: "invoice.paid", channels: ["eu"] });
    const voided = message(0, { eventType: "invoice.voided", channels: ["us", "eu"] });
    const bare = message(0, { eventType: "invoice.paid", channels: null });
    await accept(paid, voided, bare);
    await accept({ ...message(), appId: newAppId() });
    const foreign = newId("env", 0) as EnvironmentId;
    await store.appMessages.accept([publishing({ ...message(), environmentId: foreign, appId })]);
    assert.deepEqual(await next({ eventTypes: ["invoice.paid"], channels: ["eu"] }), [paid.id]);
    assert.deepEqual(await next({ channels: ["us"] }), [voided.id]);
    assert.deepEqual(await next(), [bare.id]);
  });

  test(`${name}: a shout wakes who waits, another process's message is found soon, and waiting ends`, async () => {
    const { clock, bus, message, accept, next, listening } = await started();
    const shouted = waitingUntil(listening, next({}, 20_000));
    await shouted.begun;
    const a = message();
    await accept(a);
    clock.advance(50);
    bus.lookNow("deliveries");
    assert.deepEqual(await shouted.heard, [a.id]);

    const polled = waitingUntil(listening, next({}, 20_000));
    await polled.begun;
    const b = message();
    await accept(b);
    clock.advance(500);
    assert.deepEqual(await polled.heard, [b.id]);

    const ended = next({}, 300);
    await waitingUntil(listening, ended).begun;
    clock.advance(300);
    assert.deepEqual(await ended, []);

    const stopped = next({}, 20_000);
    await waitingUntil(listening, stopped).begun;
    listening.stop();
    assert.deepEqual(await stopped, []);
    assert.equal(listening.waiting, 0);
  });

  test(`${name}: nobody waits for a listener who is gone`, async () => {
    const { listening, environmentId, appId, place } = await started();
    const gone = new AbortController();
    const waiting = listening.next(environmentId, appId, {}, place(), 20_000, gone.signal);
    await waitingUntil(listening, waiting).begun;
    gone.abort();
    assert.deepEqual((await waiting).messages, []);
    assert.equal(listening.waiting, 0);
  });

  test(`${name}: a place never grows beyond its bound`, async () => {
    const { message, accept, next, place, listening, environmentId, appId } = await started();
    const all = Array.from({ length: MOST_SEEN + 150 }, () => message());
    for (let i = 0; i < all.length; i += 500) await accept(...all.slice(i, i + 500));
    const heard = new Set<string>();
    for (let page = await next(); page.length > 0; page = await next()) for (const id of page) heard.add(id);
    assert.equal(heard.size, all.length);
    assert.equal(place().seen.length, MOST_SEEN);
    const begun = await listening.begin(environmentId, appId, {});
    assert.equal(begun.seen.length, MOST_SEEN);
    assert.equal(begun.after, all[149]?.id);
  });
});

/** Resolves `begun` once somebody waits inside. */
function waitingUntil<T>(listening: Listening, heard: Promise<T>): { begun: Promise<void>; heard: Promise<T> } {
  const begun = (async () => {
    while (listening.waiting === 0) await new Promise(setImmediate);
  })();
  return { begun, heard };
}
