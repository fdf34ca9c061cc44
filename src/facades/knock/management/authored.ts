/**
 * What authors draft and commit: workflows, layouts, partials, translations, message types, guides. A write changes the draft; a commit makes
 * the draft what is sent, notes itself, and does both in one write of documents. A draft that says the same as what is
 * committed is none.
 */
import { createHash } from "node:crypto";
import type { Document, EnvironmentId } from "../../../engine/model.ts";
import type { DocumentStore, DocumentWrite } from "../../../engine/ports.ts";
import { untilWritten } from "../../../engine/webhooks/app-documents.ts";
import {
  EMAIL_LAYOUT,
  PARTIAL,
  STEP_TRANSLATION,
  WORKFLOW,
  WORKFLOW_VERSION,
  type WorkflowBody,
} from "../../../engine/workflow/model.ts";
import type { Clock, Millis } from "../../../lib/clock.ts";
import { newId } from "../../../lib/ids.ts";
import { isObject, type Json, type JsonObject } from "../../../lib/json.ts";
import { KNOCK_GUIDE, KNOCK_MESSAGE_TYPE } from "../guide-shelf.ts";
import { authoredEvent } from "./authored-events.ts";
import { commitWrite } from "./commit-records.ts";

/** Kinds of resources by the names that commits have for them. */
export const RESOURCES = {
  workflow: WORKFLOW,
  email_layout: EMAIL_LAYOUT,
  partial: PARTIAL,
  translation: STEP_TRANSLATION,
  message_type: KNOCK_MESSAGE_TYPE,
  guide: KNOCK_GUIDE,
} as const;
export type ResourceType = keyof typeof RESOURCES;
export const RESOURCE_TYPES = Object.keys(RESOURCES) as readonly ResourceType[];

/** A resource as authors know it. */
export interface Authored {
  readonly id: string;
  /** Null when nothing was written since the last commit. */
  readonly draft: JsonObject | null;
  /** Null before the first commit. */
  readonly committed: JsonObject | null;
  readonly document: Document;
}

export interface AuthoringDeps {
  readonly documents: DocumentStore;
  readonly clock: Clock;
}

/** How a change is committed; null: it stays a draft. */
export interface Commit {
  readonly message: string | null;
  /** Makes a commit also of what says the same as before. */
  readonly allowEmpty: boolean;
}

/** Resources of one type, with what is committed of each. */
export async function loadAuthored(
  { documents }: AuthoringDeps,
  environmentId: EnvironmentId,
  type: ResourceType,
  found: readonly Document[],
): Promise<readonly Authored[]> {
  const committed =
    type === "workflow"
      ? await versionsOf(documents, environmentId, found)
      : found.map(({ body }) => (isObject(body.committed) ? body.committed : null));
  return found.map((document, i) => {
    const { draft } = document.body;
    return { id: document.id, draft: isObject(draft) ? draft : null, committed: committed[i] ?? null, document };
  });
}

export async function readAuthored(
  deps: AuthoringDeps,
  environmentId: EnvironmentId,
  type: ResourceType,
  id: string,
): Promise<Authored | null> {
  const document = await deps.documents.read(environmentId, RESOURCES[type], id);
  return document === null ? null : ((await loadAuthored(deps, environmentId, type, [document]))[0] ?? null);
}

/** A version's body is the workflow. */
async function versionsOf(
  documents: DocumentStore,
  environmentId: EnvironmentId,
  found: readonly Document[],
): Promise<readonly (JsonObject | null)[]> {
  const ids = found.map(({ body }) => (body as unknown as WorkflowBody).versionId);
  const keys = ids.flatMap((id) => (id === null ? [] : [{ kind: WORKFLOW_VERSION, id }]));
  const read = await documents.readMany(environmentId, keys);
  const byId = new Map(read.map((version) => [version?.id, version?.body.workflow]));
  return ids.map((id) => {
    const workflow = id === null ? undefined : byId.get(id);
    return isObject(workflow) ? workflow : null;
  });
}

