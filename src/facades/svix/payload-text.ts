/**
 * Finds a member's text in the text of a JSON object, so that a payload is kept as it was written: the order of its
 * keys, the spelling of its numbers, its spaces. The text has been parsed before, so it is known to be JSON.
 */

const QUOTE = 0x22;
const COMMA = 0x2c;
const OPEN_BRACKET = 0x5b;
const BACKSLASH = 0x5c;
const CLOSE_BRACKET = 0x5d;
const OPEN_BRACE = 0x7b;
const CLOSE_BRACE = 0x7d;
const SPACE = 0x20;

/**
 * The text of a top-level member's value, without the space around it. Of a name that comes twice the last counts, as
 * it does for `JSON.parse`. One pass, whatever the text.
 * @param json the text of an object.
 * @returns null when there is no such member.
 */
export function memberText(json: string, name: string): string | null {
  let found: string | null = null;
  let at = afterSpace(json, json.indexOf("{") + 1);
  while (json.charCodeAt(at) === QUOTE) {
    const afterName = afterString(json, at);
    const from = afterSpace(json, json.indexOf(":", afterName) + 1);
    const to = afterValue(json, from);
    if (isName(json, at, afterName, name)) found = json.slice(from, to);
    at = afterSpace(json, to);
    if (json.charCodeAt(at) === COMMA) at = afterSpace(json, at + 1);
  }
  return found;
}

/** Whether the string literal from `from` until before `to` spells the name, escapes or not. */
function isName(json: string, from: number, to: number, name: string): boolean {
  if (to - from === name.length + 2 && json.startsWith(name, from + 1)) return true;
  const literal = json.slice(from, to);
  return literal.includes("\\") && JSON.parse(literal) === name;
}

function afterSpace(json: string, from: number): number {
  let at = from;
  for (;;) {
    const char = json.charCodeAt(at);
    // Space, tab, line feed, carriage return: JSON knows no others.
    if (char !== SPACE && char !== 0x09 && char !== 0x0a && char !== 0x0d) return at;
    at++;
  }
}

function afterValue(json: string, from: number): number {
  const first = json.charCodeAt(from);
  if (first === QUOTE) return afterString(json, from);
  if (first === OPEN_BRACE || first === OPEN_BRACKET) return afterNested(json, from);
  let at = from;
  while (at < json.length && !endsScalar(json.charCodeAt(at))) at++;
  return at;
}

function endsScalar(char: number): boolean {
  return char === COMMA || char === CLOSE_BRACE || char === CLOSE_BRACKET || char <= SPACE;
}

function afterNested(json: string, from: number): number {
  let depth = 0;
  let at = from;
  while (at < json.length) {
    const char = json.charCodeAt(at);
    if (char === QUOTE) {
      at = afterString(json, at);
      continue;
    }
    at++;
    if (char === OPEN_BRACE || char === OPEN_BRACKET) depth++;
    else if ((char === CLOSE_BRACE || char === CLOSE_BRACKET) && --depth === 0) return at;
  }
  throw new Error("the text is no JSON: a bracket is not closed");
}

/** @param from where its opening quote is. */
function afterString(json: string, from: number): number {
  let at = from;
  for (;;) {
    at = json.indexOf('"', at + 1);
    if (at === -1) throw new Error("the text is no JSON: a string does not end");
    // A quote ends the string unless an odd number of backslashes stands before it.
    let before = at - 1;
    while (json.charCodeAt(before) === BACKSLASH) before--;
    if ((at - 1 - before) % 2 === 0) return at + 1;
  }
}
