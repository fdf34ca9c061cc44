/**
 * Calls that are right but for one thing, which go further into the server than garbage does; then time passes, and what
 * was accepted of them has to come to its end. A failure names its seed.
 */
import assert from "node:assert/strict";
import { test } from "node:test";
import type { Dialect } from "../../../../src/storage/database.ts";
import { dice } from "../../../support/dice.ts";
import { type Call, forEachKnock, type KnockTarget } from "../knock-target.ts";
import { commit, feedOf, idle } from "../running/workflow.ts";
import { anything, pick, type Roll } from "./values.ts";

const FIRST_SEED = Number(process.env.CARILLON_TEST_SEED ?? 1);
const ROUNDS: { readonly [name in Dialect]: number } = { sqlite: 120, postgres: 30 };
const CHANNEL = "00000000-0000-4000-8000-000000000002";
const DAY = 24 * 3_600_000;

const inApp = (ref: string) => ({
  ref,
  type: "channel",
  channel_key: "in-app",
  template: {
    markdown_body:
      "{{ data.text }} {{ actor.name }} {{ data.list | size }} {{ recipient.x.y }} {{ data.at | date: '%Y' }}",
    action_url: "{{ data.url }}",
    action_buttons: [{ label: "{{ data.text }}", action: "{{ data.url }}" }],
  },
});
const conditions = {
  any: [
    { variable: "data.n", operator: "greater_than", argument: "3" },
    { all: [{ variable: "recipient.name", operator: "contains", argument: "data.text" }] },
  ],
};

/** A workflow with a step of every type, which looks at its data wherever it can. */
const STEPS = [
  { ref: "update", type: "update_data", settings: { data: { copy: "{{ data.text }}" } } },
  {
    ref: "user",
    type: "update_user",
    settings: { recipient_mode: "current", update_properties: { seen: "{{ data.text }}" } },
  },
  { ref: "wait", type: "delay", settings: { delay_until_field_path: "data.at" } },
  {
    ref: "throttle",
    type: "throttle",
    settings: { throttle_key: "data.key", throttle_limit: 5, throttle_window_field_path: "data.window" },
  },
  {
    ref: "batch",
    type: "batch",
    settings: { batch_key: "data.key", batch_window: { unit: "seconds", value: 30 }, batch_items_max_limit: 3 },
  },
  {
    ref: "branch",
    type: "branch",
    branches: [
      { name: "a", conditions, steps: [inApp("in_branch")], terminates: false },
      { name: "b", conditions: null, steps: [], terminates: false },
    ],
  },
  {
    ref: "cohort",
    type: "random_cohort",
    settings: { cohort_key: "data.key" },
    cohort_branches: [
      { name: "a", percentage: 50, steps: [] },
      { name: "b", percentage: 50, steps: [inApp("in_cohort")] },
    ],
  },
  {
    ref: "child",
    type: "trigger_workflow",
    settings: { workflow_key: "wrong-child", recipients: "{{ data.text }}", data: "{{ data | json }}" },
  },
  {
    ...inApp("last"),
    conditions: { all: [{ variable: "data.n", operator: "is_between", argument: '["1", "data.n"]' }] },
  },
];

