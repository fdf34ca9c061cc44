/** What the demo's pages ask of the server (src/http/demo.ts of the repository). */

import type { PushwooshAddress } from "./pushwoosh.ts";

/** The four addresses a Courier client needs. If one were missing the SDK would quietly use the vendor's. */
export interface ApiUrls {
  readonly courier: { readonly rest: string; readonly graphql: string };
  readonly inbox: { readonly graphql: string; readonly webSocket: string };
}

/** What Knock's client needs. */
export interface FeedAddress {
  readonly host: string;
  readonly publicKey: string;
  /** Of the in-app channel. */
  readonly channelId: string;
}

export type UserKey = "a" | "b";

export interface DemoUser {
  readonly key: UserKey;
  readonly userId: string;
  readonly name: string;
}

export interface DemoSetup {
  readonly users: readonly DemoUser[];
  readonly apiUrls: ApiUrls;
}

export interface DemoSession {
  readonly userId: string;
  readonly name: string;
  readonly jwt: string;
  readonly apiUrls: ApiUrls;
  readonly feed: FeedAddress;
  readonly pushwoosh: PushwooshAddress;
}

export interface DemoMessage {
  readonly to: readonly UserKey[];
  readonly title: string;
  readonly body: string;
  readonly tags: readonly string[];
  readonly action: { readonly label: string; readonly href: string } | null;
}

/** The server's own words for why it refused, fit to be shown. */
export class ServerRefusal extends Error {
  override name = "ServerRefusal";
  readonly field: string | undefined;

  constructor(message: string, field: string | undefined) {
    super(message);
    this.field = field;
  }
}

export function readSetup(): Promise<DemoSetup> {
  return ask<DemoSetup>("/demo/setup");
}

/** Every call makes a new token. */
export function openSession(user: UserKey): Promise<DemoSession> {
  return ask<DemoSession>(`/demo/session?user=${user}`);
}

/** Resolves once the message is committed. */
export function sendMessage(message: DemoMessage): Promise<{ readonly requestId: string }> {
  return ask("/demo/send", {
    method: "POST",
    headers: { "content-type": "application/json" },
    body: JSON.stringify(message),
  });
}

/** @throws ServerRefusal when the server answered but not with 2xx; a TypeError when it did not answer. */
async function ask<T>(path: string, init?: RequestInit): Promise<T> {
  const response = await fetch(path, init);
  const answer: unknown = await response.json().catch(() => null);
  if (response.ok) return answer as T;
  const { message, field } = (answer ?? {}) as { message?: unknown; field?: unknown };
  throw new ServerRefusal(
    typeof message === "string" ? message : `The server answered ${response.status}.`,
    typeof field === "string" ? field : undefined,
  );
}
