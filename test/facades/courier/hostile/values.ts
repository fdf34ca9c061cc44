/** Values nobody asked for, and the ways to put them into a body that was valid. */

/** Stands in JSON text for what `JSON.stringify` cannot write; see `toText`. */
const DEEP = "@@deep@@";
const DEEP_ARRAY = "@@deep-array@@";
const PROTO_KEY = "@@proto@@";
const DEPTH = 10_000;
/** Just within what a body may have; walking it recursively must not hurt anyone. */
const ALLOWED_DEPTH = 150;

export const HUGE_TEXT = "x".repeat(30_000);

/** By name, so that a failure says which. */
export const VALUES: { readonly [name: string]: unknown } = {
  null: null,
  true: true,
  zero: 0,
  "a negative number": -1,
  "a fraction": 0.5,
  "a number beyond all": 1e308,
  "a number beyond safety": 2 ** 53 + 2,
  "an empty text": "",
  "a text": "text",
  "a huge text": HUGE_TEXT,
  NUL: "a\0b",
  "half a surrogate": "a\ud800b",
  "the other half": "\udc00",
  "text from right to left": "\u202e\u0000\ufeff",
  "an emoji": "👩‍👩‍👧‍👦",
  quotes: `'"; drop table users; --`,
  "a template": "{{#each data}}{{constructor.constructor}}{{/each}}",
  "a broken template": "{{{{",
  "a lone block": "{{#if a}}",
  "__proto__ as text": "__proto__",
  "constructor as text": "constructor",
  "toString as text": "toString",
  "an empty list": [],
  "a list of null": [null],
  "a list of lists": [[[[]]]],
  "a long list": Array.from({ length: 500 }, (_, i) => i),
  "an empty object": {},
  "an object of inherited names": { constructor: { prototype: { polluted: true } }, toString: 1, hasOwnProperty: null },
  "an object with a NUL key": { "\0": "\0", "\ud800": "\ud800" },
  "an object with the key __proto__": { [PROTO_KEY]: { polluted: true } },
  "a deep object": DEEP,
  "a deep list": DEEP_ARRAY,
  "a list as deep as allowed": nested(ALLOWED_DEPTH),
};

function nested(depth: number): unknown {
  let value: unknown = 1;
  for (let i = 0; i < depth; i++) value = i % 2 === 0 ? [value] : { a: value };
  return value;
}

/** JSON text, with the values put in that no JavaScript value can stand for. */
export function toText(body: unknown): string {
  return JSON.stringify(body)
    .replaceAll(JSON.stringify(DEEP), () => `${'{"a":'.repeat(DEPTH)}1${"}".repeat(DEPTH)}`)
    .replaceAll(JSON.stringify(DEEP_ARRAY), () => "[".repeat(DEPTH) + "]".repeat(DEPTH))
    .replaceAll(JSON.stringify(PROTO_KEY), () => '"__proto__"');
}

/** Every way to put one of `VALUES` in place of one part of the body, one at a time, and to add an inherited name. */
export function* mutations(
  body: unknown,
  values: { readonly [name: string]: unknown } = VALUES,
): Generator<{ readonly what: string; readonly text: string }> {
  for (const path of pathsIn(body, [])) {
    for (const [name, value] of Object.entries(values)) {
      yield { what: `${path.join(".") || "the body"} = ${name}`, text: toText(replaced(body, path, value)) };
    }
    const there = path.reduce<unknown>((at, key) => (at as { [key: string]: unknown })[key], body);
    if (typeof there !== "object" || there === null || Array.isArray(there)) continue;
    for (const key of ["constructor", "toString", "valueOf", "hasOwnProperty", "\0", "\ud800", PROTO_KEY]) {
      const grown = { ...there, [key]: { a: 1 } };
      yield { what: `${path.join(".")} with ${JSON.stringify(key)}`, text: toText(replaced(body, path, grown)) };
    }
  }
}

function* pathsIn(value: unknown, path: readonly string[]): Generator<readonly string[]> {
  yield path;
  if (typeof value !== "object" || value === null) return;
  for (const [key, child] of Object.entries(value)) yield* pathsIn(child, [...path, key]);
}

function replaced(value: unknown, [key, ...rest]: readonly string[], put: unknown): unknown {
  if (key === undefined) return put;
  if (Array.isArray(value)) return value.map((child, i) => (String(i) === key ? replaced(child, rest, put) : child));
  const object = value as { [key: string]: unknown };
  return { ...object, [key]: replaced(object[key], rest, put) };
}

/** Numbers from a seed: the same run, again and again. */
export function random(seed: number): () => number {
  let state = seed >>> 0;
  return () => {
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
    return state / 2 ** 32;
  };
}

/** Spoils text at a few places: characters taken away, doubled, exchanged. */
export function spoiled(text: string, roll: () => number): string {
  const characters = [...text];
  const marks = ['"', "{", "}", "[", "]", ",", ":", "\\", "0", "-", "e", "\0", "\ud83d", "null", "1e999"];
  for (let i = 0; i < 1 + Math.floor(roll() * 4); i++) {
    const at = Math.floor(roll() * characters.length);
    const mark = marks[Math.floor(roll() * marks.length)] as string;
    const way = Math.floor(roll() * 3);
    characters.splice(at, way === 0 ? 1 : 0, ...(way === 1 ? [mark] : way === 2 ? [characters[at] ?? mark] : []));
  }
  return characters.join("");
}
