/** What endpoints are told of what authors write: a draft that changed, and a commit. */
import type { EnvironmentId } from "../../../engine/model.ts";
import type { DocumentWrite } from "../../../engine/ports.ts";
import { changeStepSecrets } from "../../../engine/secrets.ts";
import type { HappeningNote, ResourceHappening } from "../../../engine/workflow/model.ts";
import type { Millis } from "../../../lib/clock.ts";
import type { JsonObject } from "../../../lib/json.ts";
import { toUuid } from "../ids.ts";
import { toIso } from "../wire.ts";
import { identifierOf, KNOCK_COMMIT } from "./commit-records.ts";

/** Types that the vendor tells of, with their names. */
const TYPE_NAME: { readonly [type: string]: string } = {
  workflow: "Workflow",
  email_layout: "EmailLayout",
  partial: "Partial",
  translation: "Translation",
};

/** Whoever is told may be a chat of many people. */
const HIDDEN = "********";

interface Written {
  readonly environmentId: EnvironmentId;
  readonly type: string;
  readonly id: string;
  readonly source: JsonObject;
  readonly at: Millis;
}

/** @param writes of a commit. @returns nothing for types that are not told of. */
export function authoredEvent(
  what: ResourceHappening,
  { environmentId, type, id, source, at }: Written,
  writes: readonly DocumentWrite[] = [],
): readonly HappeningNote[] {
  const __typename = TYPE_NAME[type];
  if (__typename === undefined) return [];
  const commit = writes.find(({ kind }) => kind === KNOCK_COMMIT);
  const detail = commit === undefined ? null : { commit_id: toUuid(commit.id) };
  const told = type === "workflow" ? changeStepSecrets(source, () => HIDDEN) : source;
  const body = { __typename, ...told, key: identifierOf({ type, id }), updated_at: toIso(at) };
  return [{ environmentId, subject: `${type}/${id}`, at, detail, of: "resource", what, type, body }];
}
