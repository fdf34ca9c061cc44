/**
 * List ids form a hierarchy by name: one to four parts joined by dots. A pattern has the same parts, where `*` stands
 * for exactly one part and a final `**` for one or more.
 */
import { Refusal } from "./refusal.ts";

const MAX_PARTS = 4;
const PART = /^[^\s.*#]+$/;

/** @throws Refusal("invalid") when it is not the id of a list. */
export function checkListId(id: string): string {
  const parts = id.split(".");
  if (parts.length > MAX_PARTS || !parts.every((part) => PART.test(part))) {
    throw new Refusal(
      "invalid",
      `a list id is 1 to ${MAX_PARTS} parts joined by dots, without spaces, * or #; got ${JSON.stringify(id)}`,
      { field: "list_id" },
    );
  }
  return id;
}

/** @throws Refusal("invalid") when it is not a pattern. */
export function checkPattern(pattern: string): string {
  const parts = pattern.split(".");
  const last = parts.length - 1;
  const good =
    parts.length <= MAX_PARTS &&
    parts.every(
      (part, i) => part === "*" || (part === "**" && i === last && i > 0 && parts[i - 1] !== "*") || PART.test(part),
    );
  if (!good) {
    throw new Refusal(
      "invalid",
      `a list pattern is parts joined by dots, where * stands for one part and a final ** for one or more; got ${JSON.stringify(pattern)}`,
      { field: "list_pattern" },
    );
  }
  return pattern;
}

/** Whether a list falls under a (valid) pattern. */
export function matchesPattern(pattern: string, listId: string): boolean {
  const wanted = pattern.split(".");
  const parts = listId.split(".");
  const open = wanted.at(-1) === "**";
  if (open ? parts.length < wanted.length : parts.length !== wanted.length) return false;
  return wanted.every((part, i) => part === "*" || part === "**" || part === parts[i]);
}

/** What every id under the pattern begins with; narrows a search by index. */
export function patternPrefix(pattern: string): string {
  const star = pattern.indexOf("*");
  return star < 0 ? pattern : pattern.slice(0, star);
}
