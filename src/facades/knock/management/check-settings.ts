/** What the steps that are no channel steps may say: waits, batches, throttles, calls and changes. */
import type {
  BatchStep,
  DelayStep,
  Duration,
  FetchStep,
  ThrottleStep,
  TriggerStep,
  UpdateDataStep,
  UpdatePartyStep,
} from "../../../engine/workflow/model.ts";
import { DURATION_UNITS } from "../../../engine/workflow/model.ts";
import { isObject, type JsonObject } from "../../../lib/json.ts";
import { given, MAX_NAME, MAX_TEXT, type Reader } from "./reader.ts";

/** Checks text with Liquid in a field that was read; faults are recorded. */
export type CheckLiquid = (reader: Reader, name: string, text: string | undefined) => string | undefined;

const DAY_S = 86_400;
const MAX_DELAY_DAYS = 365;
const MAX_THROTTLE_DAYS = 31;
const MAX_THROTTLE_KEY = 63;
const MAX_PATH = 500;
const METHODS = ["get", "post", "put", "patch", "delete"] as const;
/** Of the longest month, so that no number of months comes out longer than it is. */
const SECONDS: { readonly [unit in Duration["unit"]]: number } = {
  seconds: 1,
  minutes: 60,
  hours: 3_600,
  days: DAY_S,
  weeks: 7 * DAY_S,
  months: 31 * DAY_S,
};
/** Months are counted by the calendar: twelve of them are a year. */
const MAX_MONTHS = 12;
/** What a path of a field may begin with. */
const PATH = /^(?:data|recipient|actor|tenant|vars|run|workflow|refs)\.[^\s{}]+$/;

export function delaySettings(s: Reader): DelayStep["settings"] {
  const path = fieldPath(s, "delay_until_field_path");
  // Beside a moment it is an offset, before it when it is negative.
  const delay = duration(s, "delay_for", { maxDays: MAX_DELAY_DAYS, signed: path !== undefined });
  if (!has(s, "delay_for") && !has(s, "delay_until_field_path")) {
    s.error("", "Expected delay_for, delay_until_field_path or both", "required");
  }
  return given({ delay_for: delay, delay_until_field_path: path });
}

export function batchSettings(s: Reader, liquid: CheckLiquid): BatchStep["settings"] {
  if (!has(s, "batch_window") && !has(s, "batch_until_field_path")) {
    s.error("", "Expected batch_window or batch_until_field_path", "required");
  } else if (has(s, "batch_window") && has(s, "batch_until_field_path")) {
    s.error("batch_until_field_path", "Expected either batch_window or batch_until_field_path");
  }
  const type = s.oneOf("batch_window_type", ["fixed", "sliding"]);
  const extension = duration(s, "batch_window_extension_limit", { maxDays: MAX_DELAY_DAYS });
  return given({
    batch_key: liquid(s, "batch_key", s.filled("batch_key", MAX_PATH)),
    batch_window: duration(s, "batch_window", { maxDays: MAX_DELAY_DAYS }),
    batch_until_field_path: fieldPath(s, "batch_until_field_path"),
    batch_window_type: type,
    batch_window_extension_limit: extension,
    batch_order: s.oneOf("batch_order", ["asc", "desc"]),
    batch_execution_mode: s.oneOf("batch_execution_mode", ["accumulate", "flush_leading"]),
    batch_items_max_limit: s.number("batch_items_max_limit", { min: 2, max: 1_000, integer: true }),
    batch_items_render_limit: s.number("batch_items_render_limit", { min: 1, max: 100, integer: true }),
    workflow_version_mode: s.oneOf("workflow_version_mode", ["latest", "pinned"]),
  });
}

export function throttleSettings(s: Reader, liquid: CheckLiquid): ThrottleStep["settings"] {
  if (!has(s, "throttle_window") && !has(s, "throttle_window_field_path")) {
    s.error("", "Expected throttle_window or throttle_window_field_path", "required");
  }
  return given({
    throttle_key: liquid(s, "throttle_key", s.filled("throttle_key", MAX_THROTTLE_KEY)),
    throttle_window: duration(s, "throttle_window", { maxDays: MAX_THROTTLE_DAYS }),
    throttle_window_field_path: fieldPath(s, "throttle_window_field_path"),
    throttle_limit: s.number("throttle_limit", { min: 1, max: 1_000_000, integer: true }),
  });
}

