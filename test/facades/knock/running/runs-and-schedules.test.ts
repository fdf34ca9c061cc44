/** Recipients' runs, schedules and the helpers of chat providers, as Knock's SDK asks for them. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { forEachKnock } from "../knock-target.ts";
import { commit, feedOf, IN_APP, idle } from "./workflow.ts";

const MINUTE = 60_000;
const HOUR = 60 * MINUTE;
const DAY = 24 * HOUR;

forEachKnock((name, open) => {
  test(`${name}: a run shows its recipient, its state and what happened in it`, async () => {
    const target = await open();
    const delay = { ref: "wait", type: "delay", settings: { delay_for: { unit: "hours", value: 1 } } };
    await commit(target, "shown", [delay, IN_APP]);
    const { workflow_run_id } = await target.knock.workflows.trigger("shown", {
      recipients: [{ id: "r1" }, "r-unknown"],
      actor: { id: "r-actor" },
      tenant: "acme",
      cancellation_key: "ck",
    });
    await idle(target);
    const page = await target.knock.workflowRecipientRuns.list({ workflow: "shown" });
    assert.equal(page.items.length, 2);
    const run = page.items.find(({ recipient }) => recipient === "r1");
    assert.deepEqual(
      [run?.__typename, run?.workflow_run_id, run?.workflow, run?.status, run?.tenant, run?.actor, run?.error_count],
      ["WorkflowRecipientRun", workflow_run_id, "shown", "paused", "acme", "r-actor", 0],
    );
    assert.equal(run?.trigger_source.type, "api");
    assert.equal(run?.trigger_source.cancellation_key, "ck");
    const failed = await target.knock.workflowRecipientRuns.list({ workflow: "shown", has_errors: true });
    assert.deepEqual(
      failed.items.map(({ recipient }) => recipient),
      ["r-unknown"],
    );
    target.clock.advance(HOUR);
    await idle(target);
    const detail = await target.knock.workflowRecipientRuns.get(run?.id as string);
    assert.equal(detail.status, "completed");
    const events = detail.events.map(({ event }) => event);
    assert.ok(events.includes("step_paused") && events.includes("message_enqueued"), events.join());
    assert.equal(new Set(detail.events.map(({ id }) => id)).size, detail.events.length);
    const missing = await target.call("GET", "/workflow_recipient_runs/6b01d88d-3f80-4000-9832-c7cce5776256");
    assert.equal(missing.status, 404);
    const other = await target.another();
    assert.equal((await other.call("GET", `/workflow_recipient_runs/${run?.id}`)).status, 404);
  });

  test(`${name}: 41. weekly at nine on Monday is nine o'clock of each recipient; delete ends it`, async () => {
    const target = await open();
    await commit(target, "weekly");
    const schedules = await target.knock.schedules.create({
      workflow: "weekly",
      recipients: [
        { id: "s-berlin", timezone: "Europe/Berlin" },
        { id: "s-york", timezone: "America/New_York" },
      ],
      repeats: [{ __typename: "ScheduleRepeat", frequency: "weekly", days: ["mon"], hours: 9, minutes: 0 }],
      data: { n: 1 },
    });
    assert.equal(schedules.length, 2);
    const [berlin, york] = schedules.map(({ next_occurrence_at }) => Date.parse(next_occurrence_at ?? ""));
    // Where it is past nine already, the first is a week later.
    assert.equal(((york as number) - (berlin as number) + 7 * DAY) % (7 * DAY), 6 * HOUR);
    const removed = await target.knock.schedules.delete({ schedule_ids: [schedules[1]?.id as string] });
    assert.deepEqual(
      removed.map(({ id }) => id),
      [schedules[1]?.id],
    );
    target.clock.advance(8 * DAY);
    await idle(target);
    assert.ok((await feedOf(target, "s-berlin")).entries.length >= 1);
    assert.equal((await feedOf(target, "s-york")).entries.length, 0);
    const page = await target.knock.schedules.list({ workflow: "weekly" });
    assert.equal(page.entries.length, 1);
    assert.ok(page.entries[0]?.last_occurrence_at !== null);
    const runs = await target.knock.workflowRecipientRuns.list({ workflow: "weekly" });
    assert.equal(runs.items[0]?.trigger_source.type, "schedule");
    assert.equal(runs.items[0]?.trigger_source.schedule_id, schedules[0]?.id);
  });

  test(`${name}: a one-off fires once; after its end never; without repeats a schedule becomes one`, async () => {
    const target = await open();
    await commit(target, "one-off");
    const at = (ms: number): string => new Date(target.clock.now() + ms).toISOString();
    await target.knock.schedules.create({
      workflow: "one-off",
      recipients: [{ id: "s-once" }],
      scheduled_at: at(HOUR),
    });
    await target.knock.schedules.create({
      workflow: "one-off",
      recipients: [{ id: "s-never" }],
      scheduled_at: at(2 * HOUR),
      ending_at: at(HOUR),
    });
    target.clock.advance(3 * HOUR);
    await idle(target);
    target.clock.advance(3 * DAY);
    await idle(target);
    assert.equal((await feedOf(target, "s-once")).entries.length, 1);
    assert.equal((await feedOf(target, "s-never")).entries.length, 0);
    const of = await target.call("GET", "/users/s-once/schedules");
    assert.equal(of.body.entries[0].next_occurrence_at, null);
  });

  test(`${name}: bulk creation, and what is wrong with a schedule`, async () => {
    const target = await open();
    await commit(target, "bulk");
    const bulk = await target.knock.schedules.bulk.create({
      schedules: [
        { workflow: "bulk", recipient: { id: "b1" }, scheduled_at: new Date(target.clock.now() + HOUR).toISOString() },
        {
          workflow: "bulk",
          recipient: { id: "b2", collection: "teams", name: "T" },
          repeats: [{ frequency: "daily", __typename: "ScheduleRepeat" }],
        },
      ],
    });
    assert.deepEqual([bulk.__typename, bulk.status, bulk.success_count], ["BulkOperation", "completed", 2]);
    assert.equal((await target.call("GET", "/objects/teams/b2/schedules")).body.entries.length, 1);
    const refuse = async (body: object, field: string): Promise<void> => {
      const {
        status,
        body: answer,
        text,
      } = await target.call("POST", "/schedules", { workflow: "bulk", recipients: ["b1"], ...body });
      assert.equal(status, 422, text);
      assert.ok(
        answer.errors.some((one: { field: string }) => one.field === field),
        text,
      );
    };
    await refuse({ recipients: [] }, "recipients");
    await refuse({ repeats: [{ frequency: "yearly" }] }, "repeats[0].frequency");
    await refuse({ repeats: [{ frequency: "daily", minutes: 7 }] }, "repeats[0].minutes");
    await refuse({ repeats: [{ frequency: "weekly", days: ["xyz"] }] }, "repeats[0].days[0]");
    await refuse({ scheduled_at: "soon" }, "scheduled_at");
    const unknown = await target.call("POST", "/schedules", { workflow: "nope", recipients: ["b1"] });
    assert.deepEqual([unknown.status, unknown.body.code], [404, "workflow_missing"]);
    assert.equal((await target.call("GET", "/schedules")).status, 422);
  });

  test(`${name}: chat helpers say in the vendor's words that nothing is connected, and forget what was`, async () => {
    const target = await open();
    const { call } = target;
    const chat = (await call("GET", "/channels?environment=development")).body.entries.find(
      (one: { type: string }) => one.type === "chat",
    );
    await target.knock.tenants.set("acme-chat", { name: "Acme" });
    const object = `access_token_object=${encodeURIComponent(JSON.stringify({ object_id: "acme-chat", collection: "$tenants" }))}`;
    const unset = await call("GET", `/providers/slack/${chat.id}/auth_check?${object}`);
    assert.deepEqual([unset.status, unset.body.message], [403, "Access token not set."]);
    const teams = await call(
      "GET",
      `/providers/ms-teams/${chat.id}/auth_check?ms_teams_tenant_object[object_id]=acme-chat&ms_teams_tenant_object[collection]=$tenants`,
    );
    assert.deepEqual([teams.status, teams.body.message], [403, "Microsoft Teams tenant ID not set."]);
    const revoked = await call("PUT", `/providers/slack/${chat.id}/revoke_access?${object}`);
    assert.deepEqual([revoked.status, revoked.body], [200, "ok"]);
    assert.equal((await call("GET", `/providers/slack/${chat.id}/channels?${object}`)).status, 501);
    // Kept under the channel's id, found and forgotten by whatever names the channel elsewhere.
    const channelData = `/objects/$tenants/acme-chat/channel_data/${chat.id}`;
    await call("PUT", channelData, { data: { token: { access_token: "xoxb" } } });
    for (const name of [chat.id.toUpperCase(), chat.key]) {
      assert.equal((await call("GET", `/providers/slack/${name}/auth_check?${object}`)).status, 200, name);
    }
    await call("PUT", `/providers/slack/${chat.key}/revoke_access?${object}`);
    assert.equal((await call("GET", channelData)).body.data.token, undefined);
    const unknown = await call("GET", `/providers/slack/nowhere/auth_check?${object}`);
    assert.deepEqual([unknown.status, unknown.body.code], [422, "channel_invalid"]);
  });
});
