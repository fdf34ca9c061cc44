/**
 * Lays JSON out in lines without reading it as values: numbers keep their spelling, keys their order, and what is no
 * JSON stays as it is.
 */

const INDENT = "  ";
/** Deeper than this the lines go on without moving to the right. */
const MAX_DEPTH = 40;

/** @param limit of the result: it ends after so many characters, within a line if need be. */
export function layOutJson(text: string, limit: number): string {
  const first = text.trimStart()[0];
  if (first !== "{" && first !== "[") return cutAt(text, limit);
  let out = "";
  let depth = 0;
  const newLine = (): string => `\n${INDENT.repeat(Math.min(depth, MAX_DEPTH))}`;
  for (let i = 0; i < text.length && out.length < limit; i++) {
    const char = text[i] as string;
    if (char === '"') {
      const end = endOfString(text, i);
      out += text.slice(i, Math.min(end + 1, i + limit));
      i = end;
    } else if (char === "{" || char === "[") {
      const next = nextPast(text, i + 1);
      if (text[next] === (char === "{" ? "}" : "]")) {
        out += char + text[next];
        i = next;
      } else {
        depth++;
        out += char + newLine();
      }
    } else if (char === "}" || char === "]") {
      depth = Math.max(0, depth - 1);
      out += newLine() + char;
    } else if (char === ",") out += char + newLine();
    else if (char === ":") out += ": ";
    else if (!isBlank(char)) out += char;
  }
  return cutAt(out, limit);
}

/** Not within a pair that makes up one character. */
function cutAt(text: string, limit: number): string {
  if (text.length <= limit) return text;
  const last = text.charCodeAt(limit - 1);
  return text.slice(0, last >= 0xd800 && last <= 0xdbff ? limit - 1 : limit);
}

/** Of the quote that ends the string which begins at `start`; the end of the text if none does. */
function endOfString(text: string, start: number): number {
  for (let i = start + 1; i < text.length; i++) {
    if (text[i] === "\\") i++;
    else if (text[i] === '"') return i;
  }
  return text.length;
}

function nextPast(text: string, start: number): number {
  let i = start;
  while (i < text.length && isBlank(text[i] as string)) i++;
  return i;
}

function isBlank(char: string): boolean {
  return char === " " || char === "\n" || char === "\r" || char === "\t";
}
