import assert from "node:assert/strict";
import { test } from "node:test";
import { Refusal } from "../../../engine/refusal.ts";
import { checkConditions } from "../../../engine/workflow/condition-checks.ts";
import type { KnockError } from "../errors.ts";
import { checkWorkflow, type WorkflowWorld } from "./check-workflow.ts";

const WORLD: WorkflowWorld = {
  language: {
    checkTemplate(type, template) {
      const body = template.markdown_body;
      if (type === "in_app_feed" && (typeof body !== "string" || body.includes("{{ bad"))) {
        throw new Refusal("invalid", "template.markdown_body: does not parse", { field: "template.markdown_body" });
      }
    },
    checkText(text, field) {
      if (text.includes("{{ bad")) throw new Refusal("invalid", `${field}: does not parse`, { field });
    },
  },
  checkConditions,
  typeOf: (key) => (({ "in-app": "in_app_feed", email: "email", push: "push" }) as const)[key],
  typeOfGroup: (key) => (key === "phones" ? "push" : undefined),
};

const IN_APP = { type: "channel", ref: "feed_1", channel_key: "in-app", template: { markdown_body: "Hi" } };

function check(source: object) {
  return checkWorkflow("wf", { name: "W", ...source }, WORLD);
}

/** Fields at fault, sorted. */
function faults(source: unknown): readonly string[] {
  try {
    checkWorkflow("wf", source, WORLD);
  } catch (error) {
    const { status, errors } = error as KnockError;
    assert.equal(status, 422);
    return (errors ?? []).map(({ field }) => field).sort();
  }
  return [];
}

function stepFaults(...steps: unknown[]): readonly string[] {
  return faults({ name: "W", steps });
}

const inBranches = (depth: number): object =>
  depth === 0 ? IN_APP : { type: "branch", branches: [{ conditions: null, steps: [inBranches(depth - 1)] }] };

test("what belongs to the author's files, and what nobody knows, is dropped", () => {
  const workflow = check({
    $schema: "https://x.io/schema",
    key: "another",
    __readonly: { active: true },
    "steps@": "steps.json",
    active: false,
    steps: [{ ...IN_APP, extra: 1, template: { "markdown_body@": "feed_1/body.md", markdown_body: "Hi", odd: 2 } }],
  });
  assert.deepEqual(workflow, {
    key: "wf",
    name: "W",
    steps: [
      {
        type: "channel",
        ref: "feed_1",
        channel_key: "in-app",
        channel_type: "in_app_feed",
        template: { markdown_body: "Hi" },
      },
    ],
  });
});

test("a schema for triggers keeps its odd keys, and has to be one", () => {
  const schema = {
    $schema: "https://json-schema.org/draft/2020-12/schema",
    type: "object",
    required: ["to@"],
    properties: { "to@": { type: "string" } },
  };
  const { $schema: _, ...kept } = schema;
  assert.deepEqual(check({ steps: [], trigger_data_json_schema: schema }).trigger_data_json_schema, kept);
  const wrong = { type: "object", properties: { a: { type: "strin" } } };
  assert.deepEqual(faults({ name: "W", steps: [], trigger_data_json_schema: wrong }), [
    "trigger_data_json_schema.properties.a.type",
  ]);
  const dangling = { $ref: "#/definitions/none" };
  assert.deepEqual(faults({ name: "W", steps: [], trigger_data_json_schema: dangling }), ["trigger_data_json_schema"]);
});

test("refs: unique, and made up where there is none", () => {
  const { ref: _, ...without } = IN_APP;
  const refs = check({ steps: [without, { ...IN_APP, ref: "in_app_feed_2" }, without] }).steps.map(({ ref }) => ref);
  assert.deepEqual(refs, ["in_app_feed_1", "in_app_feed_2", "in_app_feed_3"]);
  assert.deepEqual(stepFaults(IN_APP, IN_APP), ["steps[1].ref"]);
  assert.deepEqual(stepFaults({ ...IN_APP, ref: "a.b" }), ["steps[0].ref"]);
});

test("faults of templates and texts stand under the step's path", () => {
  const bad = { ...IN_APP, template: { markdown_body: "{{ bad" } };
  assert.deepEqual(stepFaults(bad), ["steps[0].template.markdown_body"]);
  const branch = { type: "branch", branches: [{ conditions: null, steps: [bad] }] };
  assert.deepEqual(stepFaults(branch), ["steps[0].branches[0].steps[0].template.markdown_body"]);
  const fetch = { type: "http_fetch", settings: { method: "get", url: "https://x.io/{{ bad" } };
  assert.deepEqual(stepFaults(fetch), ["steps[0].settings.url"]);
});

