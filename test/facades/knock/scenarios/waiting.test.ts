/** Contract H: what waits, for time, for others or for an answer. Each test has the number of its scenario. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { httpReceiver } from "../../../support/http-receiver.ts";
import { forEachKnock, type KnockTarget } from "../knock-target.ts";
import { commit, feedOf, IN_APP, idle } from "../running/workflow.ts";

const SECOND = 1_000;
const TOTALS = { ...IN_APP, template: { markdown_body: "{{ total_activities }} on {{ data.page_id }}" } };

function batch(settings: object = {}): object {
  return { ref: "batch", type: "batch", settings: { batch_window: { unit: "seconds", value: 5 }, ...settings } };
}

/** One trigger after the other, each done with before the next. */
async function triggerInTurn(target: KnockTarget, key: string, userId: string, each: readonly object[]): Promise<void> {
  for (const more of each) {
    await target.knock.workflows.trigger(key, { recipients: [{ id: userId }], ...more });
    await idle(target);
  }
}

async function pass(target: KnockTarget, ms: number): Promise<void> {
  target.clock.advance(ms);
  await idle(target);
}

interface Item {
  readonly id: string;
  readonly total_activities: number;
  readonly activities: readonly { readonly data: { readonly n: number } }[];
  readonly blocks: readonly { readonly rendered: string }[];
}

/** In the order in which they came. */
async function itemsOf(target: KnockTarget, userId: string): Promise<readonly Item[]> {
  return (await feedOf(target, userId)).entries.toReversed();
}

const numbersOf = ({ activities }: Item): number[] => activities.map(({ data }) => data.n);

async function runsOf(target: KnockTarget, key: string, userId: string) {
  const page = await target.knock.workflowRecipientRuns.list({ workflow: key, recipient: userId });
  return await Promise.all(page.items.map(({ id }) => target.knock.workflowRecipientRuns.get(id)));
}

