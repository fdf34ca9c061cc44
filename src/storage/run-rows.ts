/** How runs and schedules lie in their rows, and back; and the hashes that stand for texts which callers choose. */
import { hash } from "node:crypto";
import type { EnvironmentId } from "../engine/model.ts";
import type { Planned } from "../engine/ports.ts";
import {
  type PartyRef,
  partyKey,
  partyOf,
  type RepeatRule,
  type Run,
  type RunState,
  type Schedule,
} from "../engine/workflow/model.ts";
import type { JsonObject } from "../lib/json.ts";
import type { Operation, Row, Value } from "./database.ts";
import { columnsOf, type RowOf, tenantColumn, tenantOf } from "./schema.ts";
import { decodeJson, encodeJson } from "./text.ts";

const RUN_COLUMNS = columnsOf("runs");
export const SELECT_RUN = RUN_COLUMNS.map((column) => `r.${column}`).join(", ");
export const RETURN_RUN = RUN_COLUMNS.map((column) => `runs.${column}`).join(", ");

export const SCHEDULE_COLUMNS = columnsOf("schedules");
export const SELECT_SCHEDULE = SCHEDULE_COLUMNS.map((column) => `s.${column}`).join(", ");
export const RETURN_SCHEDULE = SCHEDULE_COLUMNS.map((column) => `schedules.${column}`).join(", ");

/**
 * Texts that callers choose may be of any length and hold what a database cannot store: indexes hold this instead. JSON
 * keeps apart what would be one text after unpaired surrogates are made good.
 */
function hashOf(...texts: readonly string[]): string {
  return hash("sha256", JSON.stringify(texts), "base64url");
}

/** What runs and activities are canceled by. */
export function cancelsOf(workflow: string, cancellationKey: string): string {
  return hashOf(workflow, cancellationKey);
}

/** Key of the row of a gate, which begins with whose it is. */
export function gateKeyOf(recipient: PartyRef, kind: string, key: string): string {
  return `${hashOf(partyKey(recipient))}.${hashOf(kind, key)}`;
}

/** Between these lie the keys of all gates of a recipient. */
export function gateKeysOf(recipient: PartyRef): readonly [after: string, before: string] {
  const mine = hashOf(partyKey(recipient));
  return [`${mine}.`, `${mine}/`];
}

/** State, data and rules are JSON by construction; their types only say more than `JsonObject` can. */
export function runStateText(state: RunState): string {
  return encodeJson(state as unknown as JsonObject);
}

/** Runs that go on later, beside the messages they are. */
export function* insertRuns(planned: readonly Planned[]): Operation<void> {
  const rows: Value[][] = [];
  for (const { run } of planned) if (run !== undefined) rows.push(runValues(run));
  if (rows.length > 0) yield { kind: "insert", table: "runs", columns: RUN_COLUMNS, rows };
}

// The values of a row stand in the order of its columns in schema.ts.

function runValues(run: Run): Value[] {
  const { workflow, cancellationKey } = run;
  return [
    run.environmentId,
    run.messageId,
    run.requestId,
    workflow,
    partyKey(run.recipient),
    tenantColumn(run.tenantId),
    cancellationKey === null ? null : JSON.stringify(cancellationKey),
    cancellationKey === null ? null : cancelsOf(workflow, cancellationKey),
    run.status,
    runStateText(run.state),
    run.dueAt,
    null,
    run.dueAt,
    run.createdAt,
  ];
}

export function runOf(found: Row): Run {
  const row = found as RowOf<"runs">;
  return {
    environmentId: row.env_id as EnvironmentId,
    messageId: row.message_id as Run["messageId"],
    requestId: row.request_id as Run["requestId"],
    workflow: row.workflow,
    recipient: partyOf(row.recipient),
    tenantId: tenantOf(row.tenant_id),
    cancellationKey: row.cancellation_key === null ? null : (JSON.parse(row.cancellation_key) as string),
    status: row.status as Run["status"],
    state: JSON.parse(row.state) as RunState,
    dueAt: row.due_at,
    leaseUntil: row.lease_until,
    createdAt: row.created_at,
  };
}

/** A party that is only named and not searched for; unlike a key in a column of its own it may be any text. */
export function partyText(party: PartyRef | null): string | null {
  return party === null ? null : JSON.stringify(partyKey(party));
}

export function partyFrom(text: string | null): PartyRef | null {
  return text === null ? null : partyOf(JSON.parse(text) as string);
}

export function scheduleValues(s: Schedule): Value[] {
  return [
    s.environmentId,
    s.id,
    s.workflow,
    partyKey(s.recipient),
    partyText(s.actor),
    tenantColumn(s.tenantId),
    encodeJson(s.data),
    JSON.stringify(s.repeats),
    s.scheduledAt,
    s.endingAt,
    s.nextAt,
    s.lastAt,
    null,
    s.nextAt,
    s.createdAt,
    s.updatedAt,
  ];
}

export function scheduleOf(found: Row): Schedule {
  const row = found as RowOf<"schedules">;
  return {
    environmentId: row.env_id as EnvironmentId,
    id: row.id as Schedule["id"],
    workflow: row.workflow,
    recipient: partyOf(row.recipient),
    actor: partyFrom(row.actor),
    tenantId: tenantOf(row.tenant_id),
    data: decodeJson(row.data),
    repeats: JSON.parse(row.repeats) as RepeatRule[],
    scheduledAt: row.scheduled_at,
    endingAt: row.ending_at,
    nextAt: row.next_at,
    lastAt: row.last_at,
    createdAt: row.created_at,
    updatedAt: row.updated_at,
  };
}
