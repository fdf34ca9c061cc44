/** What steps make of their settings, through a real engine. */
import assert from "node:assert/strict";
import { after, test } from "node:test";
import { inApp, startWorkflowEngine } from "../../../test/support/workflow-engine.ts";
import type { JsonObject } from "../../lib/json.ts";
import { CHANNEL_GROUP, type Step, USERS, VARIABLE } from "./model.ts";
import { RunLog } from "./record.ts";

const world = await startWorkflowEngine("sqlite");
after(() => world.close());
const { store, env, clock } = world;
await world.identify("ann", { name: "Ann", email: "ann@example.com" });

async function write(kind: string, id: string, body: JsonObject): Promise<void> {
  await world.engine.documents.write(env, [{ kind, id, body, expect: "any" }], clock.now());
}

async function lastRun(): Promise<{ readonly events: readonly string[]; readonly data: readonly unknown[] }> {
  const { items } = await store.runs.list(env, {}, clock.now(), { limit: 1 });
  const log = items[0]?.run?.log ?? [];
  return { events: log.map(({ event, ok }) => (ok ? event : `${event} !`)), data: log.map(({ data }) => data) };
}

function email(more: Partial<Step> = {}): Step {
  const template = { subject: "S", html_body: "B" };
  return { type: "channel", ref: "email", channel_key: "email", channel_type: "email", template, ...more } as Step;
}

test("a mail's overrides are filled in, the step's over the channel's", async () => {
  const channel_overrides = {
    from_address: "{{ data.from }}",
    from_name: 'The "A" team',
    to_address: "other@example.com",
    cc_address: "",
    reply_to_address: "reply@example.com",
    json_overrides: '{"n": {{ data.n }}}',
  };
  await world.put("mail", [email({ channel_overrides } as Partial<Step>)]);
  await world.trigger("mail", { data: { from: "a@example.com", n: 1 } });
  await world.pass();
  const [sent] = world.sent.splice(0);
  assert.deepEqual(sent?.delivery.address, { email: "other@example.com" });
  assert.deepEqual(sent?.delivery.override, {
    from: '"The \\"A\\" team" <a@example.com>',
    reply_to: "reply@example.com",
    body: { n: 1 },
  });
});

test("of a group the first channel that fits is taken, or all", async () => {
  const rule = (channel_key: string, over: JsonObject = {}): JsonObject => ({
    channel_key,
    rule_type: "always",
    ...over,
  });
  const onVip = { rule_type: "if", variable: "data.vip", operator: "equal_to", argument: "true" };
  await write("step-channel", "00000000-0000-4000-8000-0000000000aa", {
    key: "mail-2",
    name: "",
    type: "email",
    provider: null,
    settings: {},
  });
  await write(CHANNEL_GROUP, "mails", { operator: "any", channel_rules: [rule("email", onVip), rule("mail-2")] });
  const step = email({ channel_key: undefined, channel_group_key: "mails" } as Partial<Step>);
  await world.put("grouped", [step]);
  const channelsOf = () => world.sent.splice(0).map(({ delivery }) => delivery.origin?.channelId.slice(-2));
  for (const vip of [true, false]) {
    await world.trigger("grouped", { data: { vip } });
    await world.pass();
  }
  assert.deepEqual(channelsOf(), ["0e", "aa"]);
  await write(CHANNEL_GROUP, "mails", {
    operator: "all",
    channel_rules: [rule("email"), rule("mail-2"), rule("push")],
  });
  await world.trigger("grouped");
  await world.pass();
  assert.deepEqual(channelsOf().toSorted(), ["0e", "aa"]);
});

test("what a step lacks is skipped and said", async () => {
  const closed = { send_windows: [{ day: "monday", type: "do_not_send" }] } as unknown as Partial<Step>;
  await world.identify("bare");
  await world.put("lacking", [
    email(),
    inApp("unknown", "x", { channel_key: "nowhere" } as Partial<Step>),
    inApp("closed", "x", closed),
    { type: "delay", ref: "wait", settings: { delay_until_field_path: "data.when" } },
    inApp("kept", "kept"),
  ]);
  await world.trigger("lacking", { to: ["bare"], data: { when: "never" } });
  const { events, data } = await lastRun();
  const reasons = data.flatMap((each) => (each as JsonObject | undefined)?.reason ?? []);
  assert.deepEqual(reasons, ["missing_data", "channel_unconfigured", "invalid_window", "invalid_duration"]);
  assert.deepEqual(events.slice(1), [
    "step_skipped",
    "step_skipped",
    "step_skipped",
    "step_skipped !",
    "message_enqueued",
    "run_completed",
  ]);
});

