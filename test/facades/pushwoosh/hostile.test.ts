/** Whatever comes, it is an envelope and never our own fault. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { APP_CODE, forEachPushwoosh, SECRET_KEY } from "./pushwoosh-target.ts";

const METHODS = [
  "getInboxMessages",
  "inboxStatus",
  "getConfig",
  "applicationOpen",
  "registerUser",
  "checkDevice",
  "registerDevice",
  "unregisterDevice",
  "deleteDevice",
  "setBadge",
  "setTags",
  "getTags",
  "mergeUser",
  "multiRegisterDevice",
  "messageDeliveryEvent",
  "pushStat",
  "postEvent",
  "createMessage",
  "deleteMessage",
];
const FIELDS = [
  "hwid",
  "userId",
  "user_id",
  "count",
  "last_code",
  "inbox_code",
  "status",
  "push_token",
  "language",
  "tags",
  "device_type",
  "oldUserId",
  "newUserId",
  "merge",
  "push_devices",
  "hash",
  "event",
  "notifications",
  "message",
  "badge",
  "public_key",
];
const INNER = [
  "content",
  "title",
  "users",
  "devices",
  "inbox_days",
  "inbox_date",
  "send_date",
  "timezone",
  "data",
  "link",
  "rich_media",
  "transactionId",
  "chrome_root_params",
  "hwid",
  "platform",
  "platformData",
  "operation",
  "value",
];
const ODD: readonly unknown[] = [
  null,
  "",
  "x",
  "u1",
  0,
  -1,
  1.5,
  1e300,
  2 ** 53,
  true,
  [],
  {},
  [[]],
  ["x", 1, null, {}],
  "nul\u0000inside",
  "\ud800",
  "🙂".repeat(700),
  "x".repeat(20_000),
  "179517503110101",
  "m_00000000000000000000000000",
  "i_7zzzzzzzzzzzzzzzzzzzzzzzzz",
  "0000-00000000-00000000",
  "2026-02-30 25:61",
  "9999-12-31 23:59",
  "<b>",
  { constructor: 1, toString: null },
  { en: "x", "": "y" },
];

forEachPushwoosh((dialect, open) => {
  test(`${dialect}: odd values in every field are answered, and nothing breaks`, async () => {
    const target = await open();
    // The same calls in every run: what fails can be looked at again.
    let seed = 7;
    const dice = (sides: number): number => {
      seed = (seed * 1_103_515_245 + 12_345) % 2_147_483_648;
      return Math.floor((seed / 2_147_483_648) * sides);
    };
    const odd = (depth = 0): unknown => {
      const roll = dice(10);
      if (roll < 7 || depth > 2) return ODD[dice(ODD.length)];
      if (roll === 7) return Array.from({ length: dice(3) }, () => odd(depth + 1));
      return Object.fromEntries(Array.from({ length: dice(4) }, () => [INNER[dice(INNER.length)], odd(depth + 1)]));
    };
    const calls: Promise<unknown>[] = [];
    for (let i = 0; i < 900; i++) {
      const method = METHODS[i % METHODS.length] as string;
      const fields: Record<string, unknown> = dice(3) > 0 ? { hwid: "h1", userId: "u1" } : {};
      if (method === "createMessage" || method === "deleteMessage") fields.auth = SECRET_KEY;
      for (let n = 1 + dice(4); n > 0; n--) fields[FIELDS[dice(FIELDS.length)] as string] = odd();
      if (method === "createMessage" && dice(2) > 0) {
        fields.notifications = [{ content: "x", users: ["u1"], [INNER[dice(INNER.length)] as string]: odd() }];
      }
      if (method === "multiRegisterDevice" && dice(2) > 0) {
        fields.push_devices = [{ hwid: "h2", [INNER[dice(INNER.length)] as string]: odd() }];
      }
      calls.push(
        target.call(method, fields).then((answer) => {
          assert.ok(
            answer.http === 200 && [200, 210].includes(answer.code),
            `${method} ${JSON.stringify(fields)} ${answer.text}`,
          );
        }),
      );
      if (calls.length === 50) await Promise.all(calls.splice(0));
    }
    await Promise.all(calls);
    for (const user of ["u1", "h1", "x"]) await target.fetch(user);
  });

  test(`${dialect}: applications do not see each other`, async () => {
    const target = await open();
    const other = await target.another();
    const theirs = (fields: object) => ({ application: other.environment.appCode, ...fields });
    await target.send({ users: ["same"], content: "ours" });
    const notifications = [{ content: "theirs", users: ["same"], inbox_days: 1 }];
    await target.ok("createMessage", theirs({ auth: other.secretKey, notifications }));
    const [ours] = (await target.fetch("same")).messages;
    const [foreign] = (await target.ok("getInboxMessages", theirs({ userId: "same" }))).messages;
    assert.deepEqual([ours?.text, foreign.text], ["ours", "theirs"]);
    for (const code of [ours?.order, ours?.inbox_id]) {
      await target.ok("inboxStatus", theirs({ userId: "same", inbox_code: code, status: 4 }));
    }
    await target.ok("pushStat", theirs({ userId: "same", hash: ours?.hash }));
    assert.equal((await target.fetch("same")).messages[0]?.status, 1);
    await target.ok("registerDevice", { hwid: "shared", userId: "same", push_token: "the-token" });
    await target.ok("registerDevice", theirs({ hwid: "shared", userId: "else" }));
    assert.deepEqual(await target.ok("checkDevice", { hwid: "shared" }), { exist: true, push_token_exist: true });
    assert.deepEqual(await target.ok("checkDevice", theirs({ hwid: "shared" })), {
      exist: true,
      push_token_exist: false,
    });
    assert.equal(APP_CODE, target.environment.appCode);
  });
});
