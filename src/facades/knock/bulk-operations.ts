/** Work on many things at once. It is done before the call is answered; what is recorded is how it went. */
import type { FastifyInstance } from "fastify";
import type { EnvironmentId } from "../../engine/model.ts";
import type { BulkOperation } from "../../engine/workflow/model.ts";
import type { Millis } from "../../lib/clock.ts";
import { newId } from "../../lib/ids.ts";
import type { JsonObject } from "../../lib/json.ts";
import { environmentOf, SECRET } from "./auth.ts";
import { missing } from "./errors.ts";
import { fromUuid, toUuid } from "./ids.ts";
import type { Knock } from "./knock.ts";
import { paramOf } from "./path.ts";
import { toIso } from "./wire.ts";

/** Entries of one bulk call. */
export const MAX_BULK = 1_000;

export function bulkOperationRoutes(scope: FastifyInstance, { engine }: Knock): void {
  scope.get("/bulk_operations/:id", SECRET, async (request) => {
    const id = paramOf(request, "id");
    const own = fromUuid("blk", id);
    const found = own === null ? null : await engine.workflows.parties.bulkOperation(environmentOf(request).id, own);
    if (found === null) throw missing("Bulk operation", id);
    return showBulk(found);
  });
}

/** One that could not be handled, while the others were. */
export interface BulkError {
  readonly id: string;
  readonly collection?: string;
}

/**
 * Records work that is done. Kept for a week.
 * @param name such as `users.identify`.
 * @param rows how many entries the call had.
 * @returns the BulkOperation to answer with.
 */
export async function recordBulk(
  knock: Knock,
  environmentId: EnvironmentId,
  name: string,
  rows: number,
  startedAt: Millis = knock.clock.now(),
  errors: readonly BulkError[] = [],
): Promise<JsonObject> {
  const now = knock.clock.now();
  const operation: BulkOperation = {
    id: newId("blk", now),
    body: { name, rows, errors: errors.map((error) => ({ ...error })), startedAt, completedAt: now },
    createdAt: now,
  };
  await knock.engine.workflows.parties.putBulkOperation(environmentId, operation);
  return showBulk(operation);
}

function showBulk({ id, body, createdAt }: BulkOperation): JsonObject {
  const { name, rows, errors, startedAt, completedAt } = body as {
    readonly name: string;
    readonly rows: number;
    readonly errors: readonly JsonObject[];
    readonly startedAt: Millis;
    readonly completedAt: Millis;
  };
  const uuid = toUuid(id);
  return {
    __typename: "BulkOperation",
    id: uuid,
    name,
    status: "completed",
    estimated_total_rows: rows,
    processed_rows: rows,
    success_count: rows - errors.length,
    error_count: errors.length,
    error_items: errors,
    progress_path: `/v1/bulk_operations/${uuid}`,
    started_at: toIso(startedAt),
    completed_at: toIso(completedAt),
    failed_at: null,
    inserted_at: toIso(createdAt),
    updated_at: toIso(completedAt),
  };
}
