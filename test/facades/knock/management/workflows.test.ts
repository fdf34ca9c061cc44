import assert from "node:assert/strict";
import { test } from "node:test";
import { forEachKnock, type KnockTarget } from "../knock-target.ts";
import { IN_APP, pushed, workflow } from "./pushing.ts";

forEachKnock((name, open) => {
  const feedOf = async (target: KnockTarget, userId: string) =>
    (await target.call("GET", `/users/${userId}/feeds/${target.feedId}`)).body.entries;

  test(`${name}: what is pushed is a draft until it is committed; triggers run what is committed`, async () => {
    const target = await open();
    const { call, knock } = target;
    const draft = await call("PUT", "/workflows/greeting?environment=development", workflow("one"));
    assert.equal(draft.status, 200, draft.text);
    assert.equal(draft.body.workflow.active, false);
    const early = await call("POST", "/workflows/greeting/trigger", { recipients: [{ id: "w1" }] });
    assert.deepEqual([early.status, early.body.code], [404, "workflow_missing"]);
    assert.equal((await call("GET", "/workflows/greeting?hide_uncommitted_changes=true")).status, 404);

    const committed = await pushed(target, "greeting", "two");
    assert.equal(committed.active, true);
    await call("PUT", "/workflows/greeting", workflow("three"));
    await knock.workflows.trigger("greeting", { recipients: [{ id: "w1", name: "W" }] });
    assert.match((await feedOf(target, "w1"))[0].blocks[0].rendered, /two/);

    const bodyOf = async (query = "") =>
      (await call("GET", `/workflows/greeting${query}`)).body.steps[0].template.markdown_body;
    assert.equal(await bodyOf(), "three");
    assert.equal(await bodyOf("?hide_uncommitted_changes=true"), "two");
    await pushed(target, "greeting", "four");
    await knock.workflows.trigger("greeting", { recipients: ["w1"] });
    assert.match((await feedOf(target, "w1"))[0].blocks[0].rendered, /four/);
    assert.equal(await bodyOf("?hide_uncommitted_changes=true"), "four");
  });

  test(`${name}: what says the same as before is no change, unless it is to be`, async () => {
    const target = await open();
    const commits = async () => (await target.call("GET", "/commits?resource_id=same")).body.entries.length;
    const first = await pushed(target, "same", "one");
    assert.equal(first.sha, (await pushed(target, "same", "one")).sha);
    assert.equal(await commits(), 1);
    await target.call("PUT", "/workflows/same", workflow("two"));
    await target.call("PUT", "/workflows/same", workflow("one"));
    await target.call("PUT", "/commits");
    assert.equal(await commits(), 1, "a draft that was taken back is none");
    await target.call("PUT", "/workflows/same?commit=true&allow_empty=true&commit_message=again", workflow("one"));
    const { entries } = (await target.call("GET", "/commits?resource_id=same")).body;
    assert.deepEqual(
      entries.map((one: { commit_message: string | null }) => one.commit_message),
      ["again", null],
    );
  });

  test(`${name}: an invalid workflow is refused with all its faults, and nothing is kept`, async () => {
    const { call } = await open();
    const steps = [
      { ...IN_APP, template: { markdown_body: "Hi {% if %}" } },
      { type: "channel", ref: "b", channel_key: "nope", template: {} },
      { type: "wait_for_event", ref: "c" },
    ];
    for (const path of ["/workflows/bad?commit=true", "/workflows/bad/validate"]) {
      const answer = await call("PUT", path, { workflow: { name: "B", steps } });
      assert.deepEqual([answer.status, answer.body.code], [422, "invalid_params"], answer.text);
      assert.deepEqual(
        answer.body.errors.map(({ field }: { field: string }) => field),
        ["steps[0].template.markdown_body", "steps[1].channel_key", "steps[2].type"],
      );
    }
    assert.equal((await call("GET", "/workflows/bad")).status, 404);
    for (const body of [undefined, {}, { workflow: null }, { workflow: [] }, [], "[]", { workflow: { steps: [] } }]) {
      assert.equal((await call("PUT", "/workflows/bad", body)).status, 422, JSON.stringify(body));
    }
    assert.equal((await call("PUT", "/workflows/a%20b", workflow("x"))).status, 422);
    assert.equal((await call("PUT", "/workflows/a%00b", workflow("x"))).status, 422);
    const deep = `{"workflow":${"[".repeat(100_000)}${"]".repeat(100_000)}}`;
    assert.equal((await call("PUT", "/workflows/bad", deep)).status, 422);
    assert.equal((await call("PUT", "/workflows/bad", '{"workflow":{"__proto__":{"name":"x"}}}')).status, 422);
    assert.equal((await call("PUT", "/workflows/bad", workflow("x".repeat(10_000_000)))).status, 413);
    assert.equal((await call("PUT", "/workflows/bad", workflow("x".repeat(5_000_000)))).status, 422);
    assert.equal((await call("PUT", "/workflows/bad", workflow("a\0b"))).status, 422);
  });

  test(`${name}: validate keeps nothing`, async () => {
    const { call } = await open();
    const answer = await call("PUT", "/workflows/only-checked/validate?environment=development", workflow("x"));
    assert.equal(answer.status, 200);
    assert.equal(answer.body.workflow.steps[0].channel_type, "in_app_feed");
    assert.equal((await call("GET", "/workflows/only-checked")).status, 404);
  });

  test(`${name}: switched off and on, by the body or the query`, async () => {
    const target = await open();
    const { call } = target;
    await pushed(target, "switch", "x");
    const active = async () => (await call("GET", "/workflows/switch")).body.active;
    assert.equal((await call("PUT", "/workflows/switch/activate?status=false", {})).body.workflow.active, false);
    assert.equal(await active(), false);
    const refused = await call("POST", "/workflows/switch/trigger", { recipients: [{ id: "s1" }] });
    assert.deepEqual([refused.status, refused.body.code], [422, "workflow_inactive"]);
    await pushed(target, "switch", "y");
    assert.equal(await active(), false, "a commit leaves it off");
    assert.equal((await call("PUT", "/workflows/switch/activate", { status: true })).body.workflow.active, true);
    assert.equal(
      (await call("PUT", "/workflows/switch/activate?status=true", { status: false })).body.workflow.active,
      false,
    );
    assert.equal((await call("PUT", "/workflows/switch/activate")).body.workflow.active, true);
    assert.equal((await call("PUT", "/workflows/switch/activate", { status: "no" })).status, 422);
    assert.equal((await call("PUT", "/workflows/none/activate", {})).status, 404);
  });

  test(`${name}: lists by key in pages, both ways`, async () => {
    const target = await open();
    const other = await target.another();
    const keys = ["list-a", "list-b", "list-c", "list-d", "list-e"];
    for (const key of keys) await other.call("PUT", `/workflows/${key}?commit=${key !== "list-c"}`, workflow("x"));
    const page = async (query: string) => {
      const { body } = await other.call("GET", `/workflows?environment=development&${query}`);
      return { keys: body.entries.map(({ key }: { key: string }) => key), info: body.page_info };
    };
    const first = await page("limit=2");
    assert.deepEqual(first.keys, ["list-a", "list-b"]);
    const second = await page(`limit=2&after=${first.info.after}`);
    assert.deepEqual(second.keys, ["list-c", "list-d"]);
    const third = await page(`limit=2&after=${second.info.after}`);
    assert.deepEqual([third.keys, third.info.after], [["list-e"], null]);
    assert.deepEqual((await page(`limit=2&before=${third.info.before}`)).keys, ["list-c", "list-d"]);
    assert.deepEqual((await page("hide_uncommitted_changes=true")).keys, ["list-a", "list-b", "list-d", "list-e"]);
    assert.equal((await other.call("GET", "/workflows?after=nonsense")).status, 422);
    assert.equal((await target.call("GET", "/workflows/list-a")).status, 404, "of another environment");
  });

  test(`${name}: a test run is a run of what is committed`, async () => {
    const target = await open();
    const { call } = target;
    assert.equal((await call("PUT", "/workflows/tried/run", { recipients: ["r1"] })).body.code, "workflow_missing");
    await pushed(target, "tried", "Hi {{ data.x }}");
    const run = await call("PUT", "/workflows/tried/run?environment=development", {
      recipients: [{ id: "r1", name: "R" }],
      data: { x: "there" },
    });
    assert.equal(run.status, 200, run.text);
    assert.match(run.body.workflow_run_id, /^[0-9a-f-]{36}$/);
    assert.match((await feedOf(target, "r1"))[0].blocks[0].rendered, /Hi there/);
    assert.equal((await call("PUT", "/workflows/tried/run", {})).status, 422);
  });

  test(`${name}: writers at once lose nothing and are never told of a conflict`, async () => {
    const target = await open();
    const answers = await Promise.all(
      Array.from({ length: 10 }, (_, i) => target.call("PUT", "/workflows/raced?commit=true", workflow(`body ${i}`))),
    );
    assert.deepEqual(new Set(answers.map(({ status }) => status)), new Set([200]));
    const { entries } = (await target.call("GET", "/commits?resource_id=raced&resource_type=workflow")).body;
    assert.equal(entries.length, 10);
  });

  test(`${name}: a fault of a template is told once, with its path before it and not in it`, async () => {
    const { call } = await open();
    const faults = async (channel_key: string, template: object) => {
      const steps = [{ type: "channel", ref: "s", channel_key, template }];
      const { body } = await call("PUT", "/workflows/faulty/validate", { workflow: { name: "W", steps } });
      return body.errors.map(({ field, message }: { field: string; message: string }) => `${field} ${message}`);
    };
    assert.deepEqual(await faults("in-app", { markdown_body: "x", action_buttons: [{ action: "a" }] }), [
      "steps[0].template.action_buttons[0].label is required",
    ]);
    const [block] = await faults("email", { subject: "s", visual_blocks: [{ type: "nope" }] });
    assert.match(block ?? "", /^steps\[0\]\.template\.visual_blocks\[0\]\.type must be markdown, /);
    assert.deepEqual(await faults("email", { subject: "s", html_body: "a\n{{ x" }), [
      'steps[0].template.html_body output "{{ x" not closed (line 2)',
    ]);
  });

  test(`${name}: environments answer to two names, branches to none; a public key may not author`, async () => {
    const target = await open();
    const { call } = target;
    assert.equal((await call("GET", "/workflows?environment=production")).status, 200);
    assert.equal((await call("GET", "/workflows?environment=staging")).status, 404);
    assert.equal((await call("GET", "/workflows?branch=mine")).status, 404);
    const group = { name: "G", channel_type: "email", channel_rules: [] };
    assert.equal((await call("PUT", "/channel_groups/g", { channel_group: group })).status, 200);
    assert.equal((await call("PUT", "/preference_categories/c", {})).status, 200);
    // What is meant for a branch, or for another environment, is done to none.
    for (const path of ["/channel_groups/g", "/preference_categories/c", "/guides/x"]) {
      for (const elsewhere of ["branch=mine", "environment=staging"]) {
        const { status, body } = await call("DELETE", `${path}?${elsewhere}`);
        assert.equal(status, 404, path);
        assert.match(body.message, /^(Branch|Environment) /, path);
      }
    }
    assert.equal((await call("PUT", "/preference_categories/other?branch=mine", {})).status, 404);
    assert.equal((await call("GET", "/channel_groups/g")).status, 200);
    assert.equal((await call("GET", "/preference_categories")).body.entries.length, 1);
    assert.equal((await call("PUT", "/workflows/elsewhere?environment=production", workflow("x"))).status, 422);
    assert.equal(
      (await call("PUT", "/workflows/elsewhere?environment=production&force=true", workflow("x"))).status,
      200,
    );
    const denied = await target.asClient()("GET", "/workflows");
    assert.deepEqual([denied.status, denied.body.code], [401, "incorrect_token_type"]);
    const service = { authorization: `Bearer knock_st_${target.secretKey}` };
    assert.equal((await call("GET", "/workflows", undefined, service)).status, 200);
  });
});
