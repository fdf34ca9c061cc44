/** Who may call, and which environment is meant: an application is an environment. */
import type { Environment, KeyMode } from "../../engine/model.ts";
import { Refusal } from "../../engine/refusal.ts";
import type { JsonObject } from "../../lib/json.ts";
import { Call, Fields } from "./call.ts";
import { invalid } from "./errors.ts";
import type { Access, World } from "./pushwoosh.ts";

const SCHEME = /^\s*(?:token|bearer|key)\b\s*/i;
/** What mobile clients send when they have no token. */
const NO_TOKENS: ReadonlySet<string> = new Set(["", "(null)", "null", "nil", "undefined"]);

/**
 * Lets a call in.
 * @param authorization the header, if there is one.
 * @throws Refusal: "invalid" for an unknown application and for a server's key that is missing or not of the
 *   application; "unauthenticated" for a device token that is missing though required, or another application's.
 */
export async function letIn(
  request: JsonObject,
  authorization: string | undefined,
  access: Access,
  world: World,
): Promise<Call> {
  const fields = new Fields(request);
  const header = tokenIn(authorization);
  const code = fields.text("application");
  if (access === "server") {
    const named = code === undefined ? null : await environmentOf(code, world);
    const { environment, mode } = await serverOf(fields.text("auth") ?? header, named, world);
    return new Call(request, environment, mode);
  }
  if (code === undefined) throw invalid("application", "Required");
  const environment = await environmentOf(code, world);
  const auth = access === "either" ? fields.text("auth") : undefined;
  if (auth !== undefined) return new Call(request, environment, (await serverOf(auth, environment, world)).mode);
  return new Call(request, environment, await checkDeviceToken(header, environment, world));
}

async function environmentOf(code: string, world: World): Promise<Environment> {
  const environment = await world.environmentByAppCode(code);
  if (environment === null) throw invalid("application", "There is no such application");
  return environment;
}

function tokenIn(authorization: string | undefined): string | undefined {
  const token = authorization?.replace(SCHEME, "").trim();
  return token === undefined || NO_TOKENS.has(token.toLowerCase()) ? undefined : token;
}

/** One answer for every key that will not do: nobody is told whether it is one. */
async function serverOf(
  token: string | undefined,
  environment: Environment | null,
  world: World,
): Promise<{ readonly environment: Environment; readonly mode: KeyMode }> {
  const principal = token === undefined ? null : await world.findPrincipal(token);
  if (principal?.kind !== "secret" || (environment !== null && principal.environment.id !== environment.id)) {
    throw invalid("auth", "Expected the API token of the application");
  }
  return principal;
}

/** @returns the mode of a secret key, which will do as well; null without one. */
async function checkDeviceToken(
  token: string | undefined,
  environment: Environment,
  world: World,
): Promise<KeyMode | null> {
  if (token === environment.publicKey) return null;
  const principal = token === undefined ? null : await world.findPrincipal(token);
  if (principal !== null && principal.kind !== "user") {
    if (principal.environment.id !== environment.id) {
      throw new Refusal("unauthenticated", "The token is that of another application");
    }
    return principal.kind === "secret" ? principal.mode : null;
  }
  if ((await world.settings.switches(environment.id)).requireDeviceToken) {
    throw new Refusal("unauthenticated", "Expected the device API token of the application");
  }
  return null;
}
