/**
 * Workflows that a recipient gets but once. Whether it had its run is asked when one is planned, which settles nearly all;
 * but two processes may ask at the same time, and neither sees what the other has not committed. So what is planned waits
 * at a gate which one run passes, ever: a throttle whose window has no end.
 */
import type { Millis } from "../../lib/clock.ts";
import type { Workflow } from "./model.ts";
import type { GateAsked } from "./step.ts";
import type { RunInWorld } from "./world.ts";

/** The last moment there is a date for. */
const NEVER: Millis = 8_640_000_000_000_000;

/** What there may be but one run for; null when there may be any number. */
export function oncePer({ trigger_frequency: frequency }: Workflow): "recipient" | "recipient and tenant" | null {
  if (frequency === "once_per_recipient") return "recipient";
  return frequency === "once_per_recipient_per_tenant" ? "recipient and tenant" : null;
}

export function onceGate({ version, tenantId }: RunInWorld, now: Millis): GateAsked & { readonly kind: "throttle" } {
  const { workflow } = version;
  const tenant = oncePer(workflow) === "recipient" ? null : (tenantId ?? "");
  const key = JSON.stringify(["once", workflow.key, tenant]);
  return { kind: "throttle", key, limit: 1, now, until: NEVER };
}
