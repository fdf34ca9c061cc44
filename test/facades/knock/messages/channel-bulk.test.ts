import assert from "node:assert/strict";
import { randomUUID } from "node:crypto";
import { test } from "node:test";
import { allIds, countsOf, newUser, pushInApp, pushWorkflow, trigger, triggerEach } from "../feed/feed-world.ts";
import { type Answer, forEachKnock, type KnockTarget } from "../knock-target.ts";

forEachKnock((name, open) => {
  const ready = new WeakSet<KnockTarget>();
  const world = async (): Promise<KnockTarget> => {
    const target = await open();
    if (!ready.has(target)) {
      ready.add(target);
      await pushInApp(target, "wf");
      await pushInApp(target, "other");
    }
    return target;
  };
  const bulk = (target: KnockTarget, action: string, body: object, channel = target.feedId): Promise<Answer> =>
    target.asClient()("POST", `/channels/${channel}/messages/bulk/${action}`, body);

  test(`${name}: all of a tenant's feed is read when the call is answered, and no other tenant's`, async () => {
    const target = await world();
    const user = await newUser(target);
    for (let i = 0; i < 60; i++) await trigger(target, "wf", [user], i % 2 === 0 ? { tenant: "acme" } : {});
    await trigger(target, "wf", [user], { tenant: "zeta" });
    const body = { user_ids: [user], archived: "exclude", tenants: ["acme"] };
    const { status, body: operation } = await bulk(target, "read", body);
    assert.equal(status, 200);
    assert.deepEqual(
      [operation.__typename, operation.status, operation.processed_rows, operation.success_count],
      ["BulkOperation", "completed", 60, 60],
    );
    assert.deepEqual(await countsOf(target, user, "tenant=acme"), [60, 0, 60]);
    assert.deepEqual(await allIds(target, user, "tenant=acme&status=unread"), []);
    assert.deepEqual(await countsOf(target, user), [61, 1, 61]);
    const found = await target.call("GET", `/bulk_operations/${operation.id}`);
    assert.deepEqual(found.body, operation);
    // Again there is nothing to do, and nothing is moved.
    assert.equal((await bulk(target, "read", body)).body.processed_rows, 0);
  });

  test(`${name}: what comes in afterwards stays as it is`, async () => {
    const target = await world();
    const user = await newUser(target);
    await triggerEach(target, "wf", user, [{}, {}]);
    const done = bulk(target, "seen", { user_ids: [user] });
    await done;
    await trigger(target, "wf", [user]);
    assert.deepEqual(await countsOf(target, user), [3, 3, 1]);
  });

  test(`${name}: every action, as clients and phones call it`, async () => {
    const target = await world();
    const user = await newUser(target);
    await triggerEach(target, "wf", user, [{}, {}]);
    const then = async (action: string, ...expected: readonly number[]): Promise<void> => {
      const empty = { engagement_status: "", archived: "", has_tenant: "", trigger_data: "" };
      const { status, text } = await bulk(target, action, { recipient_ids: [user], ...empty });
      assert.equal(status, 200, text);
      const { meta: all } = (await target.call("GET", `/users/${user}/feeds/${target.feedId}?archived=include`)).body;
      const shown = await countsOf(target, user);
      assert.deepEqual([shown[0], all.unread_count, all.unseen_count], expected, action);
    };
    await then("seen", 2, 2, 0);
    await then("unseen", 2, 2, 2);
    await then("interacted", 2, 0, 2);
    await then("unread", 2, 2, 2);
    await then("read", 2, 0, 2);
    await then("archive", 0, 0, 2);
    await then("unarchive", 2, 0, 2);
    await then("archived", 0, 0, 2);
    await then("unarchived", 2, 0, 2);
    await then("delete", 0, 0, 0);
    assert.deepEqual((await target.call("GET", `/users/${user}/messages`)).body.items, []);
  });

  test(`${name}: filters narrow together`, async () => {
    const target = await world();
    const user = await newUser(target);
    const [a, b] = await triggerEach(target, "wf", user, [{ data: { page: "A" } }, { tenant: "acme" }]);
    const [c] = await triggerEach(target, "other", user, [{ data: { page: "A" } }]);
    const read = async (): Promise<string[]> =>
      (await allIds(target, user, "status=read&archived=include")).toReversed();
    const marked = async (filter: object, ...expected: readonly (string | undefined)[]): Promise<void> => {
      const { status, text } = await bulk(target, "read", { user_ids: [user], ...filter });
      assert.equal(status, 200, text);
      assert.deepEqual(await read(), expected, JSON.stringify(filter));
      await bulk(target, "unread", { user_ids: [user] });
    };
    await marked({ trigger_data: '{"page":"A"}' }, a, c);
    await marked({ workflows: ["other", "x"] }, c);
    await marked({ tenants: ["acme"] }, a, b, c);
    await marked({ tenants: ["acme"], has_tenant: true }, b);
    await marked({ has_tenant: false }, a, c);
    await marked({ archived: "only" });
    await marked({ delivery_status: "queued" });
    await marked({ delivery_status: "delivered", workflows: ["wf"] }, a, b);
    await marked({ engagement_status: "unread" }, a, b, c);
    await marked({ engagement_status: "link_clicked" });
    const { inserted_at } = (await target.call("GET", `/messages/${b}`)).body;
    await marked({ newer_than: inserted_at }, c);
    await marked({ older_than: inserted_at }, a);
    await bulk(target, "seen", { user_ids: [user], workflows: ["other"] });
    await marked({ engagement_status: "unseen" }, a, b);
  });

  test(`${name}: with the secret key also of all recipients, and of channels without a feed`, async () => {
    const target = await world();
    await pushWorkflow(target, "mail", {
      steps: [
        {
          type: "channel",
          ref: "email_1",
          channel_key: "email",
          template: { subject: "S", text_body: "T", html_body: "H" },
        },
      ],
    });
    const [ann, bob] = [await newUser(target), await newUser(target)];
    for (const user of [ann, bob]) await target.knock.users.update(user, { email: `${user}@example.com` });
    await trigger(target, "mail", [ann, bob]);
    await trigger(target, "wf", [ann, bob]);
    const { items } = (await target.call("GET", `/users/${ann}/messages?source=mail`)).body;
    const email = items[0].channel_id as string;
    const all = await target.call("POST", `/channels/${email}/messages/bulk/archive`, {});
    assert.equal(all.body.processed_rows, 2);
    const [first] = (await target.call("GET", `/users/${bob}/messages?source=mail`)).body.items;
    assert.notEqual(first.archived_at, null);
    assert.deepEqual(await countsOf(target, bob), [1, 1, 1]);
    const feed = await target.call("POST", `/channels/${target.feedId}/messages/bulk/seen`, { workflows: ["wf"] });
    assert.ok(feed.body.processed_rows >= 2);
    assert.deepEqual(
      [await countsOf(target, ann), await countsOf(target, bob)],
      [
        [1, 1, 0],
        [1, 1, 0],
      ],
    );
  });

  test(`${name}: bad calls are refused by field`, async () => {
    const target = await world();
    const bad: { readonly [field: string]: object } = {
      engagement_status: { engagement_status: "loved" },
      archived: { archived: "maybe" },
      has_tenant: { has_tenant: "yes" },
      trigger_data: { trigger_data: '{"a":{}}' },
      newer_than: { newer_than: "yesterday" },
      delivery_status: { delivery_status: "lost" },
      recipient_ids: { recipient_ids: Array.from({ length: 1_001 }, (_, i) => `u${i}`) },
      "user_ids[0]": { user_ids: ["a\u0000"] },
    };
    for (const [field, body] of Object.entries(bad)) {
      const answer = await bulk(target, "read", { user_ids: ["u"], ...body });
      assert.deepEqual([answer.status, answer.body.errors?.[0]?.field], [422, field], answer.text);
    }
    assert.equal((await bulk(target, "read", {})).status, 422);
    assert.equal((await bulk(target, "read", { user_ids: ["u"] }, randomUUID())).body.code, "channel_invalid");
    assert.equal((await bulk(target, "love", { user_ids: ["u"] })).status, 404);
  });
});
