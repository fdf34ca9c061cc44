/** Code of its owner that changes what an endpoint is sent. It runs in the sandbox, before the signing. */
import type { AppEndpoint, Transformation } from "../../engine/webhooks/model.ts";
import { APPLICATION, applicationOf, endpointOf, may } from "./access.ts";
import { invalid, notFound } from "./errors.ts";
import type { Routes } from "./svix.ts";
import { CHANNEL, EVENT_NAME, fields, timestampOrNull } from "./wire.ts";

const PATH = "/app/:app_id/endpoint/:endpoint_id/transformation";
const MAX_VARIABLES_BYTES = 65_536;
const MAX_CHANNEL_LENGTH = 128;
/** Bounds of the text of a transformation. */
export const CODE_RULE = { min: 10, max: 51_200 } as const;
const NONE: Transformation = { code: null, enabled: false, variables: null, updatedAt: 0 };

interface Params {
  readonly endpoint_id: string;
}

export const endpointTransformationRoutes: Routes = (app, svix) => {
  app.get(PATH, APPLICATION, async (request) => {
    const { caller, application } = await applicationOf(svix, request);
    const endpoint = await endpointOf(svix, caller, application, (request.params as Params).endpoint_id);
    const { code, enabled, variables } = endpoint.transformation ?? NONE;
    return { code, enabled, variables, updatedAt: timestampOrNull(endpoint.transformation?.updatedAt ?? null) };
  });

  app.patch(PATH, may("ManageTransformations"), async (request, reply) => {
    const { caller, application } = await applicationOf(svix, request);
    const { id } = await endpointOf(svix, caller, application, (request.params as Params).endpoint_id);
    const patch = readPatch(request.body);
    const updatedAt = svix.clock.now();
    const change = ({ transformation }: AppEndpoint) => {
      const after = { ...(transformation ?? NONE), ...patch, updatedAt };
      // Taking the code away turns it off; turning on what is not there is a mistake.
      if (after.code !== null) return { transformation: after };
      if (patch.enabled === true) throw invalid(["body", "enabled"], "Expected false as long as there is no code");
      return { transformation: { ...after, enabled: false } };
    };
    const updated = await svix.webhooks.endpoints.update(caller.environment.id, application.id, { id }, change, true);
    if (updated === null) throw notFound();
    return reply.code(204).send();
  });

  app.post(`${PATH}/simulate`, may("ManageTransformations"), async (request) => {
    const { caller, application } = await applicationOf(svix, request);
    const endpoint = await endpointOf(svix, caller, application, (request.params as Params).endpoint_id);
    const f = fields(request.body);
    const code = f.text("code", CODE_RULE);
    const eventType = f.text("eventType", { min: 1, max: 256, pattern: EVENT_NAME });
    const channels = f.names("channels", { nullable: true, maxLength: MAX_CHANNEL_LENGTH, pattern: CHANNEL });
    const payload = f.object("payload");
    f.done();
    const result = await svix.webhooks.simulate(code, {
      method: "POST",
      url: endpoint.url,
      // The handler gets it parsed, so nothing more is lost by printing it again.
      payload: JSON.stringify(payload),
      eventType,
      channels,
      variables: endpoint.transformation?.variables ?? {},
      parameters: null,
    });
    if (result.kind === "failed") throw invalid(["body", "code"], result.reason);
    const { url, payload: sent, method, cancel } = result.output;
    return { url, payload: sent, method, cancel };
  });
};

function readPatch(body: unknown): Partial<Pick<Transformation, "code" | "enabled" | "variables">> {
  const f = fields(body);
  const patch = {
    ...(f.has("code") && { code: f.text("code", { ...CODE_RULE, nullable: true }) }),
    ...(f.has("enabled") && { enabled: f.boolean("enabled") }),
    ...(f.has("variables") && {
      variables: f.textMap("variables", { nullable: true, maxBytes: MAX_VARIABLES_BYTES }),
    }),
  };
  f.done();
  return patch;
}
