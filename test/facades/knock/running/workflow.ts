/** Workflows for tests, pushed and committed through the management API. */
import assert from "node:assert/strict";
import type { KnockTarget } from "../knock-target.ts";

export const IN_APP = {
  ref: "in_app",
  type: "channel",
  channel_key: "in-app",
  template: { markdown_body: "Hi **{{ recipient.name }}**" },
};

/** Pushes a workflow and commits it. @param more fields beside name and steps. */
export async function commit(
  { call }: Pick<KnockTarget, "call">,
  key: string,
  steps: readonly object[] = [IN_APP],
  more: object = {},
): Promise<void> {
  const workflow = { name: key, steps, ...more };
  const { status, text } = await call("PUT", `/workflows/${key}?environment=development&commit=true`, { workflow });
  assert.equal(status, 200, text);
}

export async function activate({ call }: Pick<KnockTarget, "call">, key: string, status: boolean): Promise<void> {
  const answer = await call("PUT", `/workflows/${key}/activate?environment=development`, { status });
  assert.equal(answer.status, 200, answer.text);
}

/** What is in a user's feed, newest first. */
// biome-ignore lint/suspicious/noExplicitAny: tests look at it field by field
export async function feedOf(target: KnockTarget, userId: string, query = ""): Promise<any> {
  const path = `/users/${encodeURIComponent(userId)}/feeds/${target.feedId}?${query}`;
  const { status, body, text } = await target.asClient()("GET", path);
  assert.equal(status, 200, text);
  return body;
}

/** Resolves when all that is due has been done. */
export async function idle({ app }: KnockTarget): Promise<void> {
  await app.engine.dispatcher.idle();
}