/** Each right as it stands. */
const CALLS: readonly (readonly [method: string, path: string, body: object])[] = [
  [
    "POST",
    "/workflows/wrong/trigger",
    {
      recipients: [
        { id: "wrong-1", name: "N", x: { y: 1 }, $trigger_data: { n: 2 } },
        "wrong-1",
        { collection: "wrongs", id: "o", name: "O" },
      ],
      actor: { id: "wrong-actor", name: "A" },
      data: {
        text: "t",
        list: [1],
        n: 4,
        at: "2027-01-01T00:00:00Z",
        window: { unit: "minutes", value: 1 },
        key: "k",
        url: "https://x.example",
      },
      tenant: { id: "wrong-tenant", name: "T", settings: { branding: { primary_color: "#fff" } } },
      cancellation_key: "c",
      settings: { skip_delay: false },
    },
  ],
  [
    "POST",
    "/schedules",
    {
      workflow: "wrong-child",
      recipients: ["wrong-1", { collection: "wrongs", id: "o" }],
      repeats: [{ frequency: "weekly", interval: 2, days: ["mon", "fri"], hours: 9, minutes: 30 }],
      scheduled_at: "2026-01-06T00:00:00Z",
      ending_at: "2036-01-06T00:00:00Z",
      data: { a: 1 },
      tenant: "wrong-tenant",
      actor: "wrong-actor",
    },
  ],
  [
    "PUT",
    "/users/wrong-1",
    {
      name: "N",
      email: "n@x.example",
      timezone: "Europe/Berlin",
      locale: "de-DE",
      custom: { a: [1] },
      channel_data: {},
      preferences: { default: { workflows: { wrong: true } } },
    },
  ],
  [
    "PUT",
    "/objects/wrongs/o",
    { name: "O", custom: { a: 1 }, preferences: { default: { channel_types: { email: false } } } },
  ],
  [
    "POST",
    "/objects/wrongs/o/subscriptions",
    { recipients: ["wrong-1", { id: "wrong-2" }, { collection: "wrongs", id: "p" }], properties: { level: 1 } },
  ],
  [
    "PUT",
    "/tenants/wrong-tenant",
    {
      name: "T",
      settings: { branding: { logo_url: "https://x.example/l.png" }, preference_set: { categories: { news: false } } },
      custom: 1,
    },
  ],
  [
    "PUT",
    "/users/wrong-1/preferences/default",
    {
      workflows: {
        wrong: {
          channel_types: { in_app_feed: { conditions: [{ variable: "data.n", operator: "equal_to", argument: "1" }] } },
          conditions: [],
        },
      },
      categories: { a: { channel_types: { email: true } } },
      channels: { [CHANNEL]: true },
      channel_types: { email: { conditions: [{ variable: "recipient.name", operator: "empty" }] } },
      commercial_subscribed: true,
    },
  ],
  [
    "POST",
    "/users/bulk/identify",
    {
      users: [
        { id: "wrong-1", name: "x" },
        { id: "wrong-2", timezone: "Asia/Tokyo" },
      ],
    },
  ],
  ["POST", "/audiences/wrong/members", { members: [{ user: { id: "wrong-1", name: "M" }, tenant: "wrong-tenant" }] }],
  ["POST", "/objects/wrongs/bulk/set", { objects: [{ id: "o", name: "O", a: { b: 1 } }] }],
  ["POST", "/tenants/bulk/set", { tenants: ["wrong-tenant", { id: "t2", name: "T2", settings: { branding: {} } }] }],
  [
    "PUT",
    "/workflows/wrong-2?environment=development&commit=true",
    {
      workflow: {
        name: "W",
        steps: STEPS,
        conditions,
        categories: ["news"],
        settings: { is_commercial: true },
        trigger_data_json_schema: { type: "object", properties: { n: { type: "number" } } },
      },
    },
  ],
  [
    "PUT",
    "/email_layouts/wrong?environment=development",
    {
      email_layout: {
        name: "L",
        html_layout: "<html>{{content}}</html>",
        text_layout: "{{content}}",
        footer_links: [{ text: "a", url: "https://x.example" }],
      },
    },
  ],
  [
    "PUT",
    "/translations/de?environment=development",
    { translation: { content: '{"a":{"one":"x"}}', format: "json" } },
  ],
  [
    "POST",
    "/channels/FEED/messages/bulk/read",
    {
      user_ids: ["wrong-1"],
      engagement_status: "unread",
      archived: "exclude",
      tenants: ["wrong-tenant"],
      trigger_data: '{"n":4}',
      newer_than: "2026-01-01T00:00:00Z",
    },
  ],
];

