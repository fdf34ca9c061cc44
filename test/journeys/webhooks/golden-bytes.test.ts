/** What was posted as a payload arrives byte for byte, and every receiver's own package verifies it. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { Webhook as StandardWebhook } from "standardwebhooks";
import { Webhook as SvixWebhook } from "svix";
import { Webhook as Svix2Webhook } from "svix2";
import { generateSecret } from "../../../src/engine/webhooks/signing.ts";
import { forEachSvix } from "../../facades/svix/svix-target.ts";
import { dice } from "../../support/dice.ts";
import { httpReceiver, type ReceivedRequest } from "../../support/http-receiver.ts";

const TEXTS = 500;
const SEED = Number(process.env.CARILLON_TEST_SEED ?? Date.now() % 1_000_000);

/** What printing a parsed text again would change, or what has been known to confuse those who cut texts apart. */
const CHOSEN: readonly string[] = [
  "{}",
  "{ }",
  "{\n\t\r }",
  '{"n":12345678901234567890}',
  '{"n":-0,"m":-0.0,"e":1E400,"f":1e-400,"g":1.0,"h":1.10,"i":100e-2,"j":0.1e1,"k":1E+2}',
  '{"pi":3.14159265358979323846264338327950288419716939937510}',
  `{"long":${"9".repeat(5_000)}}`,
  '{"b":1,"a":2,"10":3,"9":4,"":5}',
  '{"a":1,"a":2,"a":{"a":3}}',
  '{"__proto__":{"x":1},"constructor":null,"toString":"y"}',
  '{"payload":{"payload":{}},"eventType":"not this","channels":["x"]}',
  '{"text":"\\"payload\\":{\\"a\\":1}, \\"payload\\": 5"}',
  '{"text":"\\u0000\\u001f\\u007f\\u2028\\u2029\\ud83d\\ude00"}',
  '{"half":"\\ud83d","other":"\\ude00\\ud83d"}',
  '{"slash":"\\/ / \\\\ \\\\\\" \\b\\f\\n\\r\\t"}',
  '{"close":"}","open":"{","both":"}{][","quote":"\\"}"}',
  '{"emoji":"😀👩‍👩‍👧‍👦🏳️‍🌈","flags":"🇪🇪🇯🇵","rtl":"\u202eabc\u202c שלום"}',
  '{"nfc":"é","nfd":"e\u0301","zero\u200bwidth":"\ufeff","line":"\u2028\u2029\u0085"}',
  '{"html":"</script><!-- & -->","del":"\u007f","private":"\ue000","plane16":"\u{10ffff}"}',
  '{"\\u0061":1,"a":2,"ключ":"значение","鍵":"値"}',
  '{"t":true,"f":false,"n":null,"a":[],"o":{},"aa":[[[]]],"oo":{"o":{"o":{}}}}',
  `{"deep":${"[".repeat(190)}${"]".repeat(190)}}`,
  `{"a" :  1 ,   "b"\t:\n\r\n[ 1 , 2\t,\n3 ] }`,
  `{"million":"${"x".repeat(1_000_000)}"}`,
  `{"million":"${"é😀".repeat(160_000)}"}`,
  `{"numbers":[${Array.from({ length: 60_000 }, (_, i) => `${i}.${"0".repeat(i % 9)}1`).join(", ")}]}`,
  `{${Array.from({ length: 20_000 }, (_, i) => `"${(i * 7_919) % 20_000}":${i}.0`).join(" , ")}}`,
];

/** JSON by chance, with everything that a text may have besides its meaning. */
function randomText(roll: () => number): string {
  const pick = <T>(values: readonly T[]): T => values[Math.floor(roll() * values.length)] as T;
  const space = (): string => (roll() < 0.7 ? "" : pick([" ", "  ", "\t", "\n", "\r\n", "\n\n  "]));
  const digits = (most: number): string =>
    Array.from({ length: 1 + Math.floor(roll() * most) }, () => pick([..."0123456789"])).join("");
  const number = (): string =>
    `${pick(["", "-"])}${pick(["0", `1${digits(3)}`, `9${digits(40)}`])}${pick(["", ".0", `.${digits(25)}`])}${pick(["", "e5", `E-${digits(3)}`, "e+00"])}`;
  const character = (): string =>
    pick([
      () => pick([..."abc XYZ{}[]:,'/&<>"]),
      () => pick(['\\"', "\\\\", "\\/", "\\b", "\\f", "\\n", "\\r", "\\t"]),
      () => `\\u${pick(["0000", "00e9", "00E9", "d83d\\ude00", "D83D\\uDE00", "2028", "d800", "dfff", "fffe"])}`,
      () =>
        pick(["é", "ß", "\u2028", "\u2029", "\u0085", "\u007f", "\ufeff", "\u0301", "日", "😀", "🏴󠁧󠁢󠁳󠁣󠁴󠁿", "\u{10ffff}"]),
    ])();
  const string = (): string => `"${Array.from({ length: Math.floor(roll() * 12) }, character).join("")}"`;
  const value = (depth: number): string => {
    const kind = roll();
    if (depth > 4 || kind < 0.3) return number();
    if (kind < 0.55) return string();
    if (kind < 0.65) return pick(["true", "false", "null"]);
    const items = Array.from({ length: Math.floor(roll() * 5) });
    if (kind < 0.8) return `[${items.map(() => space() + value(depth + 1) + space()).join(",") || space()}]`;
    return object(depth + 1);
  };
  const object = (depth: number): string => {
    const members = Array.from({ length: Math.floor(roll() * 6) }, () => {
      const name = roll() < 0.3 ? `"${pick(["10", "9", "a", "payload", "__proto__", ""])}"` : string();
      return `${space()}${name}${space()}:${space()}${value(depth)}${space()}`;
    });
    return `{${members.join(",") || space()}}`;
  };
  return object(0);
}