/** Keeps what an author wrote. @returns it as it is now. @throws Refusal("busy") when others write the same all the time. */
export function writeAuthored(
  deps: AuthoringDeps,
  environmentId: EnvironmentId,
  type: ResourceType,
  id: string,
  source: JsonObject,
  commit: Commit | null,
): Promise<Authored> {
  return untilWritten(type, async () => {
    const old = await readAuthored(deps, environmentId, type, id);
    const now = deps.clock.now();
    const same = old !== null && old.committed !== null && sameJson(old.committed, source);
    const commits = commit !== null && (!same || commit.allowEmpty);
    const writes = commits
      ? commitWrites(type, id, old?.document ?? null, source, commit.message, now)
      : [draftWrite(type, id, old?.document ?? null, same ? null : source)];
    const before = old?.draft ?? old?.committed ?? null;
    const written = { environmentId, type, id, source, at: now };
    const happened = [
      ...(before === null || !sameJson(before, source) ? authoredEvent("updated", written) : []),
      ...(commits ? authoredEvent("committed", written, writes) : []),
    ];
    const versions = await deps.documents.write(environmentId, writes, now, { happened });
    if (versions === null) return "again";
    const document: Document = {
      kind: RESOURCES[type],
      id,
      body: writes[0]?.body ?? {},
      version: versions[0] ?? 0,
      createdAt: old?.document.createdAt ?? now,
      updatedAt: now,
    };
    const draft = commits || same ? null : source;
    return { id, draft, committed: commits ? source : (old?.committed ?? null), document };
  });
}

/**
 * Commits what resources say together: all of them, or none when one of them was changed meanwhile.
 * @returns false then.
 */
export async function commitTogether(
  { documents, clock }: AuthoringDeps,
  environmentId: EnvironmentId,
  pending: readonly { readonly type: ResourceType; readonly document: Document; readonly source: JsonObject }[],
  message: string | null,
): Promise<boolean> {
  const now = clock.now();
  const commits = pending.map(({ type, document, source }) => {
    const { id } = document;
    const writes = commitWrites(type, id, document, source, message, now);
    return { writes, happened: authoredEvent("committed", { environmentId, type, id, source, at: now }, writes) };
  });
  const writes = commits.flatMap((commit) => commit.writes);
  const happened = commits.flatMap((commit) => commit.happened);
  return writes.length === 0 || (await documents.write(environmentId, writes, now, { happened })) !== null;
}

/** The resource's own document first. */
function commitWrites(
  type: ResourceType,
  id: string,
  old: Document | null,
  source: JsonObject,
  message: string | null,
  now: Millis,
): readonly DocumentWrite[] {
  const expect = old?.version ?? "absent";
  const record = commitWrite({ type, id, message }, now);
  if (type !== "workflow") {
    // A guide also has when it is shown, which is not committed.
    return [{ kind: RESOURCES[type], id, body: { ...old?.body, draft: null, committed: source }, expect }, record];
  }
  const versionId = newId("wfv", now);
  const body: WorkflowBody = { active: isActive(old), draft: null, versionId, committedAt: now };
  return [
    { kind: WORKFLOW, id, body: { ...body }, expect },
    { kind: WORKFLOW_VERSION, id: versionId, body: { workflow: source }, expect: "absent" },
    record,
  ];
}

function draftWrite(type: ResourceType, id: string, old: Document | null, draft: JsonObject | null): DocumentWrite {
  const first: JsonObject =
    type === "workflow" ? { active: true, versionId: null, committedAt: null } : { committed: null };
  return {
    kind: RESOURCES[type],
    id,
    body: { ...first, ...old?.body, draft },
    expect: old?.version ?? "absent",
  };
}

/** Unless somebody says otherwise, a workflow is active with its first commit. */
function isActive(old: Document | null): boolean {
  return old === null || (old.body as unknown as WorkflowBody).active;
}

/** Hex; the same for what says the same, whatever the order of its keys. */
export function shaOf(source: JsonObject): string {
  return createHash("sha256").update(sorted(source)).digest("hex");
}

function sameJson(a: JsonObject, b: JsonObject): boolean {
  return sorted(a) === sorted(b);
}

function sorted(value: Json): string {
  return JSON.stringify(value, (_key, one: unknown) =>
    isObject(one) ? Object.fromEntries(Object.entries(one).sort(([a], [b]) => (a < b ? -1 : 1))) : one,
  );
}
