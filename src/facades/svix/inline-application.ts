/** Applications that come inside of other requests: made on first sight, left alone when they are there. */

import { Refusal } from "../../engine/refusal.ts";
import type { Application } from "../../engine/webhooks/model.ts";
import { isOperationsApp } from "../../engine/webhooks/operational-app.ts";
import type { ApplicationFields } from "../../engine/webhooks/webhooks.ts";
import type { Caller } from "./access.ts";
import { invalid, notFound } from "./errors.ts";
import { keyOf } from "./ids.ts";
import type { Svix } from "./svix.ts";
import type { Fields } from "./wire.ts";

const MAX_RATE = 65_535;
/** No control characters below the tabulator. As long as the description of an endpoint: up to 250 are in one list. */
// biome-ignore lint/suspicious/noControlCharactersInRegex: they are what is refused
export const APPLICATION_NAME = { min: 1, max: 10_000, pattern: /^[^\u0000-\u0008]+$/ } as const;

/** What ApplicationIn says, its mistakes noted. */
export function applicationFields(f: Fields): ApplicationFields {
  return {
    name: f.text("name", APPLICATION_NAME),
    uid: f.uid("uid", "app"),
    throttleRate: f.integer(f.alias(["throttleRate", "rateLimit"]), { min: 1, max: MAX_RATE, nullable: true }),
    metadata: f.metadata("metadata"),
  };
}

/**
 * The application that a path names; made of `given` when there is none. One that exists is not changed, and what is
 * given beside it not looked at.
 * @param given the fields of `application` in the body, or null.
 * @param what the detail of the 404 without them.
 * @throws SvixError 404; Invalid when it is to be made and `given` has no uid or another one than the path.
 */
export async function findOrCreateApplication(
  svix: Pick<Svix, "webhooks">,
  caller: Caller,
  path: string,
  given: ApplicationFields | null,
  what?: string,
): Promise<Application> {
  const { applications } = svix.webhooks;
  const environmentId = caller.environment.id;
  const key = keyOf("app", "app", path);
  const found = await applications.read(environmentId, key);
  if (found !== null && isOperationsApp(environmentId, found.id)) throw notFound(what);
  if (found !== null) return found;
  if (given === null) throw notFound(what);
  if (given.uid === null) throw mismatch("missing", "Expected the uid of the path");
  if (given.uid !== path) throw mismatch("mismatch", "Expected the same uid as in the path");
  try {
    return await applications.create(environmentId, given);
  } catch (error) {
    // Another call has made it in this very moment.
    const theirs =
      error instanceof Refusal && error.code === "conflict" ? await applications.read(environmentId, key) : null;
    if (theirs === null) throw error;
    return theirs;
  }
}

function mismatch(what: "missing" | "mismatch", msg: string) {
  return invalid(["body", "application", "uid"], msg, `application_uid_${what}`);
}
