/** Calls that both majors of the SDK have under different names, and what a refused one was told. */
import assert from "node:assert/strict";
import {
  ApiException,
  type ApplicationIn,
  type ApplicationOut,
  type EndpointOut,
  type EventTypeOut,
  type EventTypeUpdate,
} from "svix";
import { ApiException as ApiException2 } from "svix2";
import type { Clients } from "../svix-target.ts";

/** Who speaks, and in which major. */
export type Speaker = Pick<Clients, "svix" | "svix2"> & { readonly major: 1 | 2 };

interface EndpointPut {
  readonly url: string;
  readonly description?: string;
  readonly uid?: string | null;
  readonly throttleRate?: number | null;
  readonly disabled?: boolean;
  readonly eventTypes?: string[] | null;
  readonly channels?: string[] | null;
  readonly metadata?: { [name: string]: string };
}

export async function putApplication(speaker: Speaker, key: string, body: ApplicationIn): Promise<ApplicationOut> {
  const { major, svix, svix2 } = speaker;
  return major === 1 ? await svix.application.update(key, body) : await svix2.application.upsert(key, body);
}

export async function putEndpoint(
  { major, svix, svix2 }: Speaker,
  app: string,
  key: string,
  body: EndpointPut,
): Promise<Omit<EndpointOut, "version">> {
  if (major === 2) return await svix2.endpoint.upsert(app, key, body);
  const { eventTypes, ...rest } = body;
  return await svix.endpoint.update(app, key, eventTypes === undefined ? rest : { ...rest, filterTypes: eventTypes });
}

export async function putEventType(
  { major, svix, svix2 }: Speaker,
  name: string,
  body: EventTypeUpdate,
): Promise<EventTypeOut> {
  return major === 1 ? await svix.eventType.update(name, body) : await svix2.eventType.upsert(name, body);
}

export async function setHeaders(
  { major, svix, svix2 }: Speaker,
  app: string,
  key: string,
  headers: { [name: string]: string },
): Promise<void> {
  if (major === 1) await svix.endpoint.updateHeaders(app, key, { headers });
  else await svix2.endpoint.setHeaders(app, key, { headers });
}

/** Where a call of either SDK was found to be wrong: it must have been answered with a 422 list. */
export async function refusedAt(call: Promise<unknown>): Promise<readonly string[]> {
  try {
    await call;
  } catch (error) {
    assert.ok(error instanceof ApiException || error instanceof ApiException2, String(error));
    assert.equal(error.code, 422, JSON.stringify(error.body));
    return (error.body as { detail: { loc: string[] }[] }).detail.map(({ loc }) => loc.join("."));
  }
  throw new assert.AssertionError({ message: "The call was not refused" });
}
