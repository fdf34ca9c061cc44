/** For engines of tests in which no application has an endpoint: whatever is asked of it all the same fails. */
import type { WebhookOptions } from "../../src/engine/webhooks/open.ts";

const unexpected = (what: string) => (): Promise<never> => Promise.reject(new Error(`${what} was not expected here`));

export const noWebhooks: WebhookOptions = {
  vault: { seal: (text) => text, sealOften: (text) => text, open: (text) => text },
  http: { exchange: unexpected("a try") },
  sandbox: { transform: unexpected("a transformation"), close: async () => {} },
  spell: (id) => id,
  describeTask: () => ({}),
  tryTimeoutMs: 1_000,
  retryWaitsMs: [],
  disableAfterMs: 0,
  maxEndpoints: 10,
};
