/** Whether a guide can be shown to anybody as its author has written it. */
import { checkConditions } from "../../../engine/workflow/condition-checks.ts";
import type { StepLanguage } from "../../../engine/workflow/ports.ts";
import { isObject, type Json, type JsonObject } from "../../../lib/json.ts";
import { type FieldError, invalidParams } from "../errors.ts";
import { GUIDE_CHANNEL } from "../guide-shelf.ts";
import { FIRST_VERSION, keyIn, semverIn } from "./message-types.ts";
import { cleaned, given, MAX_NAME, Reader } from "./reader.ts";

const MAX_STEPS = 25;
const MAX_RULES = 50;
const MAX_DESCRIPTION = 280;
const MAX_PATTERN = 1_000;
/** Whoever loads a page is sent the values of all guides. */
const MAX_VALUES_CHARS = 50_000;
const DIRECTIVES = ["allow", "block"] as const;

/** What a guide may name. */
export interface GuideWorld {
  readonly language: Pick<StepLanguage, "checkText">;
  /** Keys of variants by the key of their message type. */
  readonly variants: ReadonlyMap<string, readonly string[]>;
}

/** @returns what is kept of it. @throws KnockError 422 with all faults. */
export function checkGuide(source: unknown, world: GuideWorld): JsonObject {
  const errors: FieldError[] = [];
  const g = new Reader(cleaned(source, "guide", errors), "", errors);
  if (errors.length > 0) throw invalidParams(errors);
  const channel = g.text("channel_key", { max: MAX_NAME });
  if (channel !== undefined && channel !== GUIDE_CHANNEL.key) {
    g.error("channel_key", `There is no guide channel with this key; the one there is is called ${GUIDE_CHANNEL.key}`);
  }
  const refs = new Set<string>();
  const conditions = g.raw("target_property_conditions");
  const checked = given({
    channel_key: GUIDE_CHANNEL.key,
    name: g.text("name", { max: MAX_NAME, required: true }),
    description: g.filled("description", MAX_DESCRIPTION),
    semver: semverIn(g, "semver"),
    steps: g.objects("steps", { max: MAX_STEPS, min: 1, required: true }, (step) => stepIn(step, refs, world)),
    target_audience_id: g.filled("target_audience_id", MAX_NAME),
    target_property_conditions:
      conditions === undefined
        ? undefined
        : g.try("target_property_conditions", () => checkConditions(conditions, "target_property_conditions")),
    activation_url_patterns: g.objects("activation_url_patterns", { max: MAX_RULES }, patternIn),
    activation_url_rules: g.objects("activation_url_rules", { max: MAX_RULES }, ruleIn),
  });
  if ((checked.activation_url_patterns?.length ?? 0) > 0 && (checked.activation_url_rules?.length ?? 0) > 0) {
    g.error("activation_url_rules", "Expected either patterns or rules");
  }
  if (errors.length > 0) throw invalidParams(errors);
  return checked as unknown as JsonObject;
}

function stepIn(step: Reader, refs: Set<string>, { language, variants }: GuideWorld): JsonObject {
  const ref = keyIn(step, "ref");
  if (refs.has(ref)) step.error("ref", `Another step has the ref ${JSON.stringify(ref)} already`);
  refs.add(ref);
  const schema_key = keyIn(step, "schema_key");
  const known = variants.get(schema_key);
  if (schema_key !== "" && known === undefined) {
    step.error("schema_key", `There is no message type with the key ${JSON.stringify(schema_key)}`);
  }
  const variant = step.text("schema_variant_key", { max: MAX_NAME }) ?? "default";
  if (known !== undefined && !known.includes(variant)) {
    step.error("schema_variant_key", `The message type has no variant ${JSON.stringify(variant)}`);
  }
  const values = step.object("values");
  if (values !== undefined && JSON.stringify(values).length > MAX_VALUES_CHARS) {
    step.error("values", `Expected at most ${MAX_VALUES_CHARS} characters of JSON`, "too_long");
  } else if (values !== undefined) {
    checkTexts(values, step.path("values"), (text, field) => {
      step.try("values", () => language.checkText(text, field));
    });
  }
  return given({
    ref,
    name: step.filled("name", MAX_NAME),
    schema_key,
    schema_semver: semverIn(step, "schema_semver") ?? FIRST_VERSION,
    schema_variant_key: variant,
    values: values ?? {},
  });
}

/** All texts of a value, at any depth, with their paths. */
function checkTexts(value: Json, at: string, check: (text: string, field: string) => void): void {
  if (typeof value === "string") check(value, at);
  else if (Array.isArray(value)) {
    value.forEach((one: Json, i) => {
      checkTexts(one, `${at}[${i}]`, check);
    });
  } else if (isObject(value)) {
    for (const [name, one] of Object.entries(value)) checkTexts(one ?? null, `${at}.${name}`, check);
  }
}

/** A pattern that a browser cannot read would keep it from showing any guide. */
function patternIn(rule: Reader): JsonObject {
  const directive = rule.required("directive") === undefined ? undefined : rule.oneOf("directive", DIRECTIVES);
  const pathname = rule.filled("pathname", MAX_PATTERN);
  const search = rule.filled("search", MAX_PATTERN);
  if (pathname === undefined && search === undefined) rule.error("pathname", "Expected a pathname or a search");
  else if (!isPattern(given({ pathname, search }))) rule.error("pathname", "Expected a pattern of URLs");
  return given({ directive: directive ?? "allow", pathname, search });
}

function isPattern(parts: { readonly pathname: string | undefined; readonly search: string | undefined }): boolean {
  try {
    new URLPattern(parts as URLPatternInit);
    return true;
  } catch {
    return false;
  }
}

function ruleIn(rule: Reader): JsonObject {
  return {
    directive: (rule.required("directive") === undefined ? undefined : rule.oneOf("directive", DIRECTIVES)) ?? "allow",
    variable: rule.oneOf("variable", ["pathname"]) ?? "pathname",
    operator:
      (rule.required("operator") === undefined ? undefined : rule.oneOf("operator", ["equal_to", "contains"])) ??
      "equal_to",
    argument: rule.text("argument", { max: MAX_PATTERN, required: true }) ?? "",
  };
}
