/** Runs through a real engine, from the trigger to what its recipients get. */
import assert from "node:assert/strict";
import { after, test } from "node:test";
import { inApp, startWorkflowEngines } from "../../../test/support/workflow-engine.ts";
import type { Delivery } from "../model.ts";
import { type Step, USERS } from "./model.ts";

for (const world of await startWorkflowEngines()) {
  after(() => world.close());
  const { store, env } = world;
  await world.identify("ann", { name: "Ann", email: "ann@example.com" });

  async function runsOf(requestId: string) {
    const page = await store.runs.list(env, {}, world.clock.now(), { limit: 100 });
    return page.items.filter((message) => message.requestId === requestId);
  }

  async function logOf(requestId: string): Promise<string[]> {
    const [message] = await runsOf(requestId);
    return (
      message?.run?.log.map(({ event, ref, ok, data }) => {
        const reason = data?.reason === undefined ? "" : ` ${data.reason}`;
        return `${event}${ref === undefined ? "" : ` ${ref}`}${reason}${ok ? "" : " !"}`;
      }) ?? []
    );
  }

  test(`${world.dialect}: a run that has nothing to wait for is over in the commit of its trigger`, async () => {
    await world.put("hello", [inApp("feed", "Hello {{ recipient.name }}: {{ data.n }}")], {
      categories: ["greetings"],
    });
    const requestId = await world.trigger("hello", { data: { n: 1 }, tenantId: "acme" });
    const [item] = await world.inbox("ann");
    assert.equal(item?.content.body, "Hello Ann: 1");
    assert.deepEqual(
      [item?.tags, item?.tenantId, item?.data, item?.origin?.ref],
      [["greetings"], "acme", { n: 1 }, "feed"],
    );
    const [run] = await runsOf(requestId);
    assert.deepEqual([run?.state, run?.event, run?.run?.status], ["delivered", "hello", "completed"]);
    assert.equal(await store.runs.read(env, run?.id as `msg_${string}`), null);
    assert.deepEqual(await logOf(requestId), ["run_started", "message_enqueued feed", "run_completed"]);
  });

  test(`${world.dialect}: a recipient that nobody identified gets nothing, and its run says so`, async () => {
    await world.put("hello", [inApp("feed")]);
    const requestId = await world.trigger("hello", { to: ["stranger"] });
    assert.deepEqual(await world.inbox("stranger"), []);
    const [run] = await runsOf(requestId);
    assert.deepEqual([run?.state, run?.run?.status], ["undeliverable", "completed"]);
    assert.deepEqual(await logOf(requestId), ["run_started", "run_completed recipient_missing !"]);
  });

  test(`${world.dialect}: a delay keeps a run waiting, and conditions behind it see what was done meanwhile`, async () => {
    const email: Step = {
      type: "channel",
      ref: "email",
      channel_key: "email",
      channel_type: "email",
      template: { subject: "You missed {{ data.n }}", html_body: "-" },
      conditions: {
        all: [{ variable: "refs.feed.engagement_status", operator: "not_contains", argument: "$message.seen" }],
      },
    };
    const delay: Step = { type: "delay", ref: "wait", settings: { delay_for: { unit: "hours", value: 1 } } };
    await world.put("reminder", [inApp("feed"), delay, email]);
    const seen = await world.trigger("reminder", { data: { n: 1 } });
    const unseen = await world.trigger("reminder", { data: { n: 2 } });
    const item = (await world.inbox("ann")).find(({ data }) => data.n === 1);
    await world.engine.inbox.change(
      env,
      "ann",
      [{ deliveryId: item?.id as Delivery["id"], field: "seen", value: true, again: "move" }],
      { via: "knock", origin: null },
    );
    await world.pass(59 * 60_000);
    assert.equal(world.sent.length, 0);
    await world.pass(60_000);
    assert.deepEqual(
      world.sent.map(({ delivery }) => delivery.content.subject),
      ["You missed 2"],
    );
    const beginning = ["run_started", "message_enqueued feed", "step_paused wait", "step_resumed wait"];
    assert.deepEqual(await logOf(seen), [...beginning, "step_skipped email conditions", "run_completed"]);
    assert.deepEqual(await logOf(unseen), [...beginning, "message_enqueued email", "run_completed"]);
    assert.equal((await runsOf(unseen))[0]?.state, "delivered");
  });

  test(`${world.dialect}: delays are skipped on demand`, async () => {
    const delay: Step = { type: "delay", ref: "wait", settings: { delay_for: { unit: "days", value: 1 } } };
    await world.put("quick", [delay, inApp("feed", "quick")]);
    const requestId = await world.trigger("quick", { skipDelay: true });
    assert.equal((await runsOf(requestId))[0]?.run?.status, "completed");
    assert.equal((await world.inbox("ann"))[0]?.content.body, "quick");
  });

  test(`${world.dialect}: a batch of three is one message that speaks of all`, async () => {
    await world.identify("bob", { name: "Bob" });
    await world.identify("reader");
    const batch: Step = { type: "batch", ref: "batch", settings: { batch_window: { unit: "seconds", value: 5 } } };
    await world.put("likes", [
      batch,
      inApp("feed", "{{ total_activities }} by {{ total_actors }}: {{ activities[0].n }}"),
    ]);
    const person = (id: string) => ({ collection: USERS, id });
    const opener = await world.trigger("likes", {
      to: ["reader"],
      actor: person("ann"),
      data: { n: 1, deep: { x: 1 } },
    });
    await world.pass();
    const second = await world.trigger("likes", { to: ["reader"], actor: person("bob"), data: { n: 2 } });
    await world.trigger("likes", { to: ["reader"], actor: person("ann"), data: { n: 3, last: true } });
    await world.pass();
    assert.deepEqual(await world.inbox("reader"), []);
    await world.pass(5_000);
    const [item, ...others] = await world.inbox("reader");
    assert.equal(others.length, 0);
    assert.equal(item?.content.body, "3 by 2: 1");
    assert.deepEqual(item?.data, { n: 3, last: true });
    assert.deepEqual(
      item?.origin?.activities?.map(({ data }) => data.n),
      [1, 2, 3],
    );
    assert.deepEqual([item?.origin?.totalActivities, item?.origin?.totalActors], [3, 2]);
    assert.deepEqual(await logOf(second), ["run_started", "batch_item_added batch"]);
    assert.deepEqual(await logOf(opener), [
      "run_started",
      "step_paused batch",
      "batch_closed batch",
      "step_resumed batch",
      "message_enqueued feed",
      "run_completed",
    ]);
  });

  test(`${world.dialect}: a batch keeps keys apart, and lets the first of a flush through at once`, async () => {
    await world.identify("keys");
    const settings = { batch_window: { unit: "seconds", value: 5 }, batch_execution_mode: "flush_leading" } as const;
    const batch: Step = { type: "batch", ref: "batch", settings: { ...settings, batch_key: "page" } };
    await world.put("visits", [batch, inApp("feed", "{{ data.page }} {{ total_activities }}")]);
    for (const page of ["a", "b", "a", "a"]) {
      await world.trigger("visits", { to: ["keys"], data: { page } });
      await world.pass();
    }
    const bodies = async () => (await world.inbox("keys")).map(({ content }) => content.body).toSorted();
    assert.deepEqual(await bodies(), ["a 1", "b 1"]);
    await world.pass(5_000);
    assert.deepEqual(await bodies(), ["a 1", "a 2", "b 1"]);
  });

  test(`${world.dialect}: a throttle lets so many through in its window`, async () => {
    await world.identify("calm");
    await world.identify("other");
    const settings = { throttle_limit: 2, throttle_window: { unit: "minutes", value: 1 } } as const;
    await world.put("noisy", [{ type: "throttle", ref: "gate", settings }, inApp("feed")]);
    const requests: string[] = [];
    for (const n of [1, 2, 3]) requests.push(await world.trigger("noisy", { to: ["calm"], data: { n } }));
    await world.trigger("noisy", { to: ["other"], data: { n: 9 } });
    await world.pass();
    assert.equal((await world.inbox("calm")).length, 2);
    assert.equal((await world.inbox("other")).length, 1);
    const logs = await Promise.all(requests.map(logOf));
    assert.equal(logs.filter((log) => log.includes("throttled gate")).length, 1);
    await world.pass(60_000);
    await world.trigger("noisy", { to: ["calm"], data: { n: 4 } });
    await world.pass();
    assert.equal((await world.inbox("calm")).length, 3);
  });

  test(`${world.dialect}: a run takes the first branch that holds, and a branch may end it`, async () => {
    await world.identify("forked");
    const branch: Step = {
      type: "branch",
      ref: "fork",
      branches: [
        {
          conditions: { all: [{ variable: "data.vip", operator: "equal_to", argument: "true" }] },
          steps: [inApp("vip", "vip")],
          terminates: true,
        },
        { conditions: null, steps: [inApp("usual", "usual")] },
      ],
    };
    await world.put("fork", [branch, inApp("after", "after")]);
    await world.trigger("fork", { to: ["forked"], data: { vip: true } });
    await world.trigger("fork", { to: ["forked"] });
    const bodies = (await world.inbox("forked")).map(({ content }) => content.body);
    assert.deepEqual(bodies.toSorted(), ["after", "usual", "vip"]);
  });

  test(`${world.dialect}: a fetch is tried again while the server fails, and its answer lies over the data`, async () => {
    await world.identify("fetcher");
    const settings = {
      method: "post",
      url: "https://api.example/{{ data.id }}",
      query_params: [{ key: "q", value: "{{ data.id }} x" }],
      headers: [{ key: "X-Key", value: "k" }],
      body: '{"id":"{{ data.id }}"}',
      signing_key: "secret",
    };
    await world.put("fetch", [
      { type: "http_fetch", ref: "fetch", settings },
      inApp("feed", "{{ data.name }} {{ data.id }}"),
    ]);
    const failed = { kind: "answered", status: 500, text: "" } as const;
    world.answers.push(failed, failed, { kind: "answered", status: 200, text: '{"name":"N","id":"new"}' });
    const requestId = await world.trigger("fetch", { to: ["fetcher"], data: { id: "7" } });
    await world.pass();
    assert.equal(world.fetched.length, 1);
    await world.pass(30_000);
    assert.equal(world.fetched.length, 2);
    await world.pass(59_000);
    assert.deepEqual(await world.inbox("fetcher"), []);
    await world.pass(1_000);
    assert.equal((await world.inbox("fetcher"))[0]?.content.body, "N new");
    const [first] = world.fetched.splice(0);
    assert.deepEqual([first?.method, first?.url, first?.body], ["POST", "https://api.example/7?q=7+x", '{"id":"7"}']);
    assert.match(first?.headers["x-knock-signature"] ?? "", /^t=\d{13},s=[\w+/]{43}=$/);
    const log = await logOf(requestId);
    assert.deepEqual(log, [
      "run_started",
      "step_failed fetch !",
      "step_failed fetch !",
      "message_enqueued feed",
      "run_completed",
    ]);

    world.answers.push({ kind: "answered", status: 404, text: "" });
    const missing = await world.trigger("fetch", { to: ["fetcher"], data: { id: "8" } });
    await world.pass();
    assert.deepEqual(await logOf(missing), ["run_started", "step_failed fetch !", "run_completed"]);
    assert.equal((await world.inbox("fetcher")).length, 1);
  });

  test(`${world.dialect}: what is cancelled in a delay sends nothing`, async () => {
    await world.identify("patient");
    const delay: Step = { type: "delay", ref: "wait", settings: { delay_for: { unit: "days", value: 3 } } };
    await world.put("later", [delay, inApp("feed")]);
    const requestId = await world.trigger("later", { to: ["patient"], cancellationKey: "c1" });
    assert.equal(await world.engine.workflows.cancel(env, "later", "unknown", null), 0);
    assert.equal(await world.engine.workflows.cancel(env, "later", "c1", null), 1);
    await world.pass(4 * 24 * 3_600_000);
    assert.deepEqual(await world.inbox("patient"), []);
    const [run] = await runsOf(requestId);
    assert.deepEqual([run?.state, run?.run?.status], ["canceled", "cancelled"]);
    assert.deepEqual(await logOf(requestId), ["run_started", "step_paused wait", "run_cancelled"]);
  });

  test(`${world.dialect}: a step that cannot be rendered is tried three times, then the run is over`, async () => {
    await world.identify("unlucky");
    await world.put("broken", [inApp("good", "good"), inApp("bad", "{{ broken"), inApp("never")]);
    const requestId = await world.trigger("broken", { to: ["unlucky"] });
    await world.pass();
    assert.deepEqual(
      (await world.inbox("unlucky")).map(({ content }) => content.body),
      ["good"],
    );
    const failed = "step_failed bad !";
    assert.deepEqual(await logOf(requestId), [
      "run_started",
      "message_enqueued good",
      failed,
      failed,
      failed,
      "run_completed",
    ]);
  });

  test(`${world.dialect}: a workflow that is switched off ends its runs at their next step after a wait`, async () => {
    await world.identify("waiter");
    const delay: Step = { type: "delay", ref: "wait", settings: { delay_for: { unit: "minutes", value: 1 } } };
    await world.put("off", [delay, inApp("feed")]);
    const requestId = await world.trigger("off", { to: ["waiter"] });
    await world.activate("off", false);
    await world.pass(60_000);
    assert.deepEqual(await world.inbox("waiter"), []);
    assert.deepEqual(await logOf(requestId), ["run_started", "step_paused wait", "run_completed workflow_inactive"]);
    await assert.rejects(world.trigger("off", { to: ["waiter"] }), { code: "conflict", field: "workflow" });
    await assert.rejects(world.trigger("unknown"), { code: "not_found", field: "workflow" });
  });
}
