/** The tables of docs/one-inbox.md, as the tests' own: what stands there is what is tested. */
import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { join } from "node:path";

const DOC = join(import.meta.dirname, "../../../docs/one-inbox.md");

/** One action and all that follows from it. */
export interface Row {
  readonly title: string;
  readonly before: readonly string[];
  readonly action: string;
  /** Answered as if there were no such item. */
  readonly unknown: boolean;
  readonly courier: string;
  readonly knock: string;
  readonly pushwoosh: string;
  readonly frames: readonly string[];
  /** Total, unread, unseen; null for no push. */
  readonly push: readonly number[] | null;
}

/** @param name as in the comment above the table. */
export function rowsOf(name: string): readonly Row[] {
  const text = readFileSync(DOC, "utf8");
  const table = text.split(`<!-- table: ${name} -->\n`)[1]?.split("\n\n")[0];
  assert.ok(table !== undefined, `docs/one-inbox.md has no table ${name}`);
  const rows = table
    .split("\n")
    .slice(2)
    .filter((line) => line.startsWith("|"));
  return rows.map((line) => {
    const cells = line
      .slice(1, -1)
      .split("|")
      .map((cell) => cell.trim().replaceAll("`", ""));
    assert.equal(cells.length, 7, line);
    const [before, action, courier, knock, pushwoosh, frames, push] = cells as [
      string,
      string,
      string,
      string,
      string,
      string,
      string,
    ];
    const unknown = action.endsWith(" (unknown)");
    return {
      title: `${action}${before === "–" ? "" : ` after ${before}`}`,
      before: listIn(before),
      action: action.replace(/ \(unknown\)$/, ""),
      unknown,
      courier,
      knock,
      pushwoosh,
      frames: listIn(frames),
      push: push === "–" ? null : push.split(" / ").map(Number),
    };
  });
}

function listIn(cell: string): readonly string[] {
  return cell === "–" ? [] : cell.split(", ");
}
