import assert from "node:assert/strict";
import { test } from "node:test";
import type { Task } from "../../engine/webhooks/model.ts";
import { newId } from "../../lib/ids.ts";
import { ksuid } from "./ids.ts";
import { describeTask } from "./tasks.ts";

const NOW = Date.UTC(2026, 0, 5);

test("the end of a task is told in the vendor's words and spelling (trap 17)", () => {
  const task: Task = {
    environmentId: newId("env", NOW),
    id: newId("task", NOW),
    kind: "recover",
    state: "finished",
    spec: { appId: newId("app", NOW), endpointId: newId("ep", NOW), from: 0, to: NOW },
    cursor: null,
    data: { messagesSent: 3 },
    createdAt: NOW,
    updatedAt: NOW,
  };
  const { appId, endpointId } = task.spec as { appId: string; endpointId: string };
  assert.deepEqual(describeTask(task), {
    taskId: ksuid("qtask", task.id),
    task: "endpoint.recover",
    status: "finished",
    data: { app_id: ksuid("app", appId), endp_id: ksuid("ep", endpointId), messages_sent: 3 },
  });
  const failed: Task = { ...task, state: "failed", data: { messagesSent: 0, error: "the endpoint is gone" } };
  assert.equal((describeTask(failed).data as { error: string }).error, "the endpoint is gone");
  const messageId = newId("msg", NOW);
  const broadcast: Task = {
    ...task,
    kind: "broadcast",
    spec: {},
    data: { created: [{ appId, messageId }], failed: [] },
  };
  assert.deepEqual(describeTask(broadcast).data, {
    messages_created: [{ app_id: ksuid("app", appId), msg_id: ksuid("msg", messageId) }],
    messages_failed: [],
  });
});
