/** Who committed what: one document for each commit, written together with what it commits. */
import type { Document, Environment } from "../../../engine/model.ts";
import type { DocumentWrite } from "../../../engine/ports.ts";
import type { Millis } from "../../../lib/clock.ts";
import { newId } from "../../../lib/ids.ts";
import type { JsonObject } from "../../../lib/json.ts";
import { toUuid } from "../ids.ts";
import { toIso } from "../wire.ts";
import { DEVELOPMENT } from "./scope.ts";

/** Kind of documents; id is ours (`cmt`). Body: `CommitRecord`. */
export const KNOCK_COMMIT = "knock-commit";

export interface CommitRecord {
  readonly type: string;
  /** Of the resource's document. */
  readonly id: string;
  readonly message: string | null;
}

export function commitWrite({ type, id, message }: CommitRecord, now: Millis): DocumentWrite {
  return { kind: KNOCK_COMMIT, id: newId("cmt", now), body: { type, id, message }, expect: "absent" };
}

export function recordIn(document: Document): CommitRecord {
  return document.body as unknown as CommitRecord;
}

/** What people call a resource: a key, or of a translation its namespace and locale. */
export function identifierOf({ type, id }: Pick<CommitRecord, "type" | "id">): string {
  if (type !== "translation") return id;
  return id
    .split("/")
    .filter((part) => part !== "")
    .join(".");
}

export function showCommit(document: Document, environment: Environment): JsonObject {
  const record = recordIn(document);
  return {
    id: toUuid(document.id),
    // Keys are held by programs, not by people; there is nobody else to name.
    author: { email: "", name: environment.name },
    commit_message: record.message,
    environment: DEVELOPMENT,
    resource: { type: record.type, identifier: identifierOf(record) },
    created_at: toIso(document.createdAt),
  };
}
