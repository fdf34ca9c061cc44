/** Contract H 39 and what lies around it: who is told when an object is. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { forEachKnock, type KnockTarget } from "../knock-target.ts";
import { commit, feedOf, IN_APP, idle } from "../running/workflow.ts";

async function runsPerRecipient(target: KnockTarget, key: string): Promise<{ readonly [recipient: string]: number }> {
  const counts: { [recipient: string]: number } = {};
  for await (const { recipient } of target.knock.workflowRecipientRuns.list({ workflow: key })) {
    const name = typeof recipient === "string" ? recipient : `${recipient.collection}/${recipient.id}`;
    counts[name] = (counts[name] ?? 0) + 1;
  }
  return counts;
}

async function subscribe(target: KnockTarget, of: string, recipients: readonly unknown[], more = {}): Promise<void> {
  const [collection = "", id = ""] = of.split("/");
  await target.knock.objects.addSubscriptions(collection, id, { recipients: recipients as never, ...more });
}

forEachKnock((name, open) => {
  test(`${name}: 39. the object and each subscriber once, but not the actor; who is listed, as listed`, async () => {
    const target = await open();
    const { knock } = target;
    const body = "{{ recipient.id }} {{ role }} {{ recipient.subscription.level }}";
    await commit(target, "project-news", [{ ...IN_APP, template: { markdown_body: body } }]);
    await knock.objects.set("s39", "p", { name: "P" });
    await subscribe(target, "s39/p", [{ id: "s39-a" }, { id: "s39-b" }, { id: "s39-actor" }], {
      properties: { level: "high" },
    });
    await knock.workflows.trigger("project-news", {
      recipients: [{ collection: "s39", id: "p" }, { id: "s39-b", $trigger_data: { role: "listed" } } as never],
      actor: "s39-actor",
      data: { role: "subscriber" },
    });
    await idle(target);
    assert.deepEqual(await runsPerRecipient(target, "project-news"), { "s39/p": 1, "s39-a": 1, "s39-b": 1 });
    const textOf = async (id: string) =>
      (await feedOf(target, id)).entries.map((e: { blocks: { rendered: string }[] }) => e.blocks[0]?.rendered.trim());
    assert.deepEqual(await textOf("s39-a"), ["<p>s39-a subscriber high</p>"]);
    assert.deepEqual(await textOf("s39-b"), ["<p>s39-b listed</p>"]);
    assert.deepEqual(await textOf("s39-actor"), []);
    // Listed directly, the actor is told, too.
    await knock.workflows.trigger("project-news", { recipients: ["s39-actor"], actor: "s39-actor" });
    assert.equal((await textOf("s39-actor")).length, 1);
  });

  test(`${name}: 39. two levels deep, and in circles each once`, async () => {
    const target = await open();
    await commit(target, "circles");
    for (const id of ["top", "middle", "bottom"]) await target.knock.objects.set("circle", id, {});
    const object = (id: string) => ({ collection: "circle", id });
    await subscribe(target, "circle/top", [object("middle"), { id: "circle-1" }]);
    await subscribe(target, "circle/middle", [object("top"), object("bottom"), { id: "circle-1" }, { id: "circle-2" }]);
    await subscribe(target, "circle/bottom", [{ id: "circle-3" }, object("middle")]);
    await target.knock.workflows.trigger("circles", { recipients: [object("top")] });
    await idle(target);
    const counts = await runsPerRecipient(target, "circles");
    const { "circle/top": top, "circle/middle": middle, "circle-1": one, "circle-2": two, "circle-3": three } = counts;
    assert.deepEqual([top, middle, one, two, three], [1, 1, 1, 1, undefined]);
    assert.ok(Object.values(counts).every((count) => count === 1));
  });

  test(`${name}: 39. more subscribers than fit a page are each told once, also by two objects at once`, async () => {
    const target = await open();
    await commit(target, "crowd");
    const ids = Array.from({ length: 260 }, (_, i) => `crowd-${String(i).padStart(3, "0")}`);
    for (const id of ["a", "b"]) {
      await target.knock.objects.set("crowds", id, {});
      for (let i = 0; i < ids.length; i += 100) {
        await subscribe(
          target,
          `crowds/${id}`,
          ids.slice(i, i + 100).map((one) => ({ id: one })),
        );
      }
    }
    const recipients = ["a", "b"].map((id) => ({ collection: "crowds", id }));
    await target.knock.workflows.trigger("crowd", { recipients: [...recipients, "crowd-007"], actor: "crowd-013" });
    await idle(target);
    const counts = await runsPerRecipient(target, "crowd");
    assert.ok(Object.values(counts).every((count) => count === 1));
    assert.equal(Object.keys(counts).length, 2 + ids.length - 1);
    assert.ok(!("crowd-013" in counts));
  });
});
