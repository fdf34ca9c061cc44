/** Checks the data of triggers against the JSON schema of their workflow. */
import { Ajv, type ValidateFunction } from "ajv";
import type { Workflow, WorkflowVersionId } from "../../engine/workflow/model.ts";
import type { JsonObject } from "../../lib/json.ts";
import { Lru } from "../../lib/lru.ts";
import { type FieldError, invalidParams } from "./errors.ts";

/** Schemas that are kept compiled; a version's never changes. */
const MAX_COMPILED = 500;

export class TriggerDataCheck {
  readonly #compiled = new Lru<WorkflowVersionId, ValidateFunction | null>(MAX_COMPILED);

  /** @throws KnockError 422 with one entry for each violation. */
  check(versionId: WorkflowVersionId, workflow: Workflow, data: JsonObject): void {
    const validate = this.#of(versionId, workflow);
    if (validate === null || validate(data)) return;
    const errors = (validate.errors ?? []).map(({ instancePath, keyword, message, params }): FieldError => {
      const { missingProperty } = params as { readonly missingProperty?: string };
      const path = `data${pathOf(instancePath)}`;
      const field = missingProperty === undefined ? path : `${path}.${missingProperty}`;
      return {
        field,
        type: keyword,
        message: missingProperty === undefined ? (message ?? "is not valid") : "is required",
      };
    });
    throw invalidParams(errors);
  }

  #of(versionId: WorkflowVersionId, { trigger_data_json_schema: schema }: Workflow): ValidateFunction | null {
    if (schema === undefined) return null;
    let validate = this.#compiled.get(versionId);
    if (validate === undefined) {
      validate = compiled(schema);
      this.#compiled.set(versionId, validate);
    }
    return validate;
  }
}

/** @returns null for a schema that compiles no more: it was checked when it was pushed, by another version of ours. */
function compiled(schema: JsonObject): ValidateFunction | null {
  try {
    // Each in a compiler of its own: two schemas may carry the same `$id`.
    return new Ajv({ allErrors: true, strict: false, validateFormats: false }).compile(schema);
  } catch {
    return null;
  }
}

/** `/a/0/b` to `.a[0].b`. */
function pathOf(pointer: string): string {
  return pointer
    .split("/")
    .slice(1)
    .map((token) => token.replaceAll("~1", "/").replaceAll("~0", "~"))
    .map((name) => (/^\d+$/.test(name) ? `[${name}]` : `.${name}`))
    .join("");
}