test("channels have to be there, once, of the type that is said", () => {
  const step = (more: object) => ({ ...IN_APP, channel_key: undefined, ...more });
  assert.deepEqual(stepFaults(step({})), ["steps[0].channel_key"]);
  assert.deepEqual(stepFaults(step({ channel_key: "nope" })), ["steps[0].channel_key"]);
  assert.deepEqual(stepFaults(step({ channel_group_key: "nope" })), ["steps[0].channel_group_key"]);
  assert.deepEqual(stepFaults(step({ channel_key: "email", channel_group_key: "phones" })), [
    "steps[0].channel_group_key",
  ]);
  assert.deepEqual(stepFaults(step({ channel_key: "in-app", channel_type: "email" })), ["steps[0].channel_type"]);
  assert.deepEqual(stepFaults(step({ channel_key: "in-app", channel_type: "in_app_guide" })), [
    "steps[0].channel_type",
  ]);
  const [grouped] = check({
    steps: [step({ channel_group_key: "phones", template: { title: "T", text_body: "B" } })],
  }).steps;
  assert.equal(grouped?.type === "channel" && grouped.channel_type, "push");
});

test("steps that this server does not do are refused", () => {
  const types = ["wait_for_event", "ai_agent", "in_app_guide", "nonsense", "__proto__", "constructor"];
  for (const type of types) assert.deepEqual(stepFaults({ type, ref: "a" }), ["steps[0].type"], type);
  assert.deepEqual(stepFaults({ ref: "a" }), ["steps[0].type"]);
});

test("limits of waits, batches and throttles", () => {
  const delay = (settings: object) => stepFaults({ type: "delay", settings });
  const days = (value: unknown, unit = "days") => ({ delay_for: { unit, value } });
  assert.deepEqual(delay(days(365)), []);
  assert.deepEqual(delay(days(12, "months")), []);
  assert.deepEqual(delay(days(366)), ["steps[0].settings.delay_for.value"]);
  assert.deepEqual(delay(days(13, "months")), ["steps[0].settings.delay_for.value"]);
  assert.deepEqual(delay(days(-1)), ["steps[0].settings.delay_for.value"]);
  assert.deepEqual(delay(days("1")), ["steps[0].settings.delay_for.value"]);
  assert.deepEqual(delay(days(1, "eons")), ["steps[0].settings.delay_for.unit"]);
  assert.deepEqual(delay({ ...days(-1), delay_until_field_path: "data.due" }), []);
  assert.deepEqual(delay({ delay_until_field_path: "{{ data.due }}" }), ["steps[0].settings.delay_until_field_path"]);
  assert.deepEqual(delay({}), ["steps[0].settings"]);
  assert.deepEqual(stepFaults({ type: "delay" }), ["steps[0].settings"]);

  const throttle = (settings: object) => stepFaults({ type: "throttle", settings });
  const window = (value: number) => ({ throttle_window: { unit: "days", value } });
  assert.deepEqual(throttle(window(31)), []);
  assert.deepEqual(throttle(window(32)), ["steps[0].settings.throttle_window.value"]);
  assert.deepEqual(throttle({ ...window(1), throttle_limit: 0 }), ["steps[0].settings.throttle_limit"]);
  assert.deepEqual(throttle({ ...window(1), throttle_key: "k".repeat(64) }), ["steps[0].settings.throttle_key"]);

  const batch = (settings: object) => stepFaults({ type: "batch", settings });
  const wait = { batch_window: { unit: "seconds", value: 5 } };
  assert.deepEqual(batch({ ...wait, batch_items_max_limit: 1000, batch_items_render_limit: 100 }), []);
  assert.deepEqual(batch({ ...wait, batch_items_max_limit: 1, batch_items_render_limit: 101 }), [
    "steps[0].settings.batch_items_max_limit",
    "steps[0].settings.batch_items_render_limit",
  ]);
  assert.deepEqual(batch({ batch_key: "data.x" }), ["steps[0].settings"]);
  assert.deepEqual(batch({ ...wait, batch_order: null, batch_window_type: "odd" }), [
    "steps[0].settings.batch_window_type",
  ]);
  const conditions = { all: [{ variable: "data.x", operator: "exists" }] };
  assert.deepEqual(stepFaults({ type: "batch", settings: wait, conditions }), ["steps[0].conditions"]);
});

test("branches: at most ten, five deep, only the last without conditions", () => {
  const conditions = { all: [{ variable: "data.x", operator: "exists" }] };
  const branch = (...branches: object[]) => stepFaults({ type: "branch", branches });
  assert.deepEqual(branch({ conditions, steps: [] }, { conditions: null, steps: [] }), []);
  assert.deepEqual(branch({ conditions: null, steps: [] }, { conditions, steps: [] }), [
    "steps[0].branches[0].conditions",
  ]);
  assert.deepEqual(branch(...Array.from({ length: 11 }, () => ({ conditions, steps: [] }))), ["steps[0].branches"]);
  assert.deepEqual(stepFaults({ type: "branch" }), ["steps[0].branches"]);
  assert.deepEqual(stepFaults(inBranches(5)), []);
  assert.equal(stepFaults(inBranches(6)).length, 1);
  assert.equal(stepFaults(inBranches(60)).length, 1);
});