export function fetchSettings(s: Reader, liquid: CheckLiquid): FetchStep["settings"] {
  return given({
    method: s.required("method") === undefined ? "get" : (s.oneOf("method", METHODS) ?? "get"),
    url: liquid(s, "url", s.text("url", { max: MAX_TEXT, required: true })) ?? "",
    headers: pairs(s, "headers", liquid),
    query_params: pairs(s, "query_params", liquid),
    body: liquid(s, "body", s.filled("body")),
    response_path: s.filled("response_path", MAX_PATH),
    signing_key: s.filled("signing_key", MAX_PATH),
  });
}

export function triggerSettings(s: Reader, liquid: CheckLiquid): TriggerStep["settings"] {
  const text = (name: string): string | undefined => liquid(s, name, s.filled(name));
  return given({
    workflow_key: s.text("workflow_key", { max: MAX_NAME, required: true }) ?? "",
    recipients: text("recipients"),
    actor: text("actor"),
    tenant: text("tenant"),
    data: text("data"),
    cancellation_key: text("cancellation_key"),
  });
}

export function updateDataSettings(s: Reader, liquid: CheckLiquid): UpdateDataStep["settings"] {
  return { data: textOrObject(s, "data", liquid) };
}

export function updatePartySettings(
  s: Reader,
  type: UpdatePartyStep["type"],
  liquid: CheckLiquid,
): UpdatePartyStep["settings"] {
  const mode = s.oneOf("recipient_mode", ["current", "reference"]);
  const gid = liquid(s, "recipient_gid", s.filled("recipient_gid", MAX_PATH));
  if (gid === undefined && (mode === "reference" || (type === "update_object" && mode === undefined))) {
    s.required("recipient_gid");
  }
  return given({
    recipient_mode: mode,
    recipient_gid: gid,
    update_properties: textOrObject(s, "update_properties", liquid),
  });
}

/** A length of time; records a fault for what is none, or too long. */
export function duration(
  s: Reader,
  name: string,
  rule: { readonly maxDays: number; readonly signed?: boolean },
): Duration | undefined {
  const d = s.inside(name);
  if (d === undefined) return undefined;
  const unit = d.required("unit") === undefined ? undefined : d.oneOf("unit", DURATION_UNITS);
  const value = d.required("value");
  if (value === undefined || unit === undefined) return undefined;
  if (typeof value !== "number" || !Number.isInteger(value) || (value < 0 && rule.signed !== true)) {
    d.error("value", rule.signed ? "Expected an integer" : "Expected an integer that is not negative");
    return undefined;
  }
  const inMonths = unit === "months" && rule.maxDays >= MAX_DELAY_DAYS;
  const longest = inMonths ? MAX_MONTHS : (rule.maxDays * DAY_S) / SECONDS[unit];
  if (Math.abs(value) > longest) {
    d.error("value", `Expected at most ${rule.maxDays} days`);
    return undefined;
  }
  return { unit, value };
}

function fieldPath(s: Reader, name: string): string | undefined {
  const path = s.filled(name, MAX_PATH);
  if (path === undefined) return undefined;
  if (!PATH.test(path)) s.error(name, "Expected a path such as data.due_at or recipient.window");
  return path;
}

/** Names and values as a list, or one template for all of them. */
export function pairs(s: Reader, name: string, liquid: CheckLiquid): FetchStep["settings"]["headers"] {
  if (typeof s.raw(name) === "string") return liquid(s, name, s.filled(name));
  return s.objects(name, { max: 100 }, (pair) => ({
    key: liquid(pair, "key", pair.text("key", { max: MAX_TEXT, required: true })) ?? "",
    value: liquid(pair, "value", pair.text("value", { max: MAX_TEXT })) ?? "",
  }));
}

/** Properties: an object, or Liquid that makes the JSON of one. */
function textOrObject(s: Reader, name: string, liquid: CheckLiquid): string | JsonObject {
  const value = s.required(name);
  if (value === undefined) return {};
  if (isObject(value)) return value;
  if (typeof value === "string") return liquid(s, name, value) ?? "";
  s.error(name, "Expected text or an object");
  return {};
}

function has(s: Reader, name: string): boolean {
  const value = s.raw(name);
  return value !== undefined && value !== "";
}
