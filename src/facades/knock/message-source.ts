/** Where a message comes from, as Knock names it: the key of a workflow. */
import type { Engine } from "../../engine/engine.ts";
import type { EnvironmentId, MessageId } from "../../engine/model.ts";
import type { WorkflowVersionId } from "../../engine/workflow/model.ts";

interface From {
  readonly messageId: MessageId;
  readonly versionId: WorkflowVersionId | null;
  /** The facade it came through, of items that no workflow sent. */
  readonly via?: string | undefined;
}

/** Of what came through another facade and says no more of itself. */
export const UNNAMED = "courier";

/**
 * Looks up many at once. Versions never change and are kept by the engine; what no workflow sent is read with its message.
 * @returns the key of each; for one whose workflow or message is gone or says nothing, its facade or `UNNAMED`.
 */
export async function sourceKeys(
  engine: Pick<Engine, "workflows" | "messages">,
  environmentId: EnvironmentId,
  items: readonly From[],
): Promise<(item: From) => string> {
  const versions = new Set(items.flatMap(({ versionId }) => (versionId === null ? [] : [versionId])));
  const messages = new Set(items.flatMap(({ versionId, messageId }) => (versionId === null ? [messageId] : [])));
  const keys = new Map<string, string>();
  const [workflows, read] = await Promise.all([
    Promise.all([...versions].map(async (id) => [id, await engine.workflows.version(environmentId, id)] as const)),
    messages.size === 0 ? [] : engine.messages.readMessages(environmentId, [...messages]),
  ]);
  for (const [id, workflow] of workflows) if (workflow !== null) keys.set(id, workflow.key);
  for (const { id, event } of read) if (event !== "") keys.set(id, event);
  return ({ versionId, messageId, via }) => keys.get(versionId ?? messageId) ?? via ?? UNNAMED;
}