test("cohorts come to a hundred", () => {
  const cohorts = (...percentages: number[]) =>
    stepFaults({
      type: "random_cohort",
      cohort_branches: percentages.map((percentage) => ({ percentage, steps: [] })),
    });
  assert.deepEqual(cohorts(50, 50), []);
  assert.deepEqual(cohorts(33.33, 33.33, 33.34), []);
  assert.deepEqual(cohorts(33.33, 33.33, 33.33), []);
  assert.deepEqual(cohorts(50, 40), ["steps[0].cohort_branches"]);
  assert.deepEqual(cohorts(100), ["steps[0].cohort_branches"]);
});

test("send windows, overrides and conditions", () => {
  const windows = (...send_windows: object[]) => stepFaults({ ...IN_APP, send_windows });
  assert.deepEqual(windows({ day: "monday", type: "send", from: "09:00", until: "17:30:00" }), []);
  assert.deepEqual(windows({ day: "monday", type: "send" }, { day: "monday", type: "do_not_send" }), [
    "steps[0].send_windows[1].day",
  ]);
  assert.deepEqual(windows({ day: "monday", type: "send", from: "25:00" }), ["steps[0].send_windows[0].from"]);
  const mail = { type: "channel", channel_key: "email", template: { subject: "S", html_body: "<p>" } };
  const [step] = check({
    steps: [{ ...mail, channel_overrides: { to_address: "a@x.io", odd: 1, link_tracking: true } }],
  }).steps;
  assert.deepEqual(step?.type === "channel" && step.channel_overrides, { to_address: "a@x.io", link_tracking: true });
  assert.deepEqual(stepFaults({ ...mail, channel_overrides: { link_tracking: "yes" } }), [
    "steps[0].channel_overrides.link_tracking",
  ]);
  assert.deepEqual(stepFaults({ ...IN_APP, conditions: { all: [{ variable: "data.x", operator: "is" }] } }), [
    "steps[0].conditions.all[0].operator",
  ]);
});

test("steps that change and trigger", () => {
  assert.deepEqual(stepFaults({ type: "trigger_workflow", settings: { workflow_key: "other" } }), []);
  assert.deepEqual(stepFaults({ type: "trigger_workflow", settings: {} }), ["steps[0].settings.workflow_key"]);
  assert.deepEqual(stepFaults({ type: "update_data", settings: { data: '{"a": {{ data.b | json }}}' } }), []);
  assert.deepEqual(stepFaults({ type: "update_data", settings: { data: [1] } }), ["steps[0].settings.data"]);
  const update = { update_properties: { plan: "pro" } };
  assert.deepEqual(stepFaults({ type: "update_user", settings: update }), []);
  assert.deepEqual(stepFaults({ type: "update_user", settings: { ...update, recipient_mode: "reference" } }), [
    "steps[0].settings.recipient_gid",
  ]);
  assert.deepEqual(stepFaults({ type: "update_object", settings: update }), ["steps[0].settings.recipient_gid"]);
});

test("hostile input is refused, quickly", () => {
  assert.deepEqual(faults(null), ["workflow"]);
  assert.deepEqual(faults([]), ["workflow"]);
  assert.deepEqual(faults({}), ["name", "steps"]);
  assert.deepEqual(faults({ name: 1, steps: {} }), ["name", "steps"]);
  assert.deepEqual(faults({ name: "a\0b", steps: [] }), ["name"]);
  assert.deepEqual(faults({ name: "a\ud800", steps: [] }), ["name"]);
  assert.deepEqual(stepFaults(null, 1, "a", []), [
    "steps[0].type",
    "steps[1]",
    "steps[1].type",
    "steps[2]",
    "steps[2].type",
    "steps[3]",
    "steps[3].type",
  ]);
  assert.deepEqual(stepFaults(...Array.from({ length: 501 }, () => IN_APP)), ["steps"]);
  const wide = {
    type: "branch",
    branches: Array.from({ length: 10 }, () => ({
      steps: Array.from({ length: 400 }, () => ({
        type: "delay",
        settings: { delay_for: { unit: "days", value: 1 } },
      })),
    })),
  };
  assert.ok(stepFaults(wide).includes("steps[0].branches[1].steps[99]"), "too many steps in all are told once");
  const huge = { ...IN_APP, template: { markdown_body: "x".repeat(10_000_000) } };
  assert.deepEqual(stepFaults(huge), ["steps[0].template"]);
  const polluted = JSON.parse(
    '{"name":"W","steps":[],"__proto__":{"polluted":true},"settings":{"__proto__":{"is_commercial":true}}}',
  );
  const checked = checkWorkflow("wf", polluted, WORLD);
  assert.deepEqual(checked.settings, {});
  assert.equal(({} as { polluted?: boolean }).polluted, undefined);
});
