import type { RunningEngine } from "../../src/engine/start.ts";

/**
 * Resolves when none of several engines on one database has anything under way. One that came to rest may take up work
 * again while another is waited for; were the clock moved then, that work would be late.
 */
export async function allIdle(
  targets: readonly { readonly engine: Pick<RunningEngine, "dispatcher"> }[],
): Promise<void> {
  do {
    await Promise.all(targets.map(({ engine }) => engine.dispatcher.idle()));
  } while (!targets.every(({ engine }) => engine.dispatcher.quiet));
}
