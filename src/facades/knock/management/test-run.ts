/** Running a workflow for a test: its committed version, with what a trigger would bring. */

import { MANAGEMENT } from "../auth.ts";
import { KnockError } from "../errors.ts";
import { toUuid } from "../ids.ts";
import type { Routes } from "../knock.ts";
import { TriggerDataCheck } from "../trigger-data.ts";
import { inactive, readTrigger, triggerOf } from "../triggers.ts";
import { checkText } from "../wire.ts";
import { environmentIn } from "./scope.ts";

export const testRunRoutes: Routes = (app, knock) => {
  const dataCheck = new TriggerDataCheck();

  app.put<{ Params: { key: string } }>("/workflows/:key/run", MANAGEMENT, async (request) => {
    const { id } = environmentIn(request);
    const key = checkText("key", request.params.key);
    const { workflows } = knock.engine;
    const found = await workflows.find(id, key);
    if (found === null) {
      throw new KnockError("workflow_missing", 404, `There is no committed workflow ${JSON.stringify(key)}`);
    }
    if (!found.active) throw inactive(key);
    const asked = readTrigger(request.body);
    dataCheck.check(found.versionId, found.workflow, asked.data);
    await asked.requests.writeWithoutTenants(knock, id);
    const trigger = { ...triggerOf(key, asked), source: { type: "rehearsal" } as const };
    const answer = await workflows.trigger(id, trigger, null, (requestId) => ({
      status: 200,
      body: toUuid(requestId),
    }));
    return { workflow_run_id: answer.body };
  });
};
