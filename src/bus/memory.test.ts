import assert from "node:assert/strict";
import { test } from "node:test";
import { memoryBus } from "./memory.ts";

test("a shout reaches every listener before it returns", () => {
  const bus = memoryBus();
  const heard: string[] = [];
  bus.onLookNow((work) => heard.push(`a ${work}`));
  bus.onLookNow((work) => heard.push(`b ${work}`));
  bus.lookNow("deliveries");
  assert.deepEqual(heard, ["a deliveries", "b deliveries"]);
});

test("a listener that has left hears nothing more, and leaving twice takes no one else away", () => {
  const bus = memoryBus();
  const heard: string[] = [];
  const listen = (environment: string, kind: string) => heard.push(`${environment} ${kind}`);
  const leave = bus.onChanged(listen);
  bus.onChanged(listen);
  leave();
  leave();
  bus.changed("env_1", "template");
  assert.deepEqual(heard, ["env_1 template"]);
});

test("a listener that throws takes nothing from the shouter or the others", () => {
  const errors: unknown[] = [];
  const bus = memoryBus((error) => errors.push(error));
  let heard = 0;
  bus.onInboxEvents(() => {
    throw new Error("broken");
  });
  bus.onInboxEvents((events) => {
    heard += events.length;
  });
  bus.publish([
    { kind: "changed-all", environmentId: "env_1", userId: "u", what: "read-all", origin: null, via: "courier" },
  ]);
  assert.equal(heard, 1);
  assert.equal(errors.length, 1);
});

test("nothing is heard after closing", async () => {
  const bus = memoryBus();
  let heard = 0;
  bus.onLookNow(() => heard++);
  await bus.close();
  bus.lookNow("messages");
  assert.equal(heard, 0);
});
