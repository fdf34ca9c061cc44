/** Recipients are expanded in pages, each of them one commit; one that the database refuses must not be the others' loss. */
import assert from "node:assert/strict";
import { randomBytes } from "node:crypto";
import { type TestContext, test } from "node:test";
import type { Message, SendSpec } from "../../src/engine/model.ts";
import type { Planned, Store } from "../../src/engine/ports.ts";
import { Refusal } from "../../src/engine/refusal.ts";
import { type SendingTarget, startSendingTarget } from "../facades/courier/sending-target.ts";
import { inApp, startWorkflowEngine } from "../support/workflow-engine.ts";
import { forEachDatabase } from "./databases.ts";

const RECIPIENTS = 250;
const POISONED = [0, 117, 118, RECIPIENTS - 1];
/** More than fits an index row of Postgres, and not to be compressed into one. */
const OVERLONG = randomBytes(4500).toString("base64url");

forEachDatabase((name, open) => {
  /** As a database that does not take what is for `poison`, unless it says no more than that it was refused. */
  function refusing(store: Store): Store {
    const check = (planned: readonly Planned[]): void => {
      const bad = planned.some(
        ({ message, deliveries }) => message.userId?.startsWith("poison") && deliveries.length > 0,
      );
      if (bad) throw new Refusal("invalid", "no poison was expected");
    };
    return {
      ...store,
      pipeline: {
        ...store.pipeline,
        commitPage: async (request, lease, cursor, planned) => {
          check(planned);
          return await store.pipeline.commitPage(request, lease, cursor, planned);
        },
        commitPlanned: async (planned, leaseUntil) => {
          check(planned);
          return await store.pipeline.commitPlanned(planned, leaseUntil);
        },
      },
    };
  }

  async function aTarget(t: TestContext): Promise<SendingTarget> {
    const target = await startSendingTarget({ store: await open() }, 16, refusing);
    t.after(() => target.close());
    return target;
  }

  function userIds(poison: (i: number) => string): string[] {
    return Array.from({ length: RECIPIENTS }, (_, i) => (POISONED.includes(i) ? poison(i) : `user-${i}`));
  }

  /** Expanded to its end, with no lease having lapsed. */
  async function sendTo(target: SendingTarget, users: readonly string[], over: Partial<SendSpec> = {}) {
    const { engine, environment } = target;
    const spec: SendSpec = {
      recipients: users.map((userId) => ({ kind: "user", userId, profile: {} })),
      content: { kind: "inline", language: "elemental", source: { title: "t", body: "b" } },
      routing: { method: "single", channels: ["inbox"] },
      data: {},
      mode: "published",
      via: "courier",
      ...over,
    };
    const { body } = await engine.send(environment.id, spec, null, (id) => ({ status: 202, body: id }));
    await engine.dispatcher.idle();
    const messages: Message[] = [];
    let after: string | null = null;
    do {
      const filter = { requestId: body as `req_${string}` };
      const page = await engine.messages.list(environment.id, filter, { after, limit: 100 });
      messages.push(...page.items);
      after = page.next;
    } while (after !== null);
    return messages;
  }

  function assertAllButThePoisoned(messages: readonly Message[]): readonly Message[] {
    const { delivered = [], undeliverable = [] } = Object.groupBy(messages, ({ state }) => state);
    assert.deepEqual(
      delivered.map(({ userId }) => userId).sort(),
      userIds(() => "")
        .filter((id) => id !== "")
        .sort(),
    );
    assert.equal(undeliverable.length, POISONED.length);
    assert.equal(messages.length, RECIPIENTS);
    return undeliverable;
  }

  // The page was planned and refused again whenever its lease had lapsed, for ever; those behind it never got anything.
  test(`${name}: a recipient whose delivery is refused ends undeliverable, everyone else of the page is reached`, async (t) => {
    const target = await aTarget(t);
    const users = userIds((i) => `poison-${i}`);
    const refused = assertAllButThePoisoned(await sendTo(target, users));
    assert.deepEqual(refused.map(({ userId }) => userId).sort(), users.filter((id) => id.startsWith("poison")).sort());
    for (const { reason, error } of refused) {
      assert.deepEqual([reason, error], ["failed", "the database refuses the message: no poison was expected"]);
    }
  });

  for (const [what, poison] of [
    ["cannot be looked up", (i: number) => `nul\0${i}`],
    ["is too long for an index", (i: number) => `${i}${OVERLONG}`],
  ] as const) {
    // SQLite takes keys of any length, and stores NUL characters that it cannot look up.
    const takesThem = name === "sqlite";
    test(`${name}: a recipient whose id ${what} is not the others' loss`, async (t) => {
      const messages = await sendTo(await aTarget(t), userIds(poison));
      if (takesThem) return assert.equal(messages.length, RECIPIENTS);
      for (const [i, { userId, error }] of assertAllButThePoisoned(messages).entries()) {
        assert.equal(userId, null, `${i}`);
        assert.match(error as string, /^the database refuses the message: .*; it was for "/);
      }
    });
  }

  test(`${name}: of a trigger, too`, async (t) => {
    const world = await startWorkflowEngine(name, refusing);
    t.after(() => world.close());
    const users = userIds((i) => `poison-${i}`);
    for (const user of users) await world.identify(user);
    await world.put("w", [inApp("hello")]);
    await world.trigger("w", { to: users });
    await world.pass();
    for (const user of users) {
      assert.equal((await world.inbox(user)).length, user.startsWith("poison") ? 0 : 1, user);
    }
    const { items } = await world.store.messages.list(world.env, { recipient: "poison-117" }, { limit: 10 });
    assert.deepEqual(
      items.map(({ state, run }) => [state, run?.status]),
      [["undeliverable", "completed"]],
    );
  });

  test(`${name}: a delayed message whose delivery is refused is not the loss of those claimed with it`, async (t) => {
    const target = await aTarget(t);
    const users = ["ann", "poison", "bob"];
    await sendTo(target, users, { delay: { durationMs: 60_000 } });
    target.clock.advance(60_000);
    await target.engine.dispatcher.idle();
    const { items } = await target.engine.messages.list(target.environment.id, {}, { limit: 10 });
    assert.deepEqual(items.map(({ userId, state }) => `${userId} ${state}`).sort(), [
      "ann delivered",
      "bob delivered",
      "poison undeliverable",
    ]);
  });
});
