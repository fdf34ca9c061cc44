import assert from "node:assert/strict";
import { test } from "node:test";
import { AddressRefused, NetworkGuard } from "./network-guard.ts";

const FORBIDDEN = [
  "0.0.0.0",
  "0.1.2.3",
  "10.0.0.1",
  "100.64.0.1",
  "100.100.100.200",
  "127.0.0.1",
  "127.255.255.254",
  "168.63.129.16",
  "169.254.169.254",
  "172.16.0.1",
  "172.31.255.255",
  "192.0.0.192",
  "192.168.1.1",
  "198.18.0.1",
  "224.0.0.1",
  "240.0.0.1",
  "255.255.255.255",
  // Other spellings of 127.0.0.1.
  "2130706433",
  "0x7f000001",
  "0177.0.0.1",
  "127.1",
  "::",
  "::1",
  "::ffff:127.0.0.1",
  "::ffff:7f00:1",
  "::127.0.0.1",
  "::ffff:0:127.0.0.1",
  "64:ff9b::127.0.0.1",
  "64:ff9b::10.0.0.1",
  "64:ff9b:1::8.8.8.8",
  "2002:7f00:1::",
  "2002:808:808::1",
  "2001::1",
  "2001:db8::1",
  "fe80::1",
  "fe80::1%eth0",
  "fec0::1",
  "fc00::1",
  "fd00:ec2::254",
  "ff02::1",
  "4000::1",
  "not an address",
  "",
];

for (const address of FORBIDDEN) {
  test(`refuses the address ${JSON.stringify(address)}`, () => {
    assert.notEqual(new NetworkGuard({}).objection(address), null);
  });
}

for (const address of ["8.8.8.8", "1.1.1.1", "172.32.0.1", "2606:4700::1111", "::ffff:8.8.8.8", "64:ff9b::8.8.8.8"]) {
  test(`lets the public address ${address} pass`, () => {
    assert.equal(new NetworkGuard({}).objection(address), null);
  });
}

test("an allowed network opens that network, in every spelling, and no other", () => {
  const guard = new NetworkGuard({ allowNetworks: ["127.0.0.0/8", "fd00::/8", "10.1.2.3"] });
  for (const address of ["127.0.0.1", "::ffff:127.0.0.1", "fd12::1", "10.1.2.3"]) {
    assert.equal(guard.objection(address), null, address);
  }
  for (const address of ["10.1.2.4", "192.168.0.1", "::1", "fe80::1", "2002:7f00:1::"]) {
    assert.notEqual(guard.objection(address), null, address);
  }
});

test("something that is no network is refused by name", () => {
  assert.throws(() => new NetworkGuard({ allowNetworks: ["everywhere"] }), { name: "Refusal", field: "allowNetworks" });
});

test("a name is refused when only one of its addresses is private", async () => {
  const guard = new NetworkGuard({
    resolve: async () => [
      { address: "93.184.216.34", family: 4 },
      { address: "10.0.0.7", family: 4 },
    ],
  });
  await assert.rejects(guard.resolve("half.example"), AddressRefused);
});

test("a name without addresses is an error, not a connection to nowhere", async () => {
  await assert.rejects(new NetworkGuard({ resolve: async () => [] }).resolve("empty.example"), /no address/);
});

test("a literal with a private address is refused before a connection is tried", async () => {
  await assert.rejects(new NetworkGuard({}).connect("127.0.0.1", 1, 1_000), AddressRefused);
});

test("the system's resolver is asked for names, and its answer is checked", async () => {
  await assert.rejects(new NetworkGuard({}).resolve("localhost"), AddressRefused);
  const addresses = await new NetworkGuard({ allowNetworks: ["127.0.0.0/8", "::1"] }).resolve("localhost");
  assert.ok(addresses.length > 0);
});
