/** Whatever callers, authors and their servers come up with: a refusal or a run that ends, and nobody else is harmed. */
import assert from "node:assert/strict";
import { after, test } from "node:test";
import { inApp, startWorkflowEngines } from "../../../test/support/workflow-engine.ts";
import type { JsonObject } from "../../lib/json.ts";
import { Refusal } from "../refusal.ts";
import { type Step, USERS } from "./model.ts";

const NUL = "a\0b";
const HALF = "half \ud800 pair";
const ODD: JsonObject = {
  [NUL]: NUL,
  half: HALF,
  long: "x".repeat(300_000),
  "": null,
  constructor: 1,
  ...(JSON.parse('{"__proto__": {"polluted": true}}') as JsonObject),
};

function deep(levels: number): JsonObject {
  let value: JsonObject = {};
  for (let i = 0; i < levels; i++) value = { d: value };
  return value;
}

for (const world of await startWorkflowEngines()) {
  after(() => world.close());
  const { store, env, clock, dialect } = world;
  await world.identify("ann");
  const batch: Step = {
    type: "batch",
    ref: "batch",
    settings: { batch_window: { unit: "seconds", value: 5 }, batch_key: "{{ data.half }}\n{{ data.constructor }}" },
  };
  const delay: Step = { type: "delay", ref: "wait", settings: { delay_for: { unit: "seconds", value: 5 } } };

  async function quiet(): Promise<void> {
    for (let i = 0; i < 4; i++) await world.pass(60_000);
    assert.deepEqual(await store.runs.claim(clock.now() + 1e9, 10, clock.now() + 2e9), []);
  }

  async function newBodies(userId = "ann"): Promise<readonly string[]> {
    return (await world.inbox(userId)).map(({ content }) => content.body);
  }

  test(`${dialect}: odd data goes through delays and batches`, async () => {
    await world.put("odd", [delay, batch, inApp("feed", "odd {{ data.constructor }} {{ total_activities }}")]);
    await assert.rejects(world.trigger("odd", { tenantId: HALF }), { code: "invalid" });
    for (let i = 0; i < 2; i++) await world.trigger("odd", { data: ODD, cancellationKey: NUL, tenantId: "ténant 🎐" });
    await quiet();
    assert.deepEqual(await newBodies(), ["odd 1 2"]);
    assert.equal(({} as { polluted?: boolean }).polluted, undefined);
    await world.trigger("odd", { data: ODD, cancellationKey: NUL });
    assert.equal(await world.engine.workflows.cancel(env, "odd", NUL, null), 1);
    await quiet();
    assert.equal((await newBodies()).length, 1);
  });

  test(`${dialect}: a recipient that cannot be looked up is refused alone`, async () => {
    await world.identify("bystander");
    await world.put("plain", [inApp("feed", "plain")]);
    const sent = await Promise.allSettled([
      world.trigger("plain", { to: ["bystander"] }),
      world.trigger("plain", { to: [NUL] }),
      world.trigger("plain", { to: ["bystander"], actor: { collection: USERS, id: NUL } }),
    ]);
    assert.equal(sent[0]?.status, "fulfilled");
    for (const { status, ...rest } of sent.slice(1)) {
      if (status === "rejected") assert.ok((rest as PromiseRejectedResult).reason instanceof Refusal);
    }
    assert.ok((await newBodies("bystander")).includes("plain"));
  });

  test(`${dialect}: what a server answers is taken as it is, or ends the run`, async () => {
    await world.identify("fetcher");
    const settings = { method: "GET", url: "https://x.example" };
    await world.put("fetch", [{ type: "http_fetch", ref: "fetch", settings }, delay, inApp("feed", "fetched")]);
    const texts = ["null", "[1]", "{", '"text"', JSON.stringify(ODD), JSON.stringify(deep(3_000)), "1".repeat(100_000)];
    for (const text of texts) {
      world.answers.push({ kind: "answered", status: 200, text });
      await world.trigger("fetch", { to: ["fetcher"] });
      await quiet();
    }
    const { items } = await store.runs.list(env, { workflow: "fetch" }, clock.now(), { limit: 100 });
    assert.equal(items.length, texts.length);
    assert.ok(items.every(({ run }) => run?.status === "completed"));
    assert.ok((await newBodies("fetcher")).length >= 5);
  });

  test(`${dialect}: texts that come to nonsense trigger and change nothing`, async () => {
    await world.identify("author");
    const steps: Step[] = [
      { type: "trigger_workflow", ref: "a", settings: { workflow_key: "plain", recipients: NUL } },
      {
        type: "trigger_workflow",
        ref: "b",
        settings: { workflow_key: "plain", recipients: `["${HALF}", 5, {"id": ""}]` },
      },
      {
        type: "update_object",
        ref: "c",
        settings: { recipient_mode: "reference", recipient_gid: "gid://x", update_properties: {} },
      },
      {
        type: "update_object",
        ref: "d",
        settings: { recipient_mode: "reference", recipient_gid: `gid://Object/$tenants/${NUL}`, update_properties: {} },
      },
      { type: "update_user", ref: "e", settings: { update_properties: { odd: NUL, half: HALF } } },
      { type: "delay", ref: "f", settings: { delay_for: { unit: "months", value: 1e300 } } },
      { type: "throttle", ref: "g", settings: { throttle_window: { unit: "days", value: 400 } } },
      inApp("end", "end"),
    ];
    await world.put("nonsense", steps);
    await world.trigger("nonsense", { to: ["author"] });
    await quiet();
    assert.deepEqual(await newBodies("author"), ["end"]);
  });

  test(`${dialect}: a text that a step cannot store ends its run and no other`, async () => {
    for (const id of ["storer", "neighbour"]) await world.identify(id);
    const settings = { workflow_key: "plain", tenant: "{{ data.tenant }}" };
    await world.put("tenants", [{ type: "trigger_workflow", ref: "a", settings }, inApp("end", "end")]);
    await world.trigger("tenants", { to: ["storer"], data: { tenant: NUL } });
    await world.trigger("tenants", { to: ["neighbour"], data: { tenant: "fine" } });
    await quiet();
    assert.deepEqual(await newBodies("storer"), []);
    assert.deepEqual((await newBodies("neighbour")).toSorted(), ["end", "plain"]);
  });
}
