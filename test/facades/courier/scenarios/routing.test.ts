import assert from "node:assert/strict";
import { test } from "node:test";
import { sdkClient } from "../inbox-clients.ts";
import { type Details, onEveryDatabase, type World } from "./world.ts";

const content = { title: "T", body: "B" };
/** Answers to RCPT: worth another try, and final. */
const TEMPORARY = 451;
const REJECTED = 550;

interface Person {
  readonly user_id: string;
  readonly email: string;
}

async function person(world: World, profile: { readonly phone_number?: string } = {}): Promise<Person> {
  const user_id = world.fresh("u");
  const email = `${user_id}@x.io`;
  await world.sdk.profiles.create(user_id, { profile: { email, ...profile } });
  return { user_id, email };
}

const withPhone = (world: World): Promise<Person> => person(world, { phone_number: "+15550100" });

/** Channel and status of each provider that was tried, oldest first. */
function providersOf(message: Details): string[] {
  // Two providers of one kind are told apart by what became of them.
  return (message.providers ?? [])
    .map((provider) => provider as unknown as { channel: { name: string }; status: string })
    .map(({ channel, status }) => `${channel.name} ${status}`)
    .sort();
}

onEveryDatabase("fake", (world) => {
  test("8. single", async () => {
    const u1 = await withPhone(world);
    const routing = { method: "single", channels: ["sms", "email"] };
    const first = await world.sent({ to: { user_id: u1.user_id }, content, routing });
    assert.equal(first.status, "SENT");
    assert.equal(await world.sms(first.id), "B");
    assert.deepEqual([world.mails(u1.email), world.mails(u1.email, world.e2)], [[], []]);

    const u2 = await person(world);
    const second = await world.sent({ to: { user_id: u2.user_id }, content, routing });
    world.mail(u2.email);
    assert.deepEqual(world.mails(u2.email, world.e2), []);
    assert.deepEqual(await world.captured("sms", second.id), []);
    assert.deepEqual([second.status, second.reason, second.error], ["SENT", null, null]);
    assert.deepEqual(providersOf(second), ["email SENT"]);
    assert.ok((await world.history(second.id)).every(({ type }) => type !== "UNDELIVERABLE"));
  });

  test("9. all", async () => {
    const u1 = await withPhone(world);
    const routing = { method: "all", channels: ["sms", "email"] };
    const message = await world.sent({ to: { user_id: u1.user_id }, content, routing });
    assert.equal(await world.sms(message.id), "B");
    world.mail(u1.email);
    assert.deepEqual(world.mails(u1.email, world.e2), []);
    await world.idle();
    assert.deepEqual(providersOf(await world.ended(message.id)), ["email SENT", "sms SENT"]);
    assert.deepEqual((await world.output(message.id)).map(({ channel }) => channel).sort(), ["email", "sms"]);
  });

  test("10. Nested routing", async () => {
    const u1 = await withPhone(world);
    const routing = { method: "all", channels: ["inbox", { method: "single", channels: ["sms", "email"] }] };
    const message = await world.sent({ to: { user_id: u1.user_id }, content, routing });
    await world.idle();
    assert.equal(await world.sms(message.id), "B");
    assert.deepEqual([world.mails(u1.email), world.mails(u1.email, world.e2)], [[], []]);

    const token = async (scope: string): Promise<string> =>
      (await world.sdk.auth.issueToken({ scope, expires_in: "1 hour" })).token;
    const inbox = (await sdkClient({ url: world.url, token } as Parameters<typeof sdkClient>[0], u1.user_id)).inbox;
    const items = (await inbox.getMessages()).data?.messages?.nodes ?? [];
    assert.deepEqual(
      items.map(({ messageId, title }) => [messageId, title]),
      [[message.id, "T"]],
    );
  });

  test("11. Provider failover", async () => {
    const routing = { method: "single", channels: ["email"] };
    world.e1.answer("rcpt", TEMPORARY);
    const calls = world.e1.seen.rcpt;
    const callsOfE2 = world.e2.seen.rcpt;
    const id = await world.send({ to: { email: "over@x.io" }, content, routing, timeout: { provider: 2_000 } });
    for (let halves = 0; world.mails("over@x.io", world.e2).length === 0; halves++) {
      assert.ok(halves < 20, "E2 was asked within ten seconds");
      await world.idle();
      world.clock.advance(500);
    }
    assert.ok(world.e1.seen.rcpt - calls >= 2, `${world.e1.seen.rcpt - calls} calls of E1`);
    const message = await world.ended(id);
    assert.equal(message.status, "SENT");
    assert.equal(world.e2.seen.rcpt - callsOfE2, 1);
    assert.deepEqual(await world.historyOf(id, "E1"), ["RENDERED", "DELIVERING", "UNDELIVERABLE"]);
    assert.deepEqual(await world.historyOf(id, "E2"), ["RENDERED", "DELIVERING", "SENT"]);
    assert.deepEqual(providersOf(message), ["email SENT", "email UNDELIVERABLE"]);
    const failed = message.providers?.find((one) => one.status === "UNDELIVERABLE") as { error?: string } | undefined;
    assert.ok(failed?.error);

    world.e1.answer("rcpt", REJECTED);
    const before = world.e1.seen.rcpt;
    const refused = await world.sent({ to: { email: "refused@x.io" }, content, routing });
    assert.equal(refused.status, "SENT");
    assert.equal(world.e1.seen.rcpt - before, 1);
    assert.equal(world.mails("refused@x.io", world.e2).length, 1);
  });

  test("12. Channel failover and exhaustion", async () => {
    const u1 = await withPhone(world);
    const calls = (): number[] => [world.e1.seen.rcpt, world.e2.seen.rcpt];
    const [e1 = 0, e2 = 0] = calls();
    world.e1.answer("rcpt", REJECTED);
    world.e2.answer("rcpt", REJECTED);
    const routing = { method: "single", channels: ["email", "sms"] };
    const message = await world.sent({ to: { user_id: u1.user_id }, content, routing });
    assert.equal(message.status, "SENT");
    assert.equal(await world.sms(message.id), "B");
    assert.deepEqual(calls(), [e1 + 1, e2 + 1]);

    const lost = await world.sent({
      to: { user_id: u1.user_id },
      content,
      routing: { method: "single", channels: ["email"] },
    });
    assert.deepEqual([lost.status, lost.reason], ["UNDELIVERABLE", "PROVIDER_ERROR"]);
    assert.ok(lost.error);
    assert.deepEqual(providersOf(lost), ["email UNDELIVERABLE", "email UNDELIVERABLE"]);
  });

  test("13. Conditions", async () => {
    const u1 = await withPhone(world);
    const send = (condition: string, amount: number, ...channels: string[]): Promise<Details> =>
      world.sent({
        to: { user_id: u1.user_id },
        content,
        data: { amount },
        channels: { email: { if: condition } },
        routing: { method: "single", channels },
      });
    const large = "data.amount > 100";
    const small = await send(large, 50, "email");
    assert.deepEqual([small.status, small.reason], ["FILTERED", "FILTERED"]);
    assert.deepEqual(world.mails(u1.email), []);

    assert.equal((await send(large, 150, "email")).status, "SENT");
    assert.equal(world.mails(u1.email).length, 1);

    const turned = await send(large, 50, "email", "sms");
    assert.equal(turned.status, "SENT");
    assert.equal(await world.sms(turned.id), "B");

    for (const condition of [
      "process.exit(1)",
      "globalThis.touched = true",
      "data.constructor.constructor('return true')()",
      "(() => true)()",
      "true; true",
      "`a` === 'a'",
      "[1].includes(1) || eval('1')",
    ]) {
      assert.equal((await send(condition, 150, "email")).status, "FILTERED", condition);
    }
    assert.equal("touched" in globalThis, false);
    assert.equal(world.mails(u1.email).length, 1);
  });
});
