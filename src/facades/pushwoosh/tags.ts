/** Tags: what is known of a device, by names that clients make up. */
import type { Device } from "../../engine/model.ts";
import type { JsonObject } from "../../lib/json.ts";
import type { Call } from "./call.ts";
import { report } from "./devices.ts";
import { invalid } from "./errors.ts";
import type { Method, World } from "./pushwoosh.ts";

/** Devices of a user who is called by name alone. */
const MAX_DEVICES = 100;

export const tagMethods: readonly Method[] = [
  { name: "setTags", access: "either", run: setTags },
  { name: "getTags", access: "either", run: getTags },
];

async function setTags(call: Call, world: World): Promise<null> {
  const tags = call.object("tags");
  if (tags === undefined) throw invalid("tags", "Required");
  const hwid = call.text("hwid");
  const hwids = hwid === undefined ? (await devicesOf(call, world)).map((device) => device.id) : [hwid];
  for (const one of hwids) await report(world, call.environment.id, { hwid: one, tags });
  return null;
}

/** Of a user's devices together; where they differ, the one that changed last. */
async function getTags(call: Call, world: World): Promise<JsonObject> {
  const hwid = call.text("hwid");
  const devices =
    hwid === undefined ? await devicesOf(call, world) : await world.engine.devices.read(call.environment.id, [hwid]);
  const result = Object.fromEntries(devices.toReversed().flatMap((device) => Object.entries(device?.tags ?? {})));
  return { result };
}

function devicesOf(call: Call, { engine }: World): Promise<readonly Device[]> {
  const userId = call.namedUser();
  if (userId === undefined) throw invalid("hwid", "Required, or userId in its place");
  return engine.devices.ofUser(call.environment.id, userId, MAX_DEVICES);
}
