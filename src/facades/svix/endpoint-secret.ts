/** The key that signs what an endpoint is sent. */
import type { AppEndpoint } from "../../engine/webhooks/model.ts";
import { generateSecret, publicPart, rotate } from "../../engine/webhooks/signing.ts";
import type { AppEndpointFields } from "../../engine/webhooks/webhooks.ts";
import type { Millis } from "../../lib/clock.ts";
import { applicationOf, endpointOf, may } from "./access.ts";
import { readSecret } from "./endpoint-fields.ts";
import { badRequest, notFound } from "./errors.ts";
import type { Routes } from "./svix.ts";
import { fields } from "./wire.ts";

const PATH = "/app/:app_id/endpoint/:endpoint_id/secret";
const DAY_S = 86_400;
const MAX_GRACE_S = 7 * DAY_S;

interface Params {
  readonly endpoint_id: string;
}

export const endpointSecretRoutes: Routes = (app, svix) => {
  app.get(PATH, may("ViewEndpointSecret"), async (request) => {
    const { caller, application } = await applicationOf(svix, request);
    return showSecret(await endpointOf(svix, caller, application, (request.params as Params).endpoint_id));
  });

  app.post(`${PATH}/rotate`, may("ManageEndpointSecret"), async (request, reply) => {
    const { caller, application } = await applicationOf(svix, request);
    const { id } = await endpointOf(svix, caller, application, (request.params as Params).endpoint_id);
    const change = readRotation(request.body, svix.clock.now());
    const updated = await svix.webhooks.endpoints.update(caller.environment.id, application.id, { id }, change);
    if (updated === null) throw notFound();
    return reply.code(204).send();
  });
};

/** Of an asymmetric key only the half that verifies. */
export function showSecret({ secret }: Pick<AppEndpoint, "secret">): { readonly key: string } {
  return { key: publicPart(secret) };
}

/**
 * The change of an endpoint that a call asks for. Without a key of its own it gets a new one of the kind it has, so that
 * its receiver, who was built for that kind, can go on verifying.
 * @throws Invalid; the change throws SvixError when too many old keys would be signing.
 */
export function readRotation(
  body: unknown,
  now: Millis,
): (endpoint: AppEndpoint) => Pick<AppEndpointFields, "secret" | "oldSecrets"> {
  const f = fields(body);
  const key = readSecret(f, "key");
  const graceS = f.integer("gracePeriodSeconds", { nullable: true, min: 0, max: MAX_GRACE_S }) ?? DAY_S;
  f.done();
  // Made once, whichever is needed: the change may run again and has to come to the same.
  let made: string | null = null;
  return ({ secret, oldSecrets }) => {
    made ??= key ?? generateSecret(secret.startsWith("whsk_") ? "asymmetric" : "symmetric");
    const rotated = rotate(secret, oldSecrets, made, graceS * 1000, now);
    if (rotated === "limit")
      throw badRequest("Too many old keys are still signing; wait until one ends", "limit_reached");
    return rotated;
  };
}