/** The body of a request that carries the text, in one of the ways in which senders write it. */
function requestWith(payload: string, n: number): string {
  const bodies = [
    `{"eventType":"golden.bytes","payload":${payload}}`,
    `{"payload":${payload},"eventType":"golden.bytes"}`,
    ` {\n  "eventType" : "golden.bytes" ,\n  "tags": ["payload"],\n  "payload" : ${payload}\n} `,
    `{"payload":{"not":"this"},"eventType":"golden.bytes","pay\\u006coad":${payload}}`,
  ];
  return bodies[n % bodies.length] as string;
}

function verify(secret: string, request: ReceivedRequest): void {
  const headers = request.headers as Record<string, string>;
  // The bytes as they came, not a text made of them: a receiver does the same.
  new SvixWebhook(secret).verify(request.body, headers);
  new Svix2Webhook(secret).verify(request.body, headers);
  new StandardWebhook(secret).verify(request.body, headers);
}

forEachSvix((name, open) => {
  test(`${name}: ${TEXTS} payloads arrive byte for byte (seed ${SEED})`, { timeout: 120_000 }, async (t) => {
    const roll = dice(SEED);
    const target = await open();
    // The packages compare with the time of day: for them it is what the server's clock shows, which stands still.
    t.mock.timers.enable({ apis: ["Date"], now: target.clock.now() });
    const hook = await httpReceiver();
    t.after(() => hook.close());
    const secret = generateSecret("symmetric");
    assert.equal((await target.call("POST", "/app", { name: "golden", uid: "golden" })).status, 201);
    const made = await target.call("POST", "/app/golden/endpoint", { url: hook.url, secret });
    assert.equal(made.status, 201, made.text);

    const texts = [...CHOSEN, ...Array.from({ length: TEXTS - CHOSEN.length }, () => randomText(roll))];
    const ids: string[] = [];
    const expected = new Map<string, string>();
    for (const [n, payload] of texts.entries()) {
      JSON.parse(payload);
      const answer = await target.call("POST", "/app/golden/msg", requestWith(payload, n));
      assert.equal(answer.status, 202, `${payload.slice(0, 100)}: ${answer.text.slice(0, 300)}`);
      const id = /"id":"(msg_\w{27})"/.exec(answer.text)?.[1] ?? "";
      ids.push(id);
      expected.set(id, payload);
    }
    assert.equal(expected.size, TEXTS);

    const requests = await hook.received(TEXTS, 60_000);
    for (const request of requests) {
      const id = String(request.headers["webhook-id"]);
      const payload = expected.get(id);
      assert.ok(payload !== undefined, `${id} came twice, or was never sent`);
      assert.ok(
        request.body.equals(Buffer.from(payload)),
        `got ${request.text.slice(0, 200)} for ${payload.slice(0, 200)}`,
      );
      assert.equal(request.headers["content-length"], String(Buffer.byteLength(payload)));
      verify(secret, request);
      expected.delete(id);
    }
    assert.equal(expected.size, 0);

    // The same texts again after they were read from the database, and in what the server shows of them.
    for (const [n, payload] of CHOSEN.entries()) {
      const id = ids[n] as string;
      const shown = await target.call("GET", `/app/golden/msg/${id}`);
      assert.ok(shown.text.includes(`"payload":${payload},`), shown.text.slice(0, 300));
      const again = await target.call("POST", `/app/golden/msg/${id}/endpoint/${made.body.id}/resend`, {});
      assert.equal(again.status, 202, again.text);
      const resent = (await hook.received(TEXTS + 1 + n)).at(-1) as ReceivedRequest;
      assert.equal(resent.headers["webhook-id"], id);
      assert.ok(resent.body.equals(Buffer.from(payload)), payload.slice(0, 200));
      verify(secret, resent);
    }
  });
});
