/** `POST /auth/issue-token`: a backend mints the token with which a browser or a phone acts for certain users. */
import Type from "typebox";
import { Refusal } from "../../engine/refusal.ts";
import { bodyOf } from "../../http/body.ts";
import { signUserToken } from "../../http/user-token.ts";
import type { Millis } from "../../lib/clock.ts";
import { requireSecret } from "./auth.ts";
import type { Routes } from "./courier.ts";
import { checkText } from "./wire.ts";

const body = bodyOf(Type.Object({ scope: Type.String(), expires_in: Type.Union([Type.String(), Type.Number()]) }));

export const issueTokenRoutes: Routes = (app, { engine: { clock } }) => {
  app.post("/auth/issue-token", async (request) => {
    const { environment } = requireSecret(request);
    const { scope, expires_in } = body(request.body);
    const now = clock.now();
    return { token: signUserToken(environment, checkScope(scope), now, now + parseExpiresIn(expires_in)) };
  });
};

const MAX_SCOPE_LENGTH = 8_000;
/** What these allow is allowed for users, so users must be named. Unknown scopes are kept, and allow nothing. */
const USER_SCOPES: ReadonlySet<string> = new Set([
  "read:messages",
  "read:user-tokens",
  "write:user-tokens",
  "read:preferences",
  "write:preferences",
  "inbox:read:messages",
  "inbox:write:events",
]);

/** @returns the items joined by single spaces. @throws Refusal for an empty scope, and for user scopes without a user. */
export function checkScope(scope: string): string {
  const refuse = (why: string): Refusal => new Refusal("invalid", `scope: ${why}`, { field: "scope" });
  if (scope.length > MAX_SCOPE_LENGTH) throw refuse(`Expected at most ${MAX_SCOPE_LENGTH} characters`);
  const items = checkText("scope", scope)
    .split(/\s+/)
    .filter((item) => item !== "");
  if (items.length === 0) throw refuse("Required");
  if (items.includes("user_id:")) throw refuse("Expected a user after user_id:");
  const namesUser = items.some((item) => item.startsWith("user_id:"));
  const needsUser = items.find((item) => USER_SCOPES.has(item));
  if (needsUser !== undefined && !namesUser) throw refuse(`${needsUser} needs a user_id:<id> beside it`);
  return items.join(" ");
}

const SECOND_MS = 1_000;
const MINUTE_MS = 60 * SECOND_MS;
const HOUR_MS = 60 * MINUTE_MS;
const DAY_MS = 24 * HOUR_MS;
const UNITS: readonly (readonly [names: RegExp, ms: Millis])[] = [
  [/^(milliseconds?|msecs?|ms)$/, 1],
  [/^(|s|secs?|seconds?)$/, SECOND_MS],
  [/^(m|mins?|minutes?)$/, MINUTE_MS],
  [/^(h|hrs?|hours?)$/, HOUR_MS],
  [/^(d|days?)$/, DAY_MS],
  [/^(w|weeks?)$/, 7 * DAY_MS],
  [/^(y|yrs?|years?)$/, 365.25 * DAY_MS],
];
/** So that the end is a time that every client can compute with. */
const MAX_LIFE_MS = 100 * 365.25 * DAY_MS;

/** `"2 hours"`, `"1d"`, `"2.5 hrs"`; a bare number is seconds. @returns milliseconds. @throws Refusal */
export function parseExpiresIn(text: string | number): Millis {
  const [, amount, unit] = /^(\d{1,15}(?:\.\d{1,9})?|\.\d{1,9}) ?([a-z]*)$/i.exec(String(text).trim()) ?? [];
  const factor = UNITS.find(([names]) => unit !== undefined && names.test(unit.toLowerCase()))?.[1];
  const ms = Math.round(Number(amount) * (factor ?? Number.NaN));
  if (ms > 0 && ms <= MAX_LIFE_MS) return ms;
  throw new Refusal("invalid", `expires_in: Expected a span of time such as "2 hours", got ${JSON.stringify(text)}`, {
    field: "expires_in",
  });
}
