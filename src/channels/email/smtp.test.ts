import assert from "node:assert/strict";
import { type TestContext, test } from "node:test";
import { type SmtpReceiver, smtpReceiver } from "../../../test/support/smtp-receiver.ts";
import type { Outcome } from "../../engine/model.ts";
import type { JsonObject } from "../../lib/json.ts";
import { NetworkGuard } from "../network-guard.ts";
import { outgoing, type Wanted } from "../outgoing.fixture.ts";
import { openSmtp, outcomeOfError, type SmtpDeps } from "./smtp.ts";

interface World {
  readonly box: SmtpReceiver;
  send(wanted?: Wanted): Promise<Outcome>;
}

async function world(
  t: TestContext,
  more: {
    settings?: JsonObject;
    deps?: Partial<SmtpDeps>;
    login?: { username: string; password: string };
    allowNetworks?: string[];
  } = {},
): Promise<World> {
  const box = await smtpReceiver(more.login === undefined ? {} : { login: more.login });
  const settings = { host: box.host, port: box.port, from: "Carillon <from@example.com>", ...more.settings };
  const guard = new NetworkGuard({ allowNetworks: more.allowNetworks ?? ["127.0.0.0/8"] });
  const sender = openSmtp(outgoing({ provider: "smtp", settings }).provider, { guard, ...more.deps });
  t.after(async () => {
    await sender.close?.();
    await box.close();
  });
  return { box, send: (wanted = {}) => sender.send(outgoing({ provider: "smtp", settings, ...wanted })) };
}

test("a mail arrives with its subject, both parts and a Message-ID of its own", async (t) => {
  const { box, send } = await world(t);
  const outcome = await send({
    content: { subject: `Grüße ☃ ${"lang ".repeat(30)}`, html: "<p>ü = 1</p>", text: "ü = 1\n" },
  });
  assert.equal(outcome.kind, "sent");
  const [mail] = await box.received(1);
  assert.equal(mail?.subject, `Grüße ☃ ${"lang ".repeat(30)}`.trim());
  assert.equal(mail?.html.trim(), "<p>ü = 1</p>");
  assert.equal(mail?.text.trim(), "ü = 1");
  assert.equal(mail?.headers.from, "Carillon <from@example.com>");
  assert.deepEqual([mail?.from, mail?.to], ["from@example.com", ["ann@example.com"]]);
  assert.equal(mail?.headers["message-id"], "<dlv_01@example.com>");
});

test("a second try has the Message-ID and the date of the first", async (t) => {
  const { box, send } = await world(t);
  box.answer("data", 451, "ok");
  assert.equal((await send()).kind, "failed");
  await send();
  await send();
  const [first, second] = await box.received(2);
  assert.equal(first?.headers["message-id"], second?.headers["message-id"]);
  assert.equal(first?.headers.date, second?.headers.date);
});

test("overrides replace what was rendered and add recipients and attachments", async (t) => {
  const { box, send } = await world(t);
  await send({
    override: {
      subject: "Other",
      html: "<i>x</i>",
      text: "x",
      from: '"Bob, Jr." <bob@example.org>',
      reply_to: "answers@example.org",
      cc: ["c1@example.org", "C Two <c2@example.org>"],
      bcc: "b1@example.org, b2@example.org",
      attachments: [{ filename: "rechnung-ü.pdf", contentType: "application/pdf", data: "aGVsbG8=" }],
    },
  });
  const [mail] = await box.received(1);
  assert.deepEqual([mail?.subject, mail?.html.trim(), mail?.text.trim()], ["Other", "<i>x</i>", "x"]);
  assert.equal(mail?.headers["reply-to"], "answers@example.org");
  assert.match(mail?.headers.from ?? "", /bob@example\.org/);
  assert.match(mail?.headers.cc ?? "", /c1@example\.org, C Two <c2@example\.org>/);
  assert.equal(mail?.headers.bcc, undefined);
  const to = ["ann@example.com", "c1@example.org", "c2@example.org", "b1@example.org", "b2@example.org"];
  assert.deepEqual([...(mail?.to ?? [])].sort(), to.sort());
  const [file] = mail?.attachments ?? [];
  assert.deepEqual(
    [file?.filename, file?.contentType, file?.content.toString()],
    ["rechnung-ü.pdf", "application/pdf", "hello"],
  );
});

test("line breaks in headers begin no header and reach no further recipient", async (t) => {
  const { box, send } = await world(t);
  await send({
    override: {
      subject: "a\r\nBcc: evil@example.org\r\n\r\nbody",
      from: "X\r\nBcc: evil@example.org <from@example.com>",
      reply_to: '"Y\nBcc: evil" <y@example.com>',
      attachments: [{ filename: "a\r\nBcc: evil.txt", contentType: "text/plain\r\nBcc: evil", data: "" }],
    },
  });
  const [mail] = await box.received(1);
  assert.equal(mail?.subject, "a Bcc: evil@example.org body");
  assert.deepEqual(mail?.to, ["ann@example.com"]);
  assert.doesNotMatch(mail?.raw ?? "", /^bcc:/im);
});

