/** The part of Pushwoosh's JSON API that a list of messages needs. A client of our own: the vendor's is not used here. */

export interface PushwooshAddress {
  /** With a slash at the end; the method's name follows. */
  readonly url: string;
  readonly application: string;
}

export interface PushwooshMessage {
  readonly inbox_id: string;
  readonly order: string;
  readonly title: string;
  readonly text: string;
  readonly image: string;
  /** JSON; `l` is the link. */
  readonly action_params: string;
  /** 1 delivered, 2 read, 3 opened. */
  readonly status: number;
}

export interface PushwooshInbox {
  readonly messages: readonly PushwooshMessage[];
  readonly new_inbox: number;
}

export const READ = 2;
export const OPENED = 3;
export const DELETED = 4;

/** @throws Error when the server does not answer, or answers anything but 200. */
async function call<T>(address: PushwooshAddress, method: string, request: object): Promise<T> {
  const response = await fetch(`${address.url}${method}`, {
    method: "POST",
    // As the vendor's client does it: no preflight is needed then.
    headers: { "content-type": "text/plain;charset=UTF-8" },
    body: JSON.stringify({ request: { application: address.application, ...request } }),
  });
  const { status_code: status, status_message: message, response: answer } = await response.json();
  if (status !== 200) throw new Error(message);
  return answer as T;
}

/** All that is in the inbox of the user, newest first. */
export function readInbox(address: PushwooshAddress, userId: string): Promise<PushwooshInbox> {
  return call(address, "getInboxMessages", { userId, hwid: userId, count: 0 });
}

export function setStatus(address: PushwooshAddress, userId: string, order: string, status: number): Promise<null> {
  return call(address, "inboxStatus", { userId, hwid: userId, inbox_code: order, status });
}

/** The link of a message, or undefined. */
export function linkOf({ action_params }: PushwooshMessage): string | undefined {
  const { l } = JSON.parse(action_params) as { readonly l?: string };
  return l;
}
