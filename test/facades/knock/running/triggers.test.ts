/** Triggering and canceling: what is checked, in which order, and what a repetition is answered with. */
import assert from "node:assert/strict";
import { test } from "node:test";
import Knock from "@knocklabs/node";
import { forEachKnock } from "../knock-target.ts";
import { activate, commit, feedOf, IN_APP, idle } from "./workflow.ts";

const UUID = /^[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}$/;

forEachKnock((name, open) => {
  test(`${name}: 1. trigger to feed`, async () => {
    const target = await open();
    await commit(target, "wf");
    const { workflow_run_id } = await target.knock.workflows.trigger("wf", {
      recipients: [{ id: "t1", name: "N" }],
      data: { x: 1 },
    });
    assert.match(workflow_run_id, UUID);
    const feed = await feedOf(target, "t1");
    assert.equal(feed.entries.length, 1);
    assert.deepEqual(feed.meta, { __typename: "FeedMetadata", total_count: 1, unread_count: 1, unseen_count: 1 });
    assert.deepEqual(feed.entries[0].data, { x: 1 });
    assert.equal((await target.knock.users.get("t1")).name, "N");
  });

  test(`${name}: an unknown workflow is 404, one without a commit, too, and one that is switched off 422`, async () => {
    const target = await open();
    const { call } = target;
    const body = { recipients: ["t2"] };
    const unknown = await call("POST", "/workflows/nobody/trigger", body);
    assert.deepEqual([unknown.status, unknown.body.code], [404, "workflow_missing"]);
    await call("PUT", "/workflows/draft?environment=development", { workflow: { name: "draft", steps: [IN_APP] } });
    assert.equal((await call("POST", "/workflows/draft/trigger", body)).status, 404);
    await commit(target, "off");
    await activate(target, "off", false);
    const off = await call("POST", "/workflows/off/trigger", body);
    assert.deepEqual([off.status, off.body.code, off.headers.get("x-should-retry")], [422, "workflow_inactive", null]);
    let calls = 0;
    const sdk = new Knock({
      apiKey: target.secretKey,
      baseURL: target.url,
      fetch: (...args) => {
        calls++;
        return fetch(...args);
      },
    });
    await assert.rejects(sdk.workflows.trigger("off", { recipients: ["t2"] }));
    assert.equal(calls, 1, "the SDK does not try again");
  });

  test(`${name}: 40. data that breaks the schema is refused with every violation, and nothing runs`, async () => {
    const target = await open();
    const schema = {
      type: "object",
      required: ["page", "count"],
      properties: { page: { type: "object", properties: { id: { type: "string" } } }, count: { type: "integer" } },
    };
    await commit(target, "strict", [IN_APP], { trigger_data_json_schema: schema });
    const trigger = (data: unknown) => target.call("POST", "/workflows/strict/trigger", { recipients: ["t3"], data });
    const refused = await trigger({ page: { id: 7 } });
    assert.deepEqual([refused.status, refused.body.code], [422, "invalid_params"]);
    assert.deepEqual(refused.body.errors.map((one: { field: string }) => one.field).sort(), [
      "data.count",
      "data.page.id",
    ]);
    await target.knock.users.update("t3", { name: "T" });
    assert.equal((await trigger({ page: { id: "p" }, count: 2 })).status, 200);
    assert.equal((await feedOf(target, "t3")).entries.length, 1);
  });

  test(`${name}: 38. the same key and body twice is one run; another body is 400; a call that failed is free`, async () => {
    const target = await open();
    await commit(target, "once");
    await target.knock.users.update("t4", {});
    const trigger = (body: object, key = "k1") =>
      target.call("POST", "/workflows/once/trigger", body, { "idempotency-key": key });
    const failed = await trigger({ recipients: [] });
    assert.equal(failed.status, 422);
    const first = await trigger({ recipients: ["t4"] });
    const second = await trigger({ recipients: ["t4"] });
    assert.deepEqual([first.status, second.status, second.text], [200, 200, first.text]);
    assert.equal(first.headers.get("idempotent-replayed"), null);
    assert.equal(second.headers.get("idempotent-replayed"), "true");
    assert.equal(second.headers.get("original-x-request-id"), first.headers.get("x-request-id"));
    const other = await trigger({ recipients: [{ id: "t4-new" }] });
    assert.deepEqual([other.status, other.body.code], [400, "idempotency_error"]);
    assert.equal((await target.call("GET", "/users/t4-new")).status, 404, "what is refused identifies nobody");
    assert.equal((await feedOf(target, "t4")).entries.length, 1);
    const many = await Promise.all(Array.from({ length: 20 }, () => trigger({ recipients: ["t4"] }, "k2")));
    assert.equal(new Set(many.map(({ text }) => text)).size, 1);
    assert.equal((await feedOf(target, "t4")).entries.length, 2);
    // A key counts for one workflow.
    await commit(target, "once-more");
    assert.equal(
      (await target.call("POST", "/workflows/once-more/trigger", { recipients: ["t4"] }, { "idempotency-key": "k1" }))
        .status,
      200,
    );
    assert.equal((await trigger({ recipients: ["t4"] }, "x".repeat(256))).status, 400);
  });

  test(`${name}: a recipient that is named twice gets one item; its own data is laid over the call's`, async () => {
    const target = await open();
    await commit(target, "twice", [{ ...IN_APP, template: { markdown_body: "{{ x }} {{ y }}" } }]);
    await target.knock.workflows.trigger("twice", {
      recipients: ["t5", { id: "t5", name: "T", $trigger_data: { y: 2 } }],
      data: { x: 1, y: 1 },
    });
    const { entries } = await feedOf(target, "t5");
    assert.equal(entries.length, 1);
    assert.match(entries[0].blocks[0].rendered, /1 2/);
    const user = await target.knock.users.get("t5");
    assert.ok(!("$trigger_data" in user));
  });

  test(`${name}: 25. items of one moment: pages of three show each of ten once, in both directions`, async () => {
    const target = await open();
    await commit(target, "at-once");
    await target.knock.users.update("t25", {});
    for (let i = 0; i < 10; i++) await target.knock.workflows.trigger("at-once", { recipients: ["t25"], data: { i } });
    const walk = async (way: "after" | "before", from: string | null): Promise<number[]> => {
      const seen: number[] = [];
      for (let cursor = from; ; ) {
        const page = await feedOf(target, "t25", `page_size=3${cursor === null ? "" : `&${way}=${cursor}`}`);
        const entries = page.entries as { data: { i: number }; inserted_at: string; __cursor: string }[];
        assert.ok(entries.every(({ inserted_at }) => inserted_at === entries[0]?.inserted_at));
        const shown = entries.map(({ data }) => data.i);
        seen.push(...(way === "after" ? shown : shown.reverse()));
        cursor = page.page_info[way];
        if (cursor === null || entries.length === 0) return seen;
      }
    };
    assert.deepEqual(await walk("after", null), [9, 8, 7, 6, 5, 4, 3, 2, 1, 0]);
    const { entries } = await feedOf(target, "t25");
    assert.deepEqual(await walk("before", entries.at(-1).__cursor), [1, 2, 3, 4, 5, 6, 7, 8, 9]);
  });

  test(`${name}: what is wrong with a trigger is told of each field, and nothing is written`, async () => {
    const target = await open();
    await commit(target, "checked");
    const cases: readonly (readonly [unknown, string])[] = [
      [undefined, "recipients"],
      [{ recipients: "u" }, "recipients"],
      [{ recipients: [1] }, "recipients[0]"],
      [{ recipients: [{ name: "x" }] }, "recipients[0].id"],
      [{ recipients: [{ id: "a/b" }] }, "recipients[0].id"],
      [{ recipients: [{ id: "bad-t6", collection: "$users2" }] }, "recipients[0].collection"],
      [{ recipients: ["bad-t6", "a\0b"] }, "recipients[1]"],
      [{ recipients: [{ id: "bad-t6" }], data: "x" }, "data"],
      [{ recipients: [{ id: "bad-t6" }], data: [1] }, "data"],
      [{ recipients: [{ id: "bad-t6" }], actor: 5 }, "actor"],
      [{ recipients: [{ id: "bad-t6" }], tenant: {} }, "tenant.id"],
      [{ recipients: [{ id: "bad-t6" }], cancellation_key: {} }, "cancellation_key"],
      [{ recipients: [{ id: "bad-t6" }], settings: { skip_delay: "yes" } }, "settings.skip_delay"],
      [{ recipients: Array(1001).fill("u") }, "recipients"],
    ];
    for (const [body, field] of cases) {
      const { status, body: answer, text } = await target.call("POST", "/workflows/checked/trigger", body);
      assert.equal(status, 422, `${JSON.stringify(body)}: ${text}`);
      assert.ok(
        answer.errors.some((one: { field: string }) => one.field === field),
        `${field}: ${text}`,
      );
    }
    assert.equal((await target.call("GET", "/users/bad-t6")).status, 404);
  });

  test(`${name}: ten megabytes of data`, async () => {
    const target = await open();
    await commit(target, "large");
    const large = (bytes: number) => ({ recipients: [{ id: "large" }], data: { text: "x".repeat(bytes) } });
    assert.equal((await target.call("POST", "/workflows/large/trigger", large(10_000_000))).status, 200);
    const { entries } = await feedOf(target, "large");
    assert.equal(entries[0].data.text.length, 10_000_000);
    const refused = await target.call("POST", "/workflows/large/trigger", large(12_000_000));
    assert.deepEqual([refused.status, refused.body.code], [413, "request_too_large"]);
    // Nobody else needs as much.
    assert.equal((await target.call("PUT", "/users/large", { text: "x".repeat(7_000_000) })).status, 413);
  });

  test(`${name}: an actor that is only named has to be somebody`, async () => {
    const target = await open();
    await commit(target, "acting");
    await target.knock.objects.set("projects", "acting", { name: "P" });
    await target.knock.tenants.set("acting", {});
    const ask = (actor: unknown, recipients: unknown[] = [{ id: "acted-on" }], headers = {}) =>
      target.call("POST", "/workflows/acting/trigger", { recipients, actor }, headers);
    for (const actor of [
      "nobody-acts",
      { collection: "projects", id: "gone" },
      { collection: "$tenants", id: "gone" },
    ]) {
      // It was taken, and the item named somebody of whom nothing was known.
      const { status, body } = await ask(actor, [{ id: "not-made" }]);
      assert.deepEqual([status, body.code, body.errors[0].field], [422, "actor_missing", "actor"]);
    }
    assert.equal((await target.call("GET", "/users/not-made")).status, 404);
    for (const actor of [
      { id: "identified-here" },
      "identified-here",
      { collection: "projects", id: "acting" },
      { collection: "projects", id: "new", name: "N" },
      { collection: "$tenants", id: "acting" },
      null,
    ]) {
      assert.equal((await ask(actor)).status, 200, JSON.stringify(actor));
    }
    // By its own trigger.
    assert.equal((await ask("both", [{ id: "both" }])).status, 200);
    // A repetition is answered as the first was, whatever has become of the actor.
    const again = { "idempotency-key": "an actor that leaves" };
    const first = await ask("both", ["acted-on"], again);
    await target.knock.users.delete("both");
    assert.deepEqual((await ask("both", ["acted-on"], again)).body, first.body);
  });

  test(`${name}: a public key may not trigger, and a key of another environment finds nothing`, async () => {
    const target = await open();
    await commit(target, "mine");
    const refused = await target.asClient()("POST", "/workflows/mine/trigger", { recipients: ["u"] });
    assert.deepEqual([refused.status, refused.body.code], [401, "incorrect_token_type"]);
    const other = await target.another();
    assert.equal((await other.call("POST", "/workflows/mine/trigger", { recipients: ["u"] })).status, 404);
  });

  test(`${name}: 33. a run that waits is canceled by its key, for all recipients or some; an unknown key is 204`, async () => {
    const target = await open();
    const delay = { ref: "wait", type: "delay", settings: { delay_for: { unit: "minutes", value: 5 } } };
    await commit(target, "late", [delay, IN_APP]);
    for (const id of ["c1", "c2", "c3"]) await target.knock.users.update(id, {});
    await target.knock.workflows.trigger("late", { recipients: ["c1", "c2"], cancellation_key: "a" });
    await target.knock.workflows.trigger("late", { recipients: ["c3"], cancellation_key: "b" });
    await target.knock.workflows.cancel("late", { cancellation_key: "a", recipients: ["c2"] });
    await target.knock.workflows.cancel("late", { cancellation_key: "b" });
    await target.knock.workflows.cancel("late", { cancellation_key: "never used" });
    target.clock.advance(6 * 60_000);
    await idle(target);
    const counts = await Promise.all(["c1", "c2", "c3"].map(async (id) => (await feedOf(target, id)).entries.length));
    assert.deepEqual(counts, [1, 0, 0]);
    const runs = await target.call("GET", "/workflow_recipient_runs?workflow=late&status[]=cancelled");
    assert.deepEqual(runs.body.items.map((run: { recipient: string }) => run.recipient).sort(), ["c2", "c3"]);
    assert.ok(runs.body.items.every((run: { trigger_source: object }) => "cancellation_key" in run.trigger_source));
  });

  test(`${name}: the old calls notify and notify/cancel`, async () => {
    const target = await open();
    await commit(target, "old");
    const made = await target.call("POST", "/notify", { name: "old", actor: { id: "o1" }, recipients: [{ id: "o2" }] });
    assert.match(made.body.result_id, UUID);
    assert.equal((await feedOf(target, "o2")).entries.length, 1);
    const canceled = await target.call("POST", "/notify/cancel", { name: "old", cancellation_key: "k" });
    assert.deepEqual([canceled.status, canceled.text], [204, ""]);
  });
});
