/** Devices: registering them, asking about them, letting them go. */
import type { Device, DeviceToken, EnvironmentId } from "../../engine/model.ts";
import type { JsonObject } from "../../lib/json.ts";
import type { Call, Fields } from "./call.ts";
import { changedTags } from "./changed-tags.ts";
import { invalid } from "./errors.ts";
import { moveAnonymous } from "./identity.ts";
import type { Method, World } from "./pushwoosh.ts";

/** What a directory of tokens can hold. */
const MAX_TOKEN_BYTES = 1_500;
/** Of a device that nothing is known of but that it exists. */
const UNKNOWN = { registered: false, token: null, language: null, info: {}, tags: {} } as const;

const IOS = new Set([1, 7]);
const ANDROID = 3;

export const deviceMethods: readonly Method[] = [
  { name: "applicationOpen", access: "device", run: applicationOpen },
  { name: "registerDevice", access: "device", run: registerDevice },
  { name: "unregisterDevice", access: "device", run: unregisterDevice },
  { name: "deleteDevice", access: "device", run: deleteDevice },
  { name: "checkDevice", access: "device", run: checkDevice },
  { name: "setBadge", access: "device", run: setBadge },
];

/** What a client tells of a device, whichever method it does so with. */
export interface DeviceReport {
  readonly hwid: string;
  /** The user it names; undefined leaves the device with the one that it has, at first its own anonymous one. */
  readonly userId?: string | undefined;
  /** Undefined leaves the token as it is. */
  readonly token?: string | undefined;
  readonly registered?: boolean;
  readonly language?: string | undefined;
  readonly info?: JsonObject;
  readonly tags?: JsonObject | undefined;
}

/**
 * Notes what a client tells of a device. When it thereby becomes a known user's, what it has got as an anonymous one
 * goes along.
 */
export async function report(world: World, environmentId: EnvironmentId, told: DeviceReport): Promise<void> {
  const { engine, clock } = world;
  const { hwid, token } = told;
  if (token !== undefined && Buffer.byteLength(token) > MAX_TOKEN_BYTES) {
    throw invalid("push_token", `Expected at most ${MAX_TOKEN_BYTES} bytes`);
  }
  await moveToNamed(world, environmentId, told);
  const change = (old: Device | null): Omit<Device, "id" | "createdAt" | "updatedAt"> => {
    const known = old ?? { ...UNKNOWN, userId: hwid };
    return {
      userId: told.userId ?? known.userId,
      registered: told.registered === true || known.registered,
      token: token ?? known.token,
      language: told.language ?? known.language,
      info: told.info === undefined ? known.info : { ...known.info, ...told.info },
      tags: told.tags === undefined ? known.tags : changedTags(known.tags, told.tags),
    };
  };
  // Every channel that pushes looks for tokens in the directory, whichever facade a message comes through.
  const listed = (after: Device & { readonly token: string }, before: Device | null): DeviceToken | null =>
    token === undefined && before !== null && isSameTarget(before, after) ? null : tokenOf(after);
  await engine.devices.modify(environmentId, hwid, clock.now(), change, { gets: token, listed });
}

async function moveToNamed(
  world: World,
  environmentId: EnvironmentId,
  { hwid, userId }: Pick<DeviceReport, "hwid" | "userId">,
): Promise<void> {
  if (userId === undefined || userId === hwid) return;
  const [device] = await world.engine.devices.read(environmentId, [hwid]);
  if (device == null || device.userId === hwid) await moveAnonymous(world, environmentId, hwid, userId);
}

/** Browsers have keys beside their token. */
function isSameTarget(before: Device, after: Device): boolean {
  return (
    before.token === after.token &&
    before.userId === after.userId &&
    before.info.public_key === after.info.public_key &&
    before.info.auth_token === after.info.auth_token
  );
}

function tokenOf(device: Device & { readonly token: string }): DeviceToken {
  const type = device.info.device_type as number;
  return {
    token: device.token,
    userId: device.userId,
    provider: IOS.has(type) ? "apn" : type === ANDROID ? "firebase-fcm" : "web-push",
    state: "active",
    stateReason: null,
    expiresAt: null,
    device: { hwid: device.id, ...(device.language === null ? {} : { language: device.language }) },
    properties: { public_key: device.info.public_key ?? null, auth_token: device.info.auth_token ?? null },
    tracking: null,
    createdAt: device.createdAt,
    updatedAt: device.updatedAt,
  };
}

/** The fields that clients send of a device with every call. */
export function infoIn(fields: Fields): JsonObject {
  const info: Record<string, string | number> = {};
  for (const name of ["device_type", "timezone", "ts_offset", "tz_offset"]) {
    const value = fields.any(name);
    const number = typeof value === "string" && value !== "" ? Number(value) : value;
    if (typeof number === "number" && Number.isFinite(number)) info[name] = number;
  }
  for (const name of ["device_model", "v", "app_version", "os_version", "public_key", "auth_token"]) {
    const value = fields.shortText(name);
    if (value !== undefined) info[name] = value;
  }
  return info;
}

async function registerDevice(call: Call, world: World): Promise<null> {
  await report(world, call.environment.id, {
    hwid: call.hwid(),
    userId: call.namedUser(),
    token: call.text("push_token"),
    registered: true,
    language: call.shortText("language"),
    info: infoIn(call),
    tags: call.object("tags"),
  });
  return null;
}

/** A device that is not known yet is left alone: its user comes with the next call. */
async function applicationOpen(call: Call, world: World): Promise<null> {
  const hwid = call.hwid();
  const language = call.shortText("language");
  const [device] = await world.engine.devices.read(call.environment.id, [hwid]);
  if (device != null && language !== undefined && language !== device.language) {
    await report(world, call.environment.id, { hwid, language });
  }
  return null;
}

/** The device stays known, and so does its inbox. */
async function unregisterDevice(call: Call, { engine, clock }: World): Promise<null> {
  await engine.devices.modify(call.environment.id, call.hwid(), clock.now(), (old) =>
    old === null ? null : { ...old, token: null },
  );
  return null;
}

/** What its user has got stays. */
async function deleteDevice(call: Call, { engine, clock }: World): Promise<null> {
  await engine.devices.modify(call.environment.id, call.hwid(), clock.now(), () => null);
  return null;
}

async function checkDevice(call: Call, { engine }: World): Promise<JsonObject> {
  const [device] = await engine.devices.read(call.environment.id, [call.hwid()]);
  const exist = device?.registered === true;
  return { exist, push_token_exist: exist && device.token !== null };
}

async function setBadge(call: Call, { engine, clock }: World): Promise<null> {
  const badge = call.integer("badge") ?? call.integer("badges");
  if (badge === undefined) throw invalid("badge", "Required");
  await engine.devices.modify(call.environment.id, call.hwid(), clock.now(), (old) =>
    old === null ? null : { ...old, info: { ...old.info, badge } },
  );
  return null;
}
