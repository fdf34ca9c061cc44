/** Waiting for what happens behind a call's back: deliveries, tasks. */
import assert from "node:assert/strict";
import type { BackgroundTaskOut } from "svix";
import { ApiException } from "svix";
import { ApiException as ApiException2 } from "svix2";
import type { Answer, Clients } from "./svix-target.ts";

/** Asks again until the answer is right; the server says nothing when its queues are empty. */
export async function eventually<T>(ask: () => Promise<T>, right: (value: T) => boolean, what: string): Promise<T> {
  const until = Date.now() + 20_000;
  for (;;) {
    const value = await ask();
    if (right(value)) return value;
    assert.ok(Date.now() < until, `${what}: ${JSON.stringify(value)}`);
    await new Promise((resolve) => setImmediate(resolve));
  }
}

/** The attempts of a message once there are so many. */
export async function attemptsOf(target: Clients, app: string, message: string, count: number) {
  const found = await eventually(
    () => target.svix.messageAttempt.listByMsg(app, message),
    ({ data }) => data.length >= count,
    `${count} attempts of ${message}`,
  );
  assert.equal(found.data.length, count);
  return found.data;
}

/** A task once it has ended. */
export async function ended(target: Pick<Clients, "svix">, id: string): Promise<BackgroundTaskOut> {
  return await eventually(
    () => target.svix.backgroundTask.get(id),
    ({ status }) => status !== "running",
    `the end of ${id}`,
  );
}

/** Where a call was found to be wrong; the answer must be a 422 list. */
export function locs({ status, body }: Answer): string[] {
  assert.equal(status, 422, JSON.stringify(body));
  return body.detail.map(({ loc, msg, type }: { loc: string[]; msg: string; type: string }) => {
    assert.ok(msg.length > 0 && type.length > 0);
    return loc.join(".");
  });
}

/** What a refused call of either SDK was answered. */
export async function refusal(call: Promise<unknown>): Promise<{ status: number; code: string | undefined }> {
  try {
    await call;
  } catch (error) {
    assert.ok(error instanceof ApiException || error instanceof ApiException2, String(error));
    return { status: error.code, code: (error.body as { code?: string }).code };
  }
  throw new assert.AssertionError({ message: "The call was not refused" });
}
