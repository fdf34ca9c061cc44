/** Lays the text of a statement out for people: a clause a line, so that a change shows where it is. */

/** A clause begins a line. */
const CLAUSE =
  /^(?:from|where|order by|group by|having|limit|values|set|returning|on conflict|union all|cross join|left join|join|select|update)\b/;
/** What a word that would begin a clause belongs to: `is distinct from`, `delete from`, `for update`, `do update`. */
const JOINED = /\b(?:distinct|delete|for|do) $/;
const WIDTH = 110;

/** @param sql in one line. What stands in quotes is left as it is. */
export function laidOut(sql: string): string {
  const lines: string[] = [];
  let line = "";
  let depth = 0;
  let indent = 0;
  const end = (): void => {
    lines.push(...wrapped(line.trimEnd(), indent));
    line = "";
    indent = depth;
  };
  for (let i = 0; i < sql.length; ) {
    const quoted = /^(?:'[^']*'|"[^"]*")/.exec(sql.slice(i))?.[0];
    if (quoted !== undefined) {
      line += quoted;
      i += quoted.length;
      continue;
    }
    const clause = i === 0 || " (".includes(sql[i - 1] as string) ? CLAUSE.exec(sql.slice(i, i + 20))?.[0] : undefined;
    if (clause !== undefined && !JOINED.test(line)) {
      if (line.trim() !== "") end();
      line += clause;
      i += clause.length;
      continue;
    }
    const char = sql[i++] as string;
    if (char === "(") depth++;
    if (char === ")") depth--;
    line += char;
  }
  end();
  return lines.join("\n");
}

/** Long lists go on in further lines, cut after a comma or before a condition. */
function wrapped(line: string, indent: number): string[] {
  const pieces = line.split(/(?<=, )|(?= (?:and|when) )/);
  const lines: string[] = [];
  let current = "";
  for (const piece of pieces) {
    if (current !== "" && current.length + piece.length > WIDTH) {
      lines.push(current);
      current = piece.trimStart();
    } else current += piece;
  }
  lines.push(current);
  return lines.map((text, i) => `${"  ".repeat(indent + (i === 0 ? 0 : 2))}${text.trim()}`);
}
