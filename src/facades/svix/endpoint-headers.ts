/** Headers of one's own that an endpoint is sent with every message. */
import type { AppEndpoint } from "../../engine/webhooks/model.ts";
import { APPLICATION, applicationOf, endpointOf, may } from "./access.ts";
import { invalid, notFound } from "./errors.ts";
import { patchedHeaders, readHeaders, readHeadersPatch, showHeaders } from "./header-rules.ts";
import type { Routes } from "./svix.ts";
import { fields } from "./wire.ts";

const PATH = "/app/:app_id/endpoint/:endpoint_id/headers";
const MAX_DELETED = 1_000;

interface Params {
  readonly endpoint_id: string;
}

export const endpointHeaderRoutes: Routes = (app, svix) => {
  app.get(PATH, APPLICATION, async (request) => {
    const { caller, application } = await applicationOf(svix, request);
    const { endpoint_id } = request.params as Params;
    return showHeaders((await endpointOf(svix, caller, application, endpoint_id)).headers);
  });

  app.put(PATH, may("ManageEndpoint"), async (request, reply) => {
    const { caller, application } = await applicationOf(svix, request);
    const { id } = await endpointOf(svix, caller, application, (request.params as Params).endpoint_id);
    const headers = readWholeHeaders(request.body);
    const change = () => ({ headers });
    const updated = await svix.webhooks.endpoints.update(caller.environment.id, application.id, { id }, change, true);
    if (updated === null) throw notFound();
    return reply.code(204).send();
  });

  app.patch(PATH, may("ManageEndpoint"), async (request, reply) => {
    const { caller, application } = await applicationOf(svix, request);
    const { id } = await endpointOf(svix, caller, application, (request.params as Params).endpoint_id);
    const f = fields(request.body);
    const patch = readHeadersPatch(f, "headers");
    const deleted = f.names("deleteHeaders", { nullable: true, max: MAX_DELETED }) ?? [];
    f.done();
    const change = (endpoint: AppEndpoint) => {
      const headers = patchedHeaders(endpoint.headers, patch, deleted);
      if (headers === null) throw invalid(["body", "headers"], "Too many headers");
      return { headers };
    };
    const updated = await svix.webhooks.endpoints.update(caller.environment.id, application.id, { id }, change, true);
    if (updated === null) throw notFound();
    return reply.code(204).send();
  });
};

/** `{headers}`, all of them. @throws Invalid */
export function readWholeHeaders(body: unknown): AppEndpoint["headers"] {
  const f = fields(body);
  const headers = readHeaders(f, "headers");
  f.done();
  return headers;
}
