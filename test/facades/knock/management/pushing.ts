/** Workflows that tests push. */
import assert from "node:assert/strict";
import type { KnockTarget } from "../knock-target.ts";

export const IN_APP = {
  type: "channel",
  ref: "feed_1",
  channel_key: "in-app",
  template: { markdown_body: "Hi" },
} as const;

/** The body of a push: one in-app step that says `markdown`. */
export function workflow(markdown: string): { readonly workflow: object } {
  return { workflow: { name: "A workflow", steps: [{ ...IN_APP, template: { markdown_body: markdown } }] } };
}

/** Pushes and commits. @returns the workflow as it is answered. */
export async function pushed(target: Pick<KnockTarget, "call">, key: string, markdown: string) {
  const answer = await target.call("PUT", `/workflows/${key}?environment=development&commit=true`, workflow(markdown));
  assert.equal(answer.status, 200, answer.text);
  return answer.body.workflow;
}