test("a delay ends at a moment of the data, so long before it, or as long as the data says", async () => {
  const until = (settings: object): Step => ({ type: "delay", ref: "wait", settings }) as Step;
  const at = new Date(clock.now() + 3_600_000).toISOString();
  const dueOf = async (settings: object, when: unknown): Promise<number> => {
    await world.put("until", [until(settings), inApp("feed")]);
    await world.trigger("until", { data: { when } as JsonObject });
    const { items } = await store.runs.list(env, { workflow: "until" }, clock.now(), { limit: 1 });
    const run = await store.runs.read(env, items[0]?.id as `msg_${string}`);
    return (run?.dueAt ?? 0) - clock.now();
  };
  assert.equal(await dueOf({ delay_until_field_path: "data.when" }, at), 3_600_000);
  const before = { delay_for: { unit: "minutes", value: -10 }, delay_until_field_path: "data.when" };
  assert.equal(await dueOf(before, at), 3_000_000);
  assert.equal(await dueOf({ delay_until_field_path: "data.when" }, { unit: "minutes", value: 5 }), 300_000);
});

test("conditions of the workflow decide whether anything is done, and may ask for variables", async () => {
  await write(VARIABLE, "mode", { value: "on", secret: false });
  const when = (argument: string) => ({
    conditions: { all: [{ variable: "vars.mode", operator: "equal_to", argument }] },
  });
  await world.put("off", [inApp("feed")], when("off"));
  await world.trigger("off");
  assert.deepEqual((await lastRun()).events, ["run_started", "conditions_evaluated", "run_completed"]);
  await world.put("on", [inApp("feed")], when("on"));
  await world.trigger("on");
  assert.ok((await lastRun()).events.includes("message_enqueued"));
});

test("a cohort is always the same for a recipient", async () => {
  const branch = (name: string) => ({ name, percentage: 50, steps: [inApp(name, name)] });
  const step: Step = { type: "random_cohort", ref: "split", cohort_branches: [branch("a"), branch("b")] };
  await world.put("split", [step]);
  const ids = Array.from({ length: 20 }, (_, i) => `split-${i}`);
  for (const id of ids) await world.identify(id);
  for (let i = 0; i < 2; i++) await world.trigger("split", { to: ids });
  const bodies = await Promise.all(ids.map(async (id) => (await world.inbox(id)).map(({ content }) => content.body)));
  for (const pair of bodies) assert.equal(new Set(pair).size, 1);
  assert.equal(new Set(bodies.flat()).size, 2);
});

test("a log keeps its first and its last entries", () => {
  const log = new RunLog({
    workflow: "w",
    versionId: "wfv_1",
    recipient: { collection: "$users", id: "u" },
    actor: null,
    source: { type: "api" },
    cancellationKey: null,
    status: "queued",
    log: [{ at: 0, event: "run_started", ok: true, attempt: 1 }],
  });
  for (let at = 1; at <= 500; at++) log.note(at, "step_failed", null);
  const kept = log.record("completed").log;
  assert.deepEqual([kept.length, kept[0]?.at, kept[99]?.at, kept[100]?.at, kept.at(-1)?.at], [200, 0, 99, 401, 500]);
});

test("what is written outside of a workflow sees all of the run, whatever the workflow's own texts mention", async () => {
  const id = "00000000-0000-4000-8000-0000000000ab";
  const settings = { from_address: "a@example.com", from_name: "{{ workflow.name }} {{ activities }}" };
  await write("step-channel", id, { key: "mail-3", name: "", type: "email", provider: null, settings });
  const only = { conditions: [{ variable: "workflow.key", operator: "equal_to", argument: "loud" }] };
  await store.parties.write(
    env,
    [
      {
        party: { collection: USERS, id: "ann" },
        properties: {},
        documents: [{ kind: "preferences", name: "default", body: { channel_types: { email: only } } }],
      },
    ],
    clock.now(),
  );
  for (const key of ["loud", "quiet"]) {
    await world.put(key, [email({ channel_key: "mail-3" } as Partial<Step>)]);
    await world.trigger(key, { data: { n: 1 } });
  }
  await world.pass();
  const [sent, ...others] = world.sent.splice(0);
  assert.deepEqual(others, []);
  assert.match(String(sent?.delivery.override?.from), /^"loud \[\{.*n.*\}\]" <a@example.com>$/);
});
