/** Coming in through a link of `app-portal-access`: its one-time code becomes a token, which this tab keeps. */

/** Everything that a token may allow, in Svix's words. */
export type Capability =
  | "ViewBase"
  | "ViewEndpointSecret"
  | "ManageEndpointSecret"
  | "ManageTransformations"
  | "CreateAttempts"
  | "ManageEndpoint";

export interface Session {
  readonly appId: string;
  readonly token: string;
  readonly capabilities: readonly string[];
  /** The code that opened it. It is used up, and tells whether the same link is opened once more. */
  readonly code: string;
}

export interface Link {
  readonly appId: string;
  readonly code: string;
}

/** The code is unknown, was used or is too old; no second try will help. */
export class LinkOver extends Error {
  override readonly name = "LinkOver";
}

const APP_ID = /^app_[0-9A-Za-z]{27}$/;
const STORED = "carillon.portal.";

/**
 * Where the server is, without a slash at its end. The page stands at `<server>/portal/…`; what a link says about its
 * server is not trusted: the page would hand the code to anyone.
 */
export const SERVER_URL = window.location.origin + window.location.pathname.replace(/\/portal(?:\/.*)?$/, "");

/** What the fragment of such a link says; null for any other fragment. */
export function readLink(hash: string): Link | null {
  const [, key] = /^#key=([A-Za-z0-9_\-+/=%]+)$/.exec(hash) ?? [];
  if (key === undefined) return null;
  try {
    const base64 = decodeURIComponent(key).replaceAll("-", "+").replaceAll("_", "/");
    const bytes = Uint8Array.from(atob(base64), (char) => char.charCodeAt(0));
    const { appId, oneTimeToken } = JSON.parse(new TextDecoder().decode(bytes)) as Record<string, unknown>;
    if (typeof appId !== "string" || !APP_ID.test(appId) || typeof oneTimeToken !== "string") return null;
    return { appId, code: oneTimeToken };
  } catch {
    return null;
  }
}

/**
 * Swaps the code for a token. A link that this tab has come in through before goes on with what it got then: frames
 * load the same address again.
 * @throws LinkOver
 */
export async function openLink({ appId, code }: Link): Promise<Session> {
  const before = storedSession(appId);
  if (before?.code === code) return before;
  const response = await fetch(`${SERVER_URL}/api/v1/auth/one-time-token`, {
    method: "POST",
    headers: { "content-type": "application/json" },
    body: JSON.stringify({ oneTimeToken: code }),
  });
  if (response.status === 401 || response.status === 422) throw new LinkOver();
  if (!response.ok) throw new Error(`The server answered ${response.status}`);
  const { token, capabilities } = (await response.json()) as Pick<Session, "token" | "capabilities">;
  const session = { appId, token, capabilities, code };
  keep(STORED + appId, session);
  return session;
}

/** The session that this tab has for an application. */
export function storedSession(appId: string): Session | null {
  if (!APP_ID.test(appId)) return null;
  return kept<Session>(STORED + appId);
}

export function forgetSession(appId: string): void {
  keep(STORED + appId, null);
}

// A tab's storage, not the browser's: it ends with the tab, and no other tab reads it. Where a browser gives embedded
// pages none, things last as long as the page does.

const inMemory = new Map<string, string>();

export function keep(name: string, value: unknown): void {
  const text = JSON.stringify(value);
  inMemory.set(name, text);
  try {
    if (value === null) window.sessionStorage.removeItem(name);
    else window.sessionStorage.setItem(name, text);
  } catch {
    // Refused, or full: see above.
  }
}

/** @returns null also for what cannot be read. */
export function kept<T>(name: string): T | null {
  try {
    const text = window.sessionStorage.getItem(name) ?? inMemory.get(name);
    return text === undefined ? null : (JSON.parse(text) as T | null);
  } catch {
    const text = inMemory.get(name);
    return text === undefined ? null : (JSON.parse(text) as T | null);
  }
}