for (const address of [
  "a@x.io, b@x.io",
  "a@x.io\r\nRCPT TO:<b@x.io>",
  "a@x.io>",
  "<a@x.io>",
  "a b@x.io",
  "a@x.io;b@x.io",
  "no at",
  "@",
  "a@b@c",
  "a\0@x.io",
  "\ud800@x.io",
]) {
  test(`the recipient ${JSON.stringify(address)} is rejected before any connection`, async (t) => {
    const { box, send } = await world(t);
    assert.equal((await send({ address: { email: address } })).kind, "rejected");
    assert.equal(box.seen.connect, 0);
  });
}

for (const override of [
  { subject: {} },
  { from: "nobody" },
  { cc: "not an address" },
  { cc: 5 },
  { bcc: Array.from({ length: 101 }, (_, i) => `b${i}@example.org`) },
  { attachments: "x" },
  { attachments: [null] },
  { attachments: [{ filename: "x", data: "%%%" }] },
  { attachments: [{ filename: "x", path: "/etc/passwd" }] },
] as JsonObject[]) {
  test(`the override ${JSON.stringify(override).slice(0, 60)} is rejected, not sent in part`, async (t) => {
    const { box, send } = await world(t);
    assert.equal((await send({ override })).kind, "rejected");
    assert.equal(box.seen.connect, 0);
  });
}

test("hostile characters in the content are carried, not fatal", async (t) => {
  const { box, send } = await world(t);
  const outcome = await send({
    content: { subject: "a\0b\ud800", html: "<p>\0\udfff</p>", text: ".\r\n.\r\nQUIT\r\n" },
  });
  assert.equal(outcome.kind, "sent");
  const [mail] = await box.received(1);
  assert.equal(mail?.text, ".\r\n.\r\nQUIT\r\n");
});

test("450 to the recipient is worth another try, 550 is not", async (t) => {
  const { box, send } = await world(t);
  box.answer("rcpt", 450, 550, "ok");
  const first = await send();
  const second = await send();
  assert.deepEqual([first.kind, second.kind], ["failed", "rejected"]);
  assert.ok(second.kind === "rejected" && second.statusCode === 550);
  assert.equal((await send()).kind, "sent");
});

for (const [command, code, kind] of [
  ["connect", 421, "failed"],
  ["connect", 554, "rejected"],
  ["mail", 452, "failed"],
  ["mail", 553, "rejected"],
  ["data", 451, "failed"],
  ["data", 552, "rejected"],
  ["data", "drop", "failed"],
  ["connect", "drop", "failed"],
] as const) {
  test(`${code} to ${command} is ${kind}`, async (t) => {
    const { box, send } = await world(t);
    box.answer(command, code);
    assert.equal((await send()).kind, kind);
    assert.equal(box.mails.length, 0);
    assert.equal(box.seen[command], 1);
  });
}

test("when only the copies were taken, the delivery itself was not", async (t) => {
  const { box, send } = await world(t);
  box.answer("rcpt", (address) => (address === "ann@example.com" ? 550 : "ok"));
  assert.equal((await send({ override: { cc: "copy@example.org" } })).kind, "rejected");
});

test("logs in with what the settings say; a wrong password is rejected", async (t) => {
  const login = { username: "me", password: "secret" };
  const right = await world(t, { login, settings: login });
  assert.equal((await right.send()).kind, "sent");
  assert.equal((await right.box.received(1))[0]?.user, "me");
  const wrong = await world(t, { login, settings: { ...login, password: "guess" } });
  assert.equal((await wrong.send()).kind, "rejected");
});

test("mails share connections", async (t) => {
  const { box, send } = await world(t);
  for (let i = 0; i < 4; i++) await send();
  assert.equal(box.mails.length, 4);
  assert.ok(box.seen.connect <= 2, `${box.seen.connect} connections`);
});

test("a silent server is given up when the time for the try is over", async (t) => {
  const { box, send } = await world(t);
  box.answer("data", "hang");
  const giveUp = new AbortController();
  const outcome = send({ signal: giveUp.signal });
  await box.commanded("data", 1);
  giveUp.abort();
  assert.equal((await outcome).kind, "failed");
});

test("a server that does not greet is given up by itself", async (t) => {
  const { box, send } = await world(t, { deps: { connectTimeoutMs: 50 } });
  box.answer("connect", "hang");
  assert.equal((await send()).kind, "failed");
});

test("a server inside the network needs the operator's leave", async (t) => {
  for (const host of ["127.0.0.1", "localhost", "2130706433", "0x7f.1"]) {
    const { box, send } = await world(t, { allowNetworks: [], settings: { host } });
    assert.equal((await send()).kind, "rejected", host);
    assert.equal(box.seen.connect, 0);
  }
});

test("a closed port and an unknown name are worth another try", async (t) => {
  const { box, send } = await world(t);
  await box.close();
  assert.equal((await send()).kind, "failed");
});

test("503 is a session out of step, not a refused mail", () => {
  const error = Object.assign(new Error("503 bad sequence"), { responseCode: 503 });
  assert.equal(outcomeOfError(error).kind, "failed");
});
