import type { Engine } from "../../engine/engine.ts";
import type { Document, EnvironmentId } from "../../engine/model.ts";
import type { DocumentWrite } from "../../engine/ports.ts";
import { Refusal } from "../../engine/refusal.ts";

/** Each lost race means that somebody else's write went through, so this many only fail under a storm of writes. */
const MAX_TRIES = 10;

/**
 * Reads a document, has it changed, and writes whatever belongs together; when another call changed any of it meanwhile,
 * does it all again.
 * @param change gets null when there is no document. May be called several times; what it throws ends the call with
 *   nothing written. No writes means that nothing is to be changed.
 * @throws Refusal("busy") when it loses every race.
 */
export async function rewrite<T>(
  engine: Engine,
  environmentId: EnvironmentId,
  at: { readonly kind: string; readonly id: string },
  change: (
    document: Document | null,
  ) =>
    | { readonly writes: readonly DocumentWrite[]; readonly result: T }
    | Promise<{ readonly writes: readonly DocumentWrite[]; readonly result: T }>,
): Promise<T> {
  for (let tries = 0; tries < MAX_TRIES; tries++) {
    const { writes, result } = await change(await engine.documents.read(environmentId, at.kind, at.id));
    if (writes.length === 0) return result;
    if ((await engine.documents.write(environmentId, writes, engine.clock.now())) !== null) return result;
  }
  throw new Refusal("busy", `${at.kind} ${at.id} is being changed by others; try again`, { retryAfterMs: 250 });
}