forEachKnock((name, open) => {
  test(`${name}: 29. six triggers over two batch keys are two items of three`, async () => {
    const target = await open();
    await commit(target, "visits", [batch({ batch_key: "data.page_id" }), TOTALS]);
    const each = ["A", "B", "A", "B", "B", "A"].map((page_id, n) => ({ data: { page_id, n } }));
    await triggerInTurn(target, "visits", "w29", each);
    assert.deepEqual(await itemsOf(target, "w29"), []);
    await pass(target, 5 * SECOND);
    const items = await itemsOf(target, "w29");
    assert.deepEqual(items.map((item) => item.blocks[0]?.rendered.trim()).sort(), ["<p>3 on A</p>", "<p>3 on B</p>"]);
    assert.deepEqual(items.map(numbersOf).sort(), [
      [0, 2, 5],
      [1, 3, 4],
    ]);
  });

  test(`${name}: 30. one of three cancelled leaves two activities, all of them no message`, async () => {
    const target = await open();
    await commit(target, "undone", [batch(), TOTALS]);
    const keys = ["k0", "k1", "k2"];
    const each = keys.map((cancellation_key, n) => ({ data: { n }, cancellation_key }));
    for (const gone of keys) {
      const user = `w30-${gone}`;
      await triggerInTurn(target, "undone", user, each);
      await target.knock.workflows.cancel("undone", { cancellation_key: gone, recipients: [user] });
      await pass(target, 5 * SECOND);
      const [item, ...more] = await itemsOf(target, user);
      assert.deepEqual([item?.total_activities, more.length], [2, 0], `without ${gone}`);
      assert.deepEqual(
        numbersOf(item as Item),
        [0, 1, 2].filter((n) => keys[n] !== gone),
      );
    }
    await triggerInTurn(target, "undone", "w30-all", each);
    for (const cancellation_key of keys) await target.knock.workflows.cancel("undone", { cancellation_key });
    await pass(target, 10 * SECOND);
    assert.deepEqual(await itemsOf(target, "w30-all"), []);
    const runs = await runsOf(target, "undone", "w30-all");
    assert.deepEqual(
      [...new Set(runs.map(({ status }) => status))].filter((s) => s === "paused" || s === "queued"),
      [],
    );
    assert.equal((await target.call("GET", "/users/w30-all/messages")).body.items.length, 0);
  });

  test(`${name}: 31. the first of a flush goes at once, the others together, and alone it stays one message`, async () => {
    const target = await open();
    await commit(target, "flushed", [batch({ batch_execution_mode: "flush_leading" }), TOTALS]);
    await triggerInTurn(target, "flushed", "w31", [{ data: { n: 0 } }]);
    assert.deepEqual((await itemsOf(target, "w31")).map(numbersOf), [[0]]);
    await triggerInTurn(target, "flushed", "w31", [{ data: { n: 1 } }, { data: { n: 2 } }]);
    assert.equal((await itemsOf(target, "w31")).length, 1);
    await triggerInTurn(target, "flushed", "w31-alone", [{ data: { n: 0 } }]);
    await pass(target, 5 * SECOND);
    assert.deepEqual((await itemsOf(target, "w31")).map(numbersOf), [[0], [1, 2]]);
    await pass(target, 60 * SECOND);
    const alone = await itemsOf(target, "w31-alone");
    assert.deepEqual(
      alone.map(({ total_activities }) => total_activities),
      [1],
    );
  });

  test(`${name}: 32. a mail after a delay is left out for whom has seen the item meanwhile`, async () => {
    const target = await open();
    const email = {
      ref: "email",
      type: "channel",
      channel_key: "email",
      template: { subject: "You missed something", html_body: "<p>x</p>" },
      conditions: {
        all: [{ variable: "refs.in_app.engagement_status", operator: "not_contains", argument: "$message.seen" }],
      },
    };
    const delay = { ref: "wait", type: "delay", settings: { delay_for: { unit: "minutes", value: 10 } } };
    await commit(target, "reminder", [IN_APP, delay, email]);
    const mails = async (userId: string): Promise<number> => {
      const { items } = (await target.call("GET", `/users/${userId}/messages`)).body;
      return items.filter(({ channel }: { channel: { type: string } }) => channel.type === "email").length;
    };
    for (const id of ["w32-seen", "w32-not"]) {
      await target.knock.workflows.trigger("reminder", { recipients: [{ id, email: `${id}@example.com` }] });
    }
    const [item] = await itemsOf(target, "w32-seen");
    await target.asClient()("PUT", `/messages/${item?.id}/seen`);
    await pass(target, 9 * 60 * SECOND);
    assert.deepEqual([await mails("w32-seen"), await mails("w32-not")], [0, 0]);
    await pass(target, 60 * SECOND);
    assert.deepEqual([await mails("w32-seen"), await mails("w32-not")], [0, 1]);
    const [run] = await runsOf(target, "reminder", "w32-seen");
    const skipped = run?.events.find(({ event }) => event === "step_skipped");
    assert.deepEqual([skipped?.step_ref, (skipped?.data as { reason?: string })?.reason], ["email", "conditions"]);
    assert.equal(run?.status, "completed");
  });

  test(`${name}: 34. a throttle lets two of three through, for each recipient, and again when its window is over`, async () => {
    const target = await open();
    const settings = { throttle_limit: 2, throttle_window: { unit: "minutes", value: 1 } };
    await commit(target, "calm", [{ ref: "throttle", type: "throttle", settings }, IN_APP]);
    await triggerInTurn(target, "calm", "w34", [{}, {}, {}]);
    await triggerInTurn(target, "calm", "w34-other", [{}]);
    assert.equal((await itemsOf(target, "w34")).length, 2);
    assert.equal((await itemsOf(target, "w34-other")).length, 1);
    const runs = await runsOf(target, "calm", "w34");
    assert.equal(runs.filter(({ events }) => events.some(({ event }) => event === "throttled")).length, 1);
    await pass(target, 60 * SECOND);
    await triggerInTurn(target, "calm", "w34", [{}]);
    assert.equal((await itemsOf(target, "w34")).length, 3);
  });

  test(`${name}: 42. what is fetched lies over the data; a server that fails is asked three times; 404 ends the run`, async (t) => {
    const target = await open();
    const receiver = await httpReceiver();
    t.after(() => receiver.close());
    const settings = {
      method: "post",
      url: `${receiver.url}/orders/{{ data.order }}`,
      headers: [{ key: "x-key", value: "{{ recipient.id }}" }],
      body: '{"order":"{{ data.order }}"}',
    };
    const said = { ...IN_APP, template: { markdown_body: "{{ data.name }} {{ data.deep | json }} {{ data.order }}" } };
    await commit(target, "fetched", [{ ref: "fetch", type: "http_fetch", settings }, said]);
    const json = (body: object) => ({
      status: 200,
      headers: { "content-type": "application/json" },
      body: JSON.stringify(body),
    });

    receiver.answer(json({ name: "N", deep: { b: 2 } }));
    await triggerInTurn(target, "fetched", "w42", [{ data: { order: "7", deep: { a: 1 } } }]);
    assert.equal((await itemsOf(target, "w42"))[0]?.blocks[0]?.rendered.trim(), "<p>N {&quot;b&quot;:2} 7</p>");
    const [asked] = await receiver.received(1);
    assert.deepEqual([asked?.method, asked?.url, asked?.headers["x-key"]], ["POST", "/orders/7", "w42"]);
    assert.deepEqual(asked?.json(), { order: "7" });

    receiver.answer({ status: 500 }, { status: 500 }, json({ name: "late" }));
    await triggerInTurn(target, "fetched", "w42-late", [{ data: { order: "8" } }]);
    const counted = receiver.requests.length;
    await pass(target, 29 * SECOND);
    assert.equal(receiver.requests.length, counted);
    await pass(target, SECOND);
    assert.equal(receiver.requests.length, counted + 1);
    await pass(target, 59 * SECOND);
    assert.equal((await itemsOf(target, "w42-late")).length, 0);
    await pass(target, SECOND);
    assert.match((await itemsOf(target, "w42-late"))[0]?.blocks[0]?.rendered ?? "", /late/);

    receiver.answer({ status: 404 });
    await triggerInTurn(target, "fetched", "w42-gone", [{ data: { order: "9" } }]);
    assert.equal((await itemsOf(target, "w42-gone")).length, 0);
    const [run] = await runsOf(target, "fetched", "w42-gone");
    assert.equal(run?.status, "completed");
    assert.equal(run?.error_count, 1);
    const failed = run?.events
      .filter(({ status }) => status === "error")
      .map(({ event, step_ref }) => [event, step_ref]);
    assert.deepEqual(failed, [["step_failed", "fetch"]]);
  });
});
