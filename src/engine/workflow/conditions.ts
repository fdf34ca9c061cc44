/**
 * Conditions on what a run knows: `variable operator argument`. A variable is a path such as `data.plan`; an argument is
 * a path, too, or JSON, or simply text. What is missing is the empty text. What a condition asks of others (whether
 * somebody is in an audience, what a template comes to) is asked first; the decision itself waits for nothing.
 */
import type { Millis } from "../../lib/clock.ts";
import type { Json, JsonObject } from "../../lib/json.ts";
import { contains, containsAll, equal, isEmpty, isList, order, textOf } from "./comparisons.ts";
import {
  type Argument,
  argumentOf,
  type ConditionScope,
  pairOf,
  variableOf,
  withCommasRead,
} from "./condition-values.ts";
import { compareStatus, engagementHas, statusArgument } from "./message-status.ts";
import type { Condition, Conditions } from "./model.ts";
import { parseRelative, parseTimestamp } from "./timestamps.ts";

export interface ConditionContext {
  readonly scope: ConditionScope;
  readonly now: Millis;
  /**
   * Whether the run's recipient, or its actor where the variable is about it, is in an audience as a member of the run's
   * tenant. Without it nobody is.
   */
  readonly isMember?: (audience: string, who: "recipient" | "actor") => Promise<boolean>;
  /** Renders an argument that is a template; without it such an argument stands for itself. */
  readonly render?: (text: string) => string | Promise<string>;
}

/** Why conditions do not hold, for a run's log; each text is cut to some hundred characters. */
export interface FailedCondition extends JsonObject {
  readonly variable: string;
  readonly operator: string;
  readonly argument?: string;
  /** What the variable came to. */
  readonly value: string;
}
export interface Evaluation {
  readonly holds: boolean;
  /** Empty when they hold; of alternatives the first one of each that does not hold, five at most. */
  readonly failed: readonly FailedCondition[];
}

const HOLDS: Evaluation = { holds: true, failed: [] };
const MAX_FAILED = 5;
const MAX_SHOWN_CHARS = 100;

/**
 * Whether the conditions hold; none hold always.
 * @returns a value at once unless something has to be asked. Throws or rejects only if `isMember` or `render` does.
 */
export function evaluate(
  conditions: Conditions | null | undefined,
  context: ConditionContext,
): Evaluation | Promise<Evaluation> {
  // An empty object, which vendors' clients send, asks for nothing either.
  if (conditions == null || Object.keys(conditions).length === 0) return HOLDS;
  const questions = conditionsIn(conditions).filter((condition) => isQuestion(condition, context));
  if (questions.length === 0) return decide(conditions, context, NO_ANSWERS);
  return Promise.all(questions.map((condition) => ask(condition, context))).then((answers) =>
    decide(conditions, context, new Map(questions.map((condition, index) => [condition, answers[index] as Answer]))),
  );
}

/** All conditions, those of conjunctions within alternatives included. */
export function conditionsIn(conditions: Conditions): readonly Condition[] {
  if ("all" in conditions) return conditions.all;
  return conditions.any.flatMap((part) => ("all" in part ? part.all : [part]));
}

// ——— what has to be asked first ———————————————————————————————————————————————————————————————————————————————————

type Answer = boolean | string;
type Answers = ReadonlyMap<Condition, Answer>;
const NO_ANSWERS: Answers = new Map();

function isQuestion({ operator, argument }: Condition, context: ConditionContext): boolean {
  if (isAboutAudience(operator)) return context.isMember !== undefined;
  return isAboutTime(operator) && isTemplate(argument) && context.render !== undefined;
}

function ask(condition: Condition, { scope, isMember, render }: ConditionContext): Answer | Promise<Answer> {
  if (!isAboutAudience(condition.operator)) return render?.(condition.argument as string) ?? "";
  const audience = argumentOf(condition.argument, scope).text ?? "";
  if (audience === "") return false;
  return isMember?.(audience, condition.variable.startsWith("actor") ? "actor" : "recipient") ?? false;
}

export function isAboutAudience(operator: string): boolean {
  return operator === "is_audience_member" || operator === "is_not_audience_member";
}

export function isAboutTime(operator: string): boolean {
  return operator.startsWith("is_timestamp_");
}

