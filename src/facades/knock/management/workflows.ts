/** Workflows as authors see them: written, committed, switched on and off, run for a test. */

import type { Environment } from "../../../engine/model.ts";
import { untilWritten } from "../../../engine/webhooks/app-documents.ts";
import { checkConditions } from "../../../engine/workflow/condition-checks.ts";
import { CHANNEL_GROUP, type ChannelType, WORKFLOW, type WorkflowBody } from "../../../engine/workflow/model.ts";
import { isObject, type JsonObject } from "../../../lib/json.ts";
import { MANAGEMENT } from "../auth.ts";
import { invalid, missing } from "../errors.ts";
import type { Knock, Routes } from "../knock.ts";
import { queryOf } from "../query.ts";
import { checkText, toIso } from "../wire.ts";
import { annotatedWorkflow } from "./annotate.ts";
import { loadAuthored, shaOf } from "./authored.ts";
import { type AuthoredSpec, authoredRoutes } from "./authored-routes.ts";
import { checkWorkflow, type WorkflowWorld } from "./check-workflow.ts";
import { DEVELOPMENT, environmentIn } from "./scope.ts";

const MAX_GROUPS = 1_000;

export const workflowRoutes: Routes = (app, knock) => {
  const { documents } = knock.engine;

  const spec: AuthoredSpec = {
    type: "workflow",
    path: "/workflows",
    mark: "mw",
    idOf: (_request, key) => key,
    check: async (environment, key, source) =>
      checkWorkflow(key, source, await worldOf(knock, environment)) as unknown as JsonObject,
    show: (key, source, of) => ({
      ...source,
      key,
      active: of !== null && isActive(of.document.body),
      // Nothing else is ever kept. A channel that is removed afterwards is skipped by runs.
      valid: true,
      environment: DEVELOPMENT,
      sha: shaOf(source),
      created_at: toIso(of?.document.createdAt ?? null),
      updated_at: toIso(of?.document.updatedAt ?? null),
    }),
    annotate: annotatedWorkflow,
  };
  authoredRoutes(app, knock, spec);

  app.put<{ Params: { key: string } }>("/workflows/:key/activate", MANAGEMENT, async (request) => {
    const environment = environmentIn(request);
    const key = checkText("key", request.params.key);
    const active = statusIn(request.body) ?? queryOf(request).flag("status") ?? true;
    const written = await untilWritten("workflow", async () => {
      const old = await documents.read(environment.id, WORKFLOW, key);
      if (old === null) throw missing("workflow", key);
      const body = { ...old.body, active };
      const now = knock.clock.now();
      const versions = await documents.write(
        environment.id,
        [{ kind: WORKFLOW, id: key, body, expect: old.version }],
        now,
      );
      return versions === null ? "again" : { ...old, body, updatedAt: now };
    });
    const [authored] = await loadAuthored({ documents, clock: knock.clock }, environment.id, "workflow", [written]);
    const source = authored?.draft ?? authored?.committed ?? {};
    return { workflow: spec.show(key, source, authored ?? null, request) };
  });
};

function isActive(body: JsonObject): boolean {
  const { active, versionId } = body as unknown as WorkflowBody;
  return active && versionId !== null;
}

function statusIn(body: unknown): boolean | undefined {
  const status = isObject(body) ? body.status : undefined;
  if (status === undefined || status === null) return undefined;
  if (typeof status !== "boolean") throw invalid("status", "Expected true or false");
  return status;
}

/** What workflows of the environment may name. */
export async function worldOf(knock: Knock, environment: Environment): Promise<WorkflowWorld> {
  const { workflows, documents } = knock.engine;
  const [channels, groups] = await Promise.all([
    workflows.channels(environment.id),
    documents.list(environment.id, CHANNEL_GROUP, { limit: MAX_GROUPS }),
  ]);
  const types = new Map(channels.map(({ key, type }) => [key, type]));
  const groupTypes = new Map(groups.items.map(({ id, body }) => [id, body.channel_type as ChannelType]));
  return {
    language: workflows.language,
    checkConditions,
    typeOf: (key) => types.get(key),
    typeOfGroup: (key) => groupTypes.get(key),
  };
}
