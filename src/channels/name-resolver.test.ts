import assert from "node:assert/strict";
import { createSocket, type RemoteInfo } from "node:dgram";
import { type TestContext, test } from "node:test";
import { NameResolver } from "./name-resolver.ts";

const A = 1;
const AAAA = 28;
const NO_SUCH_NAME = 3;
const SERVER_FAILED = 2;

interface Records {
  readonly [name: string]: { readonly a?: string[]; readonly aaaa?: string[]; readonly code?: number } | "silent";
}

/** A DNS server that knows these names and no others. */
async function dnsServer(t: TestContext, records: Records): Promise<{ address: string; readonly asked: string[] }> {
  const asked: string[] = [];
  const socket = createSocket("udp4");
  socket.on("message", (query: Buffer, { port, address }: RemoteInfo) => {
    let at = 12;
    const labels: string[] = [];
    for (let length = query[at] as number; length > 0; length = query[at] as number) {
      labels.push(query.toString("latin1", at + 1, at + 1 + length));
      at += length + 1;
    }
    const name = labels.join(".").toLowerCase();
    const type = query.readUInt16BE(at + 1);
    asked.push(`${name} ${type}`);
    const known = records[name];
    if (known === "silent") return;
    const addresses = (type === A ? known?.a : type === AAAA ? known?.aaaa : []) ?? [];
    const header = Buffer.alloc(12);
    query.copy(header, 0, 0, 2);
    header.writeUInt16BE(0x8180 | (known === undefined ? NO_SUCH_NAME : (known.code ?? 0)), 2);
    header.writeUInt16BE(1, 4);
    header.writeUInt16BE(addresses.length, 6);
    const answers = addresses.map((text) => {
      const data = type === A ? Buffer.from(text.split(".").map(Number)) : v6Bytes(text);
      const head = Buffer.from([0xc0, 12, 0, type, 0, 1, 0, 0, 0, 0, 0, data.length]);
      return Buffer.concat([head, data]);
    });
    socket.send(Buffer.concat([header, query.subarray(12, at + 5), ...answers]), port, address);
  });
  await new Promise<void>((resolve) => socket.bind(0, "127.0.0.1", resolve));
  t.after(() => socket.close());
  return { address: `127.0.0.1:${socket.address().port}`, asked };
}

/** Of an address written as `head::tail`, each a group of its own. */
function v6Bytes(text: string): Buffer {
  const [head = "0", tail = "0"] = text.split("::");
  const bytes = Buffer.alloc(16);
  bytes.writeUInt16BE(Number.parseInt(head, 16), 0);
  bytes.writeUInt16BE(Number.parseInt(tail, 16), 14);
  return bytes;
}

const nowhere = (): never => {
  throw new Error("the machine was asked");
};

test("the DNS is asked for both kinds of addresses", async (t) => {
  const { address } = await dnsServer(t, {
    "both.example": { a: ["192.0.2.1", "192.0.2.2"], aaaa: ["2001::7"] },
    "old.example": { a: ["192.0.2.3"] },
    "new.example": { aaaa: ["2001::9"] },
  });
  const { resolve } = new NameResolver({ servers: [address], bySystem: nowhere });
  assert.deepEqual(
    (await resolve("both.example")).map((found) => [found.address, found.family]),
    [
      ["192.0.2.1", 4],
      ["192.0.2.2", 4],
      ["2001::7", 6],
    ],
  );
  assert.deepEqual(await resolve("old.example"), [{ address: "192.0.2.3", family: 4 }]);
  assert.deepEqual(await resolve("new.example"), [{ address: "2001::9", family: 6 }]);
});

test("names whose servers never answer do not hold up others", async (t) => {
  const names = Array.from({ length: 100 }, (_, i) => `silent${i}.example`);
  const silent = Object.fromEntries(names.map((name) => [name, "silent" as const]));
  const { address, asked } = await dnsServer(t, { ...silent, "well.example": { a: ["192.0.2.1"] } });
  const { resolve } = new NameResolver({ servers: [address], bySystem: nowhere, queryMs: 500 });
  let isOver = false;
  const waiting = Promise.allSettled(names.map(resolve)).then((results) => {
    isOver = true;
    return results;
  });
  assert.equal((await resolve("well.example"))[0]?.address, "192.0.2.1");
  assert.equal(isOver, false);
  assert.ok(asked.filter((question) => question.startsWith("silent")).length >= 100);
  for (const result of await waiting) assert.equal(result.status, "rejected");
});

test("what the DNS does not know is asked of the machine; a server that fails is believed", async (t) => {
  const { address } = await dnsServer(t, { "broken.example": { code: SERVER_FAILED }, "empty.example": {} });
  const asked: string[] = [];
  const { resolve } = new NameResolver({
    servers: [address],
    bySystem: async (name) => {
      asked.push(name);
      return [{ address: "10.0.0.1", family: 4 }];
    },
  });
  for (const name of ["my-service.my-space", "empty.example", "localhost", "printer", "printer."]) {
    assert.deepEqual(await resolve(name), [{ address: "10.0.0.1", family: 4 }]);
  }
  assert.deepEqual(asked, ["my-service.my-space", "empty.example", "localhost", "printer", "printer."]);
  await assert.rejects(resolve("broken.example"), { code: "ESERVFAIL" });
});

test("a machine without a DNS is asked itself", async (t) => {
  const { address } = await dnsServer(t, {});
  const { resolve } = new NameResolver({
    servers: [address.replace(/\d+$/, "1")],
    bySystem: async () => [{ address: "192.0.2.7", family: 4 }],
  });
  assert.deepEqual(await resolve("some.example"), [{ address: "192.0.2.7", family: 4 }]);
});