export function isTemplate(argument: unknown): argument is string {
  return typeof argument === "string" && /\{[{%]/.test(argument);
}

// ——— the decision ————————————————————————————————————————————————————————————————————————————————————————————————

function decide(conditions: Conditions, context: ConditionContext, answers: Answers): Evaluation {
  if ("all" in conditions) {
    const failed = firstFailing(conditions.all, context, answers);
    return failed === null ? HOLDS : { holds: false, failed: [describe(failed, context)] };
  }
  const failures: FailedCondition[] = [];
  for (const part of conditions.any) {
    const failed = firstFailing("all" in part ? part.all : [part], context, answers);
    if (failed === null) return HOLDS;
    if (failures.length < MAX_FAILED) failures.push(describe(failed, context));
  }
  return failures.length === 0 ? HOLDS : { holds: false, failed: failures };
}

function firstFailing(all: readonly Condition[], context: ConditionContext, answers: Answers): Condition | null {
  return all.find((condition) => !holds(condition, context, answers.get(condition))) ?? null;
}

function holds(condition: Condition, context: ConditionContext, answer: Answer | undefined): boolean {
  const { operator } = condition;
  const value = variableOf(condition.variable, context.scope);
  switch (operator) {
    case "empty":
      return isEmpty(value);
    case "not_empty":
      return !isEmpty(value);
    case "exists":
      return value !== undefined && value !== null;
    case "not_exists":
      return value === undefined || value === null;
    case "is_timestamp":
      return parseTimestamp(value) !== null;
    case "is_not_timestamp":
      return parseTimestamp(value) === null;
    case "is_audience_member":
      return answer === true;
    case "is_not_audience_member":
      return answer !== true;
  }
  if (isAboutTime(operator)) return timeHolds(operator, parseTimestamp(value), condition.argument, answer, context);
  const isRange = operator === "is_between";
  const argument = argumentOf(isRange ? withCommasRead(condition.argument) : condition.argument, context.scope);
  const status = statusArgument(argument.value);
  return status === null ? valuesHold(operator, value ?? "", argument) : statusHolds(operator, value, status);
}

function valuesHold(operator: string, value: Json, argument: Argument): boolean {
  switch (operator) {
    case "equal_to":
      return equal(value, argument.value);
    case "not_equal_to":
      return !equal(value, argument.value);
    case "contains":
      return contains(value, argument.value, argument.text);
    case "not_contains":
      return !contains(value, argument.value, argument.text);
    case "contains_all":
      return containsAll(value, argument.value);
    case "not_contains_all":
      return !containsAll(value, argument.value);
    case "is_between": {
      const [low, high] = pairOf(argument.value);
      return low !== undefined && high !== undefined && atLeast(value, low) && atLeast(high, value);
    }
  }
  const difference = order(value, argument.value);
  return difference !== null && inOrder(operator, difference);
}

function statusHolds(operator: string, value: Json | undefined, status: string): boolean {
  switch (operator) {
    case "contains":
    case "contains_all":
      return engagementHas(value, status);
    case "not_contains":
    case "not_contains_all":
      return !engagementHas(value, status);
    // What ranks the same need not be the same.
    case "equal_to":
      return (value ?? "skipped") === status;
    case "not_equal_to":
      return (value ?? "skipped") !== status;
  }
  return inOrder(operator, compareStatus(value, status));
}

function inOrder(operator: string, difference: number): boolean {
  switch (operator) {
    case "greater_than":
      return difference > 0;
    case "less_than":
      return difference < 0;
    case "greater_than_or_equal_to":
      return difference >= 0;
    case "less_than_or_equal_to":
      return difference <= 0;
  }
  // An operator we do not know; `checkConditions` lets none in.
  return false;
}

/** Both bounds of a range of numbers belong to it. */
function atLeast(value: Json, bound: Json): boolean {
  return (order(value, bound) ?? -1) >= 0;
}

function timeHolds(
  operator: string,
  at: Millis | null,
  argument: Json | undefined,
  rendered: Answer | undefined,
  { scope, now }: ConditionContext,
): boolean {
  if (at === null) return false;
  if (operator === "is_timestamp_before_now") return at < now;
  if (operator === "is_timestamp_on_or_after_now") return at >= now;
  const written = typeof rendered === "string" ? rendered : argument;
  if (operator === "is_timestamp_between") {
    const [from, until] = pairOf(argumentOf(withCommasRead(written), scope).value).map((bound) => timeOf(bound, now));
    return from != null && until != null && at >= from && at <= until;
  }
  // What a template came to is not a path any more.
  const wanted = typeof rendered === "string" ? rendered : argumentOf(argument, scope).value;
  const bound = timeOf(wanted, now);
  if (bound === null) return false;
  switch (operator) {
    case "is_timestamp_before":
    case "is_timestamp_before_date":
      return at < bound;
    case "is_timestamp_on_or_after":
    case "is_timestamp_on_or_after_date":
    // The name that older clients have for it.
    case "is_timestamp_after":
      return at >= bound;
  }
  return false;
}

function timeOf(value: Json | undefined, now: Millis): Millis | null {
  if (typeof value !== "string") return null;
  const relative = parseRelative(value, now);
  if (relative !== null) return relative.kind === "moment" ? relative.at : null;
  return parseTimestamp(value);
}

// ——— what is told of it ——————————————————————————————————————————————————————————————————————————————————————————

function describe({ variable, operator, argument }: Condition, { scope }: ConditionContext): FailedCondition {
  return {
    variable: cut(variable),
    operator: cut(operator),
    ...(argument === undefined ? {} : { argument: shown(argument) }),
    // Variables of the environment may be secrets.
    value: variable.startsWith("vars") ? "(not shown)" : shown(variableOf(variable, scope) ?? ""),
  };
}

function shown(value: Json): string {
  const text = textOf(value);
  if (text !== null) return value === null ? "null" : cut(text);
  return isList(value) ? `list of ${value.length}` : `object of ${Object.keys(value as JsonObject).length}`;
}

function cut(text: string): string {
  return text.length <= MAX_SHOWN_CHARS
    ? text
    : `${Array.from(text.slice(0, 2 * MAX_SHOWN_CHARS))
        .slice(0, MAX_SHOWN_CHARS)
        .join("")}…`;
}
