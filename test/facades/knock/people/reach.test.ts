/** What was said of people decides what reaches them: preferences along the whole chain, and where their devices are. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { forEachKnock, type KnockTarget } from "../knock-target.ts";

const FEED_STEP = {
  ref: "feed",
  type: "channel",
  channel_key: "in-app",
  template: { markdown_body: "Hi {{ recipient.name }}" },
};

async function push(target: KnockTarget, key: string, workflow: object): Promise<void> {
  const path = `/workflows/${key}?environment=development&commit=true`;
  const { status, text } = await target.call("PUT", path, { workflow: { name: key, ...workflow } });
  assert.equal(status, 200, text);
}

/** How many items the trigger brought the user. */
async function sent(target: KnockTarget, key: string, userId: string, tenant?: string): Promise<number> {
  const count = async (): Promise<number> =>
    (await target.call("GET", `/users/${userId}/feeds/${target.feedId}`)).body.meta.total_count;
  const before = await count();
  await target.knock.workflows.trigger(key, { recipients: [userId], ...(tenant === undefined ? {} : { tenant }) });
  return (await count()) - before;
}

forEachKnock((name, open) => {
  test(`${name}: a workflow, a category, a type of channel and a channel that somebody does not want`, async () => {
    const target = await open();
    const { knock, feedId } = target;
    await push(target, "optout", { steps: [FEED_STEP], categories: ["news", "sport"] });
    await push(target, "forced", { steps: [FEED_STEP], settings: { override_preferences: true } });
    await knock.users.update("picky", { name: "P" });
    const wants = async (set: object): Promise<number> => {
      await knock.users.setPreferences("picky", "default", set);
      return sent(target, "optout", "picky");
    };
    assert.equal(await wants({}), 1);
    assert.equal(await wants({ workflows: { optout: false } }), 0);
    assert.equal(await wants({ workflows: { optout: { channel_types: { in_app_feed: false } } } }), 0);
    assert.equal(await wants({ channel_types: { in_app_feed: false } }), 0);
    assert.equal(await wants({ channel_types: { in_app_feed: false }, channels: { [feedId]: true } }), 1);
    assert.equal(await wants({ workflows: { optout: true }, categories: { sport: false } }), 0);
    assert.equal(await wants({ categories: { other: false } }), 1);
    await knock.users.setPreferences("picky", "default", { workflows: { forced: false } });
    assert.equal(await sent(target, "forced", "picky"), 1);
  });

  test(`${name}: the chain of preferences with a tenant`, async () => {
    const target = await open();
    const { knock, call } = target;
    await push(target, "chained", { steps: [FEED_STEP] });
    await knock.users.update("chained", { preferences: { default: { workflows: { chained: true } } } });
    await knock.tenants.set("chain", { settings: { preference_set: { workflows: { chained: false } } } });
    assert.equal(await sent(target, "chained", "chained"), 1);
    assert.equal(await sent(target, "chained", "chained", "chain"), 0);
    await knock.users.setPreferences("chained", "chain", { workflows: { chained: true } });
    assert.equal(await sent(target, "chained", "chained", "chain"), 1);
    const replace = { workflows: { chained: { channel_types: { in_app_feed: false }, __strategy__: "replace" } } };
    await call("PUT", "/tenants/chain", {
      settings: { preference_set: { __persistence_strategy__: "replace", ...replace } },
    });
    assert.equal(await sent(target, "chained", "chained", "chain"), 0);
    const { body } = await call("GET", "/users/chained/preferences/chain");
    assert.deepEqual(body.workflows.chained, replace.workflows.chained);
  });

  test(`${name}: inline preferences of a trigger merge, and count for it`, async () => {
    const target = await open();
    const { knock, call, feedId } = target;
    await push(target, "inlined", { steps: [FEED_STEP] });
    await knock.users.setPreferences("inliner", "default", { workflows: { other: false } });
    await knock.workflows.trigger("inlined", {
      recipients: [{ id: "inliner", name: "In", preferences: { default: { workflows: { inlined: false } } } } as never],
    });
    assert.equal((await call("GET", `/users/inliner/feeds/${feedId}`)).body.meta.total_count, 0);
    const read = await knock.users.getPreferences("inliner", "default");
    assert.deepEqual(read.workflows, { other: false, inlined: false });
    assert.equal((await knock.users.get("inliner")).name, "In");
  });

  test(`${name}: each device is notified`, async () => {
    const target = await open();
    const { knock, app, environment, admin } = target;
    const channels = await app.engine.workflows.channels(environment.id);
    const channel = channels.find(({ type }) => type === "push");
    assert.ok(channel !== undefined);
    const template = { title: "T", text_body: "B {{ recipient.name }}" };
    await push(target, "pushed", { steps: [{ ref: "push", type: "channel", channel_key: channel.key, template }] });
    await knock.users.update("devices", {
      name: "D",
      channel_data: { [channel.id]: { tokens: ["device-1", "device-2"] } },
    });
    await knock.workflows.trigger("pushed", { recipients: ["devices"] });
    await app.engine.dispatcher.idle();
    const { items } = (await admin("GET", "/admin/captured")).body;
    const text = JSON.stringify(items.filter(({ channel: of }: { channel: string }) => of === "push"));
    assert.ok(text.includes("device-1") && text.includes("device-2"), text);
  });
});
