/** What tests of feeds have in common: workflows that send to one, and calls of the feed as a browser makes them. */
import { randomUUID } from "node:crypto";
import type { JsonObject } from "../../../../src/lib/json.ts";
import type { Answer, KnockTarget } from "../knock-target.ts";

/** Commits a workflow. */
export async function pushWorkflow(target: KnockTarget, key: string, workflow: JsonObject): Promise<void> {
  const query = "environment=development&commit=true&commit_message=test";
  const pushed = await target.call("PUT", `/workflows/${key}?${query}`, { workflow: { name: key, ...workflow } });
  if (pushed.status !== 200) throw new Error(`pushing ${key}: ${pushed.status} ${pushed.text}`);
}

export function inAppStep(template: JsonObject = {}, more: JsonObject = {}): JsonObject {
  const markdown_body = "Hi **{{ recipient.name | default: recipient.id }}**";
  return { type: "channel", ref: "in_app_1", channel_key: "in-app", template: { markdown_body, ...template }, ...more };
}

/** A workflow of one in-app step. */
export function pushInApp(target: KnockTarget, key: string, more: JsonObject = {}): Promise<void> {
  return pushWorkflow(target, key, { steps: [inAppStep()], ...more });
}

/** A user of the test's own. */
export async function newUser(target: KnockTarget, id = `u-${randomUUID()}`): Promise<string> {
  await target.knock.users.update(id, { name: `Name of ${id}` });
  return id;
}

export async function trigger(
  target: KnockTarget,
  key: string,
  recipients: readonly (string | JsonObject)[],
  more: JsonObject = {},
): Promise<string> {
  const done = await target.call("POST", `/workflows/${key}/trigger`, { recipients, ...more });
  if (done.status !== 200) throw new Error(`triggering ${key}: ${done.status} ${done.text}`);
  return done.body.workflow_run_id;
}

/** One item of the user's for each of `each`, a second apart. @returns their ids, oldest first. */
export async function triggerEach(
  target: KnockTarget,
  key: string,
  userId: string,
  each: readonly JsonObject[],
): Promise<readonly string[]> {
  const before = new Set(await allIds(target, userId));
  for (const more of each) {
    target.clock.advance(1_000);
    await trigger(target, key, [userId], more);
  }
  return (await allIds(target, userId)).filter((id) => !before.has(id)).toReversed();
}

export async function feedOf(target: KnockTarget, userId: string, query = "", feedId = target.feedId): Promise<Answer> {
  return target.asClient()("GET", `/users/${encodeURIComponent(userId)}/feeds/${feedId}?${query}`);
}

/** Newest first, of all pages, archived ones included. */
export async function allIds(target: KnockTarget, userId: string, query = "archived=include"): Promise<string[]> {
  const ids: string[] = [];
  for (let after = ""; ; ) {
    const { body } = await feedOf(target, userId, `${query}&mode=compact&after=${after}`);
    ids.push(...body.entries.map((entry: { id: string }) => entry.id));
    if (body.page_info.after === null) return ids;
    after = body.page_info.after;
  }
}

/** Total, unread, unseen. */
export async function countsOf(target: KnockTarget, userId: string, query = ""): Promise<readonly number[]> {
  const { meta } = (await feedOf(target, userId, query)).body;
  return [meta.total_count, meta.unread_count, meta.unseen_count];
}
