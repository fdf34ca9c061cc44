/** Who a device belongs to. */
import { isObject, type Json, type JsonObject } from "../../lib/json.ts";
import { type Call, Fields } from "./call.ts";
import { infoIn, report } from "./devices.ts";
import { invalid } from "./errors.ts";
import { hasProfile, moveUser } from "./identity.ts";
import { FACADE } from "./message-views.ts";
import type { Method, World } from "./pushwoosh.ts";

const MAX_DEVICES = 100;
const PLATFORM_OPERATIONS: { readonly [code: string]: string } = { "1": "append", "2": "remove", "3": "increment" };

/** E-mail addresses are not taken from devices: whoever knows an application's code could redirect a user's mail. */
const NOT_TAKEN = ["registerEmail", "registerEmailUser", "setEmailTags", "deleteEmail"];

export const userMethods: readonly Method[] = [
  { name: "registerUser", access: "device", run: registerUser },
  { name: "multiRegisterDevice", access: "device", run: multiRegisterDevice },
  { name: "mergeUser", access: "either", run: mergeUser },
  ...NOT_TAKEN.map((name): Method => ({ name, access: "device", run: () => null })),
];

async function registerUser(call: Call, world: World): Promise<null> {
  const hwid = call.hwid();
  await report(world, call.environment.id, {
    hwid,
    userId: call.namedUser() ?? hwid,
    language: call.shortText("language"),
    info: infoIn(call),
  });
  return null;
}

async function multiRegisterDevice(call: Call, world: World): Promise<null> {
  const list = call.list("push_devices", MAX_DEVICES) ?? [];
  const tags = call.object("tags");
  const devices = list.map((entry, i) => {
    if (!isObject(entry)) throw invalid(`push_devices[${i}]`, "Expected an object");
    const fields = new Fields(entry, `push_devices[${i}].`);
    const platform = fields.any("platformData");
    const keys = isObject(platform) ? infoIn(new Fields(platform)) : {};
    const type = fields.integer("platform");
    return {
      hwid: fields.required("hwid"),
      userId: call.namedUser(),
      token: fields.text("push_token"),
      registered: true,
      language: call.shortText("language"),
      info: { ...infoIn(call), ...keys, ...(type === undefined ? {} : { device_type: type }) },
      tags: tags === undefined ? undefined : plainTags(tags),
    };
  });
  for (const device of devices) await report(world, call.environment.id, device);
  return null;
}

/** Tags as this one method spells them: `{operation: 0…3, value | values}`. */
function plainTags(tags: JsonObject): JsonObject {
  const entries = Object.entries(tags).map(([name, tag]): [string, Json] => {
    if (!isObject(tag)) return [name, tag ?? null];
    const value = tag.values ?? tag.value ?? null;
    const operation = PLATFORM_OPERATIONS[String(tag.operation ?? 0)];
    return [name, operation === undefined ? value : { operation, value }];
  });
  return Object.fromEntries(entries);
}

async function mergeUser(call: Call, world: World): Promise<null> {
  const { engine, clock } = world;
  const environmentId = call.environment.id;
  const from = call.required("oldUserId");
  const into = call.required("newUserId");
  if (from === into) return null;
  if (call.mode === null && (await hasProfile(world, environmentId, from))) {
    throw invalid("oldUserId", "Expected `auth` for a user who was made through another API");
  }
  if (call.flag("merge")) await moveUser(world, environmentId, from, into);
  else {
    const change = { field: "deleted", value: true, again: "keep" } as const;
    await engine.inbox.changeWhere(environmentId, { userId: from }, change, { via: FACADE, origin: null });
  }
  await engine.devices.moveAll(environmentId, from, into, clock.now());
  return null;
}
