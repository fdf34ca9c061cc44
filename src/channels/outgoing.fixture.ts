/** Deliveries and providers for the tests of this folder. */
import type { Delivery, Provider, Rendered, StepOrigin } from "../engine/model.ts";
import type { Outgoing } from "../engine/ports.ts";
import type { JsonObject } from "../lib/json.ts";

const AT = Date.UTC(2026, 0, 5, 12);

export interface Wanted {
  readonly channel?: Delivery["channel"];
  readonly provider?: string;
  readonly providerId?: Provider["id"];
  readonly settings?: JsonObject;
  readonly address?: JsonObject;
  readonly content?: Partial<Rendered>;
  readonly override?: JsonObject | null;
  readonly data?: JsonObject;
  readonly origin?: StepOrigin;
  readonly signal?: AbortSignal;
  readonly updatedAt?: number;
}

export function outgoing(wanted: Wanted = {}): Outgoing {
  const channel = wanted.channel ?? "email";
  const provider = wanted.provider ?? "capture-email";
  const providerId = wanted.providerId ?? "prv_1";
  return {
    delivery: {
      id: "dlv_01",
      environmentId: "env_1",
      messageId: "msg_1",
      userId: "u1",
      tenantId: null,
      channel,
      provider,
      providerId,
      leaf: "",
      state: "pending",
      dueAt: AT,
      leaseUntil: null,
      attempts: 0,
      startedAt: null,
      timeoutMs: 300_000,
      address: wanted.address ?? { email: "ann@example.com" },
      content: {
        subject: "Hello",
        title: "Hello",
        html: "<p>Hi <b>there</b></p>",
        text: "Hi there",
        body: "Hi there",
        imageUrl: null,
        clickUrl: null,
        actions: [],
        blocks: [{ type: "text", text: "Hi there" }],
        links: [],
        raw: null,
        ...wanted.content,
      },
      override: wanted.override ?? null,
      error: null,
      reference: null,
      createdAt: AT,
      sentAt: null,
      deliveredAt: null,
      seenAt: null,
      readAt: null,
      interactedAt: null,
      archivedAt: null,
      deletedAt: null,
      expiresAt: null,
      tags: [],
      data: wanted.data ?? {},
      viaTenant: false,
      requestId: "req_1",
      ...(wanted.origin === undefined ? {} : { origin: wanted.origin }),
    },
    provider: {
      id: providerId,
      environmentId: "env_1",
      provider,
      channel,
      title: "Default Configuration",
      alias: null,
      settings: wanted.settings ?? {},
      standIn: false,
      createdAt: AT,
      updatedAt: wanted.updatedAt ?? AT,
    },
    signal: wanted.signal ?? new AbortController().signal,
  };
}
