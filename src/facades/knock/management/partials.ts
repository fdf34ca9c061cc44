/** Partials: pieces that templates include. */
import type { StepLanguage } from "../../../engine/workflow/ports.ts";
import type { JsonObject } from "../../../lib/json.ts";
import { type FieldError, invalidParams } from "../errors.ts";
import type { Routes } from "../knock.ts";
import { toIso } from "../wire.ts";
import { annotated, partialFields } from "./annotate.ts";
import { authoredRoutes } from "./authored-routes.ts";
import { cleaned, given, MAX_NAME, Reader } from "./reader.ts";
import { DEVELOPMENT } from "./scope.ts";

export const PARTIAL_TYPES = ["html", "text", "json", "markdown"] as const;
const MAX_CONTENT = 500_000;
const MAX_DESCRIPTION = 280;
const MAX_FIELDS = 100;

export const partialRoutes: Routes = (app, knock) => {
  authoredRoutes(app, knock, {
    type: "partial",
    path: "/partials",
    mark: "mp",
    idOf: (_request, key) => key,
    check: (_environment, _key, source) => checkPartial(source, knock.engine.workflows.language),
    show: (key, source, of) => ({
      ...source,
      key,
      valid: true,
      environment: DEVELOPMENT,
      inserted_at: toIso(of?.document.createdAt ?? null),
      // The same, as the CLI reads it.
      created_at: toIso(of?.document.createdAt ?? null),
      updated_at: toIso(of?.document.updatedAt ?? null),
    }),
    annotate: (partial) => annotated(partial, partialFields(partial.type), ["inserted_at"]),
  });
};

/** @throws KnockError 422 with all faults. */
export function checkPartial(source: unknown, language: Pick<StepLanguage, "checkText">): JsonObject {
  const errors: FieldError[] = [];
  const p = new Reader(cleaned(source, "partial", errors), "", errors);
  if (errors.length > 0) throw invalidParams(errors);
  const content = p.text("content", { max: MAX_CONTENT });
  if (content === undefined && p.raw("content") === undefined) p.required("content");
  if (content !== undefined) p.try("content", () => language.checkText(content, "content"));
  const type = p.required("type") === undefined ? undefined : p.oneOf("type", PARTIAL_TYPES);
  const visual = p.flag("visual_block_enabled");
  if (visual === true && type !== "html") p.error("visual_block_enabled", "Only html partials can be visual blocks");
  const checked = given({
    name: p.text("name", { max: MAX_NAME, required: true }),
    type,
    content,
    description: p.filled("description", MAX_DESCRIPTION),
    icon_name: p.filled("icon_name", MAX_NAME),
    visual_block_enabled: visual,
    input_schema: p.objects("input_schema", { max: MAX_FIELDS }, (field) => {
      field.text("key", { max: MAX_NAME, required: true });
      field.text("type", { max: MAX_NAME, required: true });
      return field.value;
    }),
  });
  if (errors.length > 0) throw invalidParams(errors);
  return checked as JsonObject;
}
