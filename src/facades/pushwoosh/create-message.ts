/** Sending: each notification of a call is a request of its own, and one message for all who get it. */
import { randomInt } from "node:crypto";
import type { Environment, KeyMode, Recipient, SendSpec } from "../../engine/model.ts";
import type { Millis } from "../../lib/clock.ts";
import type { Json, JsonObject } from "../../lib/json.ts";
import type { Call } from "./call.ts";
import { invalid } from "./errors.ts";
import { codeOf, Orders } from "./ids.ts";
import { FACADE, type Mark } from "./message-views.ts";
import { type Notification, readNotification } from "./notification.ts";
import type { Method, World } from "./pushwoosh.ts";

const MAX_BODY_BYTES = 10 * 1024 * 1024;
const MAX_NOTIFICATIONS = 1_000;
const TRANSACTION_MS: Millis = 86_400_000;
/** Up to so many users with a device are named one by one: then they have the message when the call is answered. */
const NAMED_IN_BROADCAST = 100;

interface Audience {
  readonly recipients: readonly Recipient[];
  readonly unknownDevices: readonly string[];
}

export function createMessageMethods(): readonly Method[] {
  const orders = new Orders(randomInt(100_000));
  return [
    {
      name: "createMessage",
      access: "server",
      run: (call, world) => createMessage(call, world, orders),
      refused: { Messages: [] },
      maxBodyBytes: MAX_BODY_BYTES,
    },
  ];
}

async function createMessage(call: Call, world: World, orders: Orders): Promise<JsonObject> {
  if (call.any("applications_group") !== undefined) throw invalid("applications_group", "Not implemented");
  call.required("application");
  const list = call.list("notifications", MAX_NOTIFICATIONS);
  if (list === undefined || list.length === 0) throw invalid("notifications", "Expected at least one");
  const now = world.clock.now();
  const { defaultInboxDays } = await world.settings.switches(call.environment.id);
  // All are checked before the first is sent.
  const notifications = list.map((entry, i) => readNotification(entry, `notifications[${i}]`, now, defaultInboxDays));
  const audiences = await audiencesOf(notifications, call.environment, world);
  const codes = await Promise.all(
    notifications.map((notification, i) =>
      send(notification, (audiences[i] as Audience).recipients, call, world, orders, now),
    ),
  );
  const unknown = audiences.flatMap(({ unknownDevices }, i): [string, Json][] =>
    unknownDevices.length === 0 ? [] : [[codes[i] as string, unknownDevices]],
  );
  return { Messages: codes, ...(unknown.length === 0 ? {} : { UnknownDevices: Object.fromEntries(unknown) }) };
}

/** @returns the message's code; that of the first when the transaction is a repetition. */
async function send(
  notification: Notification,
  recipients: readonly Recipient[],
  call: Call,
  { engine }: World,
  orders: Orders,
  now: Millis,
): Promise<string> {
  const { transactionId } = notification;
  const idempotency =
    transactionId === null ? null : { scope: FACADE, key: transactionId, expiresAt: now + TRANSACTION_MS };
  const spec = specOf(notification, recipients, call.mode ?? "published", orders, now);
  const answer = await engine.send(call.environment.id, spec, idempotency, (requestId) => ({
    status: 200,
    body: codeOf(requestId),
  }));
  return answer.body;
}

function specOf(
  notification: Notification,
  recipients: readonly Recipient[],
  mode: KeyMode,
  orders: Orders,
  now: Millis,
): SendSpec {
  const { due, expiresAt, silent, richMedia, remotePage, rawData } = notification;
  const mark: Mark = {
    order: due === null ? orders.next(now) : orders.nextAt(due),
    at: due ?? now,
    ...(expiresAt === null ? {} : { until: expiresAt }),
    ...(richMedia === null ? {} : { rm: richMedia }),
    ...(remotePage === null ? {} : { r: remotePage }),
    ...(rawData === null ? {} : { u: rawData }),
  };
  return {
    recipients,
    content: {
      kind: "inline",
      language: "plain",
      source: {
        title: notification.title,
        body: notification.body,
        imageUrl: notification.imageUrl,
        // Where other facades' clients can lead, whose shapes know no pages that are shown in place of a message.
        clickUrl: notification.link ?? (remotePage !== null && /^https?:/i.test(remotePage) ? remotePage : null),
        raw: { [FACADE]: { ...mark } },
      },
    },
    data: notification.data,
    mode,
    via: FACADE,
    // A user's browsers and phones may be reached through different providers.
    channels: { push: { routingMethod: "all" } },
    routing: { method: "all", channels: [...(expiresAt === null ? [] : ["inbox"]), ...(silent ? [] : ["push"])] },
    ...(expiresAt === null ? {} : { expiresAt }),
    ...(due === null ? {} : { delay: { until: new Date(due).toISOString() } }),
  };
}

async function audiencesOf(
  notifications: readonly Notification[],
  environment: Environment,
  world: World,
): Promise<readonly Audience[]> {
  const broadcast = notifications.some(({ users, devices }) => users === null && devices === null);
  const everybody = broadcast ? await everybodyOf(environment, world) : [];
  const audiences: Audience[] = [];
  for (const notification of notifications) {
    const { users, devices } = notification;
    if (users !== null) {
      audiences.push({ recipients: await named(users, notification, environment, world), unknownDevices: [] });
    } else if (devices !== null) {
      const found = await usersOfDevices(devices, environment, world);
      const recipients = await named(found.users, notification, environment, world);
      audiences.push({ recipients, unknownDevices: found.unknown });
    } else {
      const recipients: readonly Recipient[] =
        everybody === null ? [{ kind: "devices" }] : await named(everybody, notification, environment, world);
      audiences.push({ recipients, unknownDevices: [] });
    }
  }
  return audiences;
}

/** Null when they are too many to be named. */
async function everybodyOf({ id }: Environment, { engine }: World): Promise<readonly string[] | null> {
  const page = await engine.devices.users(id, { limit: NAMED_IN_BROADCAST });
  return page.next === null ? page.items : null;
}

/** Who reads in which language matters only where there are several. */
async function named(
  users: readonly string[],
  { title, body }: Notification,
  { id }: Environment,
  { engine }: World,
): Promise<readonly Recipient[]> {
  const translated = typeof title === "object" || typeof body === "object";
  const languages = translated ? await engine.devices.languages(id, users) : null;
  return users.map((userId): Recipient => {
    const locale = languages?.get(userId);
    return { kind: "user", userId, profile: locale === undefined ? {} : { locale } };
  });
}

async function usersOfDevices(
  ids: readonly string[],
  environment: Environment,
  { engine }: World,
): Promise<{ readonly users: readonly string[]; readonly unknown: readonly string[] }> {
  const byId = await engine.devices.read(environment.id, ids);
  const rest = ids.filter((_, i) => byId[i] === null);
  const byToken = new Map(
    (await engine.devices.withTokens(environment.id, rest)).map((device) => [device.token, device]),
  );
  const users = new Set<string>();
  const unknown: string[] = [];
  ids.forEach((id, i) => {
    const device = byId[i] ?? byToken.get(id);
    if (device == null) unknown.push(id);
    else users.add(device.userId);
  });
  return { users: [...users], unknown };
}
