/**
 * What the CLI needs to know to write a resource into files: which fields are not the author's, and which texts go into
 * files of their own. It reads that from `__annotation` beside the fields, and takes it out again.
 */
import { isObject, type Json, type JsonObject } from "../../../lib/json.ts";

interface Extraction {
  /** Whether the text goes into a file of its own unless the author keeps it inline. */
  readonly default: boolean;
  readonly file_ext: string;
}

const HTML: Extraction = { default: true, file_ext: "html" };
const TXT: Extraction = { default: true, file_ext: "txt" };
const MD: Extraction = { default: true, file_ext: "md" };
const JSON_FILE: Extraction = { default: true, file_ext: "json" };
const SUBJECT: Extraction = { default: false, file_ext: "txt" };

type Fields = { readonly [name: string]: Extraction };

const TEMPLATE: Fields = {
  html_body: HTML,
  text_body: TXT,
  markdown_body: MD,
  json_body: JSON_FILE,
  visual_blocks: JSON_FILE,
  subject: SUBJECT,
  // A text that is short as a rule: a file only where the author has made one.
  body: SUBJECT,
};
const TEMPLATE_SETTINGS: Fields = { pre_content: TXT, payload_overrides: { default: false, file_ext: "json" } };
const OVERRIDES: Fields = { json_overrides: JSON_FILE };
const BLOCK: Fields = { content: MD };

const READONLY = ["environment", "key", "active", "valid", "created_at", "updated_at", "sha"];

/** What is annotated at the root of a resource; workflows have more inside. */
export const LAYOUT_FIELDS: Fields = { html_layout: HTML, text_layout: TXT };

/** The extension says what the partial holds. */
export function partialFields(type: unknown): Fields {
  const ext = type === "markdown" ? "md" : type === "json" ? "json" : type === "text" ? "txt" : "html";
  return { content: { default: true, file_ext: ext } };
}

/** @param more further fields of this resource that the author cannot write. */
export function annotated(resource: JsonObject, fields: Fields = {}, more: readonly string[] = []): JsonObject {
  const readonly_fields = [...READONLY, ...more].filter((name) => Object.hasOwn(resource, name));
  return { ...resource, __annotation: { readonly_fields, extractable_fields: only(fields, resource) } };
}

export function annotatedWorkflow(workflow: JsonObject): JsonObject {
  return annotated({ ...workflow, steps: stepsOf(workflow.steps) });
}

function stepsOf(steps: Json | undefined): Json {
  return Array.isArray(steps) ? steps.map((step: Json) => (isObject(step) ? stepOf(step) : step)) : [];
}

function stepOf(step: JsonObject): JsonObject {
  const out: Record<string, Json | undefined> = { ...step };
  if (isObject(step.template)) out.template = templateOf(step.template);
  if (isObject(step.channel_overrides)) out.channel_overrides = noted(step.channel_overrides, OVERRIDES);
  if (step.type === "http_fetch" && isObject(step.settings)) out.settings = noted(step.settings, TEMPLATE);
  for (const name of ["branches", "cohort_branches"]) {
    const branches = step[name];
    if (!Array.isArray(branches)) continue;
    out[name] = branches.map((branch: Json) =>
      isObject(branch) ? { ...branch, steps: stepsOf(branch.steps) } : branch,
    );
  }
  return out;
}

function templateOf(template: JsonObject): JsonObject {
  const out: Record<string, Json | undefined> = { ...template };
  if (isObject(template.settings)) out.settings = noted(template.settings, TEMPLATE_SETTINGS);
  if (Array.isArray(template.visual_blocks)) out.visual_blocks = template.visual_blocks.map(blockOf);
  return noted(out, TEMPLATE);
}

function blockOf(block: Json): Json {
  return isObject(block) ? noted(block, BLOCK) : block;
}

function noted(object: JsonObject, fields: Fields): JsonObject {
  return { ...object, __annotation: { extractable_fields: only(fields, object) } };
}

/** Of the fields those that are there. */
function only(fields: Fields, object: JsonObject): JsonObject {
  return Object.fromEntries(
    Object.entries(fields)
      .filter(([name]) => Object.hasOwn(object, name))
      .map(([name, { default: preset, file_ext }]) => [name, { default: preset, file_ext }]),
  );
}