/** Replaces one value somewhere in it, or leaves one out, or adds one. */
function withOneThingWrong(roll: Roll, value: unknown): unknown {
  if (typeof value !== "object" || value === null || roll() < 0.15) return anything(roll, 3);
  const entries = Object.entries(value);
  if (entries.length === 0 || roll() < 0.05)
    return Array.isArray(value)
      ? [...value, anything(roll)]
      : { ...value, [pick(roll, ["x", "id", "type"])]: anything(roll) };
  const [chosen] = pick(roll, entries);
  const changed = entries
    .filter(([key]) => key !== chosen || roll() < 0.9)
    .map(([key, one]) => [key, key === chosen ? withOneThingWrong(roll, one) : one] as const);
  return Array.isArray(value) ? changed.map(([, one]) => one) : Object.fromEntries(changed);
}

async function prepare(target: KnockTarget): Promise<void> {
  const call = rightly(target.call);
  await commit(target, "wrong-child", [inApp("feed")]);
  await commit(target, "wrong", STEPS);
  for (const [method, path, body] of CALLS) {
    const { status, text } = await call(
      method,
      path.replace("FEED", target.feedId) + (path.startsWith("/audiences") ? "?create_audience=true" : ""),
      body,
    );
    assert.ok(status < 300, `${method} ${path}: ${status} ${text}`);
  }
}

/** Checks that nothing is ever answered as a fault of ours. */
function rightly(call: Call): Call {
  return async (...args) => {
    const answer = await call(...args);
    const { status, body } = answer;
    const isRight = status < 500 && ![408, 409, 429].includes(status) && (status < 400 || body?.status === status);
    assert.ok(isRight, `${JSON.stringify(args).slice(0, 3_000)}: ${status} ${answer.text.slice(0, 300)}`);
    return answer;
  };
}

forEachKnock((name, open) => {
  test(`${name}: one thing wrong in a call that is right otherwise, and what was accepted comes to its end`, async (t) => {
    const target = await open();
    await prepare(target);
    let accepted = 0;
    let seed = FIRST_SEED * 10_000;
    for (let round = 0; round < ROUNDS[name]; round++) {
      for (const [method, path, body] of CALLS) {
        const roll = dice(++seed);
        try {
          const { status } = await rightly(target.call)(
            method,
            path.replace("FEED", target.feedId),
            withOneThingWrong(roll, body),
          );
          if (status < 300) accepted++;
        } catch (error) {
          throw new Error(`seed ${seed}`, { cause: error });
        }
      }
      // Whatever was taken for a workflow has to be one.
      await rightly(target.call)("POST", "/workflows/wrong-2/trigger", (CALLS[0] as (typeof CALLS)[0])[2]);
      // It might have been right in itself, and wrong for the others.
      await commit(target, "wrong", STEPS);
      await idle(target);
      if (round % 5 === 0) target.clock.advance(60_000);
    }
    for (let i = 0; i < 8; i++) {
      target.clock.advance(DAY);
      await idle(target);
    }
    await target.call("POST", "/workflows/wrong-child/trigger", {
      recipients: [{ id: "wrong-last" }],
      data: { text: "fine" },
    });
    assert.equal((await feedOf(target, "wrong-last")).entries.length, 1);
    const feed = await feedOf(target, "wrong-1");
    assert.ok(feed.meta.total_count > 0);
    // Who waits now waits for a time that somebody named, at most for a year.
    for (const ms of [366 * DAY, DAY, DAY, DAY]) {
      target.clock.advance(ms);
      await idle(target);
    }
    const { items } = await target.knock.workflowRecipientRuns.list({
      status: ["queued", "processing", "paused"] as never,
    });
    const waiting = items.filter(({ workflow }) => workflow !== "wrong-child");
    assert.deepEqual(waiting, []);
    // A fault of ours is one, though it was caught.
    const failed: string[] = [];
    for await (const { id } of target.knock.workflowRecipientRuns.list({ has_errors: true })) {
      const { events } = await target.knock.workflowRecipientRuns.get(id);
      if (JSON.stringify(events).includes("internal error")) failed.push(JSON.stringify(events));
    }
    assert.deepEqual(failed.slice(0, 3), []);
    t.diagnostic(`${ROUNDS[name] * CALLS.length} calls, ${accepted} accepted`);
  });
});
