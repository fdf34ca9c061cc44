/**
 * Message types: what fields the content of guides has. Three are there without anybody making them, those that the
 * vendor's components show; their fields are the components' business. They can be made anew under their names.
 */
import type { Environment } from "../../../engine/model.ts";
import type { JsonObject } from "../../../lib/json.ts";
import { isObject } from "../../../lib/json.ts";
import { type FieldError, invalidParams } from "../errors.ts";
import { KNOCK_MESSAGE_TYPE } from "../guide-shelf.ts";
import type { Knock, Routes } from "../knock.ts";
import { toIso } from "../wire.ts";
import { annotated } from "./annotate.ts";
import { shaOf } from "./authored.ts";
import { authoredRoutes } from "./authored-routes.ts";
import { cleaned, given, MAX_NAME, Reader } from "./reader.ts";
import { DEVELOPMENT } from "./scope.ts";

const FIELD_TYPES = [
  "text",
  "textarea",
  "markdown",
  "boolean",
  "button",
  "image",
  "json",
  "select",
  "multi_select",
  "url",
] as const;
const MAX_PREVIEW = 100_000;
const MAX_DESCRIPTION = 280;
const MAX_VARIANTS = 50;
const MAX_FIELDS = 100;
const MAX_FIELD_CHARS = 20_000;
/** Guides look them all up. */
const MAX_TYPES = 500;
export const KEY = /^[a-z0-9_-]{1,255}$/i;
export const SEMVER = /^\d{1,9}\.\d{1,9}\.\d{1,9}$/;
export const FIRST_VERSION = "0.0.1";

const OWN_VARIANTS = ["default", "single-action", "multi-action"] as const;
const OWN: readonly (readonly [string, readonly string[]])[] = ["banner", "card", "modal"].map((key) => [
  key,
  OWN_VARIANTS,
]);

export const messageTypeRoutes: Routes = (app, knock) => {
  authoredRoutes(app, knock, {
    type: "message_type",
    path: "/message_types",
    mark: "mm",
    idOf: (_request, key) => key,
    check: (_environment, _key, source) => checkMessageType(source),
    show: (key, source, of) => ({
      ...source,
      key,
      owner: "user",
      semver: source.semver ?? FIRST_VERSION,
      valid: true,
      environment: DEVELOPMENT,
      sha: shaOf(source),
      archived_at: null,
      deleted_at: null,
      created_at: toIso(of?.document.createdAt ?? null),
      updated_at: toIso(of?.document.updatedAt ?? null),
    }),
    annotate: (type) =>
      annotated(type, { preview: { default: true, file_ext: "html" } }, ["owner", "archived_at", "deleted_at"]),
  });
};

/** The variants of each message type that guides may be made of, drafts included: both are pushed together. */
export async function variantsOf(
  { engine }: Knock,
  environment: Environment,
): Promise<ReadonlyMap<string, readonly string[]>> {
  const { items } = await engine.documents.list(environment.id, KNOCK_MESSAGE_TYPE, { limit: MAX_TYPES });
  const made = items.map(({ id, body }): [string, readonly string[]] => {
    const source = isObject(body.draft) ? body.draft : isObject(body.committed) ? body.committed : {};
    const variants = Array.isArray(source.variants) ? source.variants.filter(isObject) : [];
    return [id, variants.map(({ key }) => String(key))];
  });
  return new Map([...OWN, ...made]);
}

/** @throws KnockError 422 with all faults. */
export function checkMessageType(source: unknown): JsonObject {
  const errors: FieldError[] = [];
  const t = new Reader(cleaned(source, "message_type", errors), "", errors);
  if (errors.length > 0) throw invalidParams(errors);
  const checked = given({
    name: t.text("name", { max: MAX_NAME, required: true }),
    description: t.filled("description", MAX_DESCRIPTION),
    icon_name: t.filled("icon_name", MAX_NAME),
    preview: t.text("preview", { max: MAX_PREVIEW }) ?? "",
    semver: semverIn(t, "semver"),
    variants: t.objects("variants", { max: MAX_VARIANTS }, variantIn) ?? [
      { key: "default", name: "Default", fields: [] },
    ],
  });
  if (errors.length > 0) throw invalidParams(errors);
  return checked as JsonObject;
}

function variantIn(variant: Reader): JsonObject {
  return {
    key: keyIn(variant, "key"),
    name: variant.text("name", { max: MAX_NAME, required: true }) ?? "",
    fields: variant.objects("fields", { max: MAX_FIELDS }, fieldIn) ?? [],
  };
}

/** What else a field has depends on its type, and is its author's business. */
function fieldIn(field: Reader): JsonObject {
  keyIn(field, "key");
  if (field.required("type") !== undefined) field.oneOf("type", FIELD_TYPES);
  field.text("label", { max: MAX_NAME });
  field.object("settings");
  if (JSON.stringify(field.value).length > MAX_FIELD_CHARS) {
    field.error("", `Expected at most ${MAX_FIELD_CHARS} characters`, "too_long");
  }
  return field.value;
}

export function keyIn(reader: Reader, name: string): string {
  const key = reader.text(name, { max: MAX_NAME, required: true }) ?? "";
  if (key !== "" && !KEY.test(key)) reader.error(name, "Expected letters, digits, _ and -");
  return key;
}

export function semverIn(reader: Reader, name: string): string | undefined {
  const semver = reader.filled(name, MAX_NAME);
  if (semver !== undefined && !SEMVER.test(semver)) reader.error(name, "Expected a version such as 1.0.0");
  return semver;
}
