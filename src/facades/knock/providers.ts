/**
 * What Knock's components for Slack and Teams ask: whether an object has a token, and to forget it. This server talks to
 * neither service yet, so a token that is there is reported as one that does not work, and channels are not listed.
 */
import type { FastifyInstance, FastifyRequest } from "fastify";
import type { PartyRef } from "../../engine/workflow/model.ts";
import { isObject, type JsonObject } from "../../lib/json.ts";
import { callerOf, client, environmentOf, requireObject } from "./auth.ts";
import { findChannel } from "./channel-data.ts";
import { invalid, KnockError } from "./errors.ts";
import type { Capability } from "./grants.ts";
import type { Knock } from "./knock.ts";
import { channelInvalid } from "./party-requests.ts";
import { queryOf } from "./query.ts";

interface Provider {
  readonly path: string;
  readonly capability: Capability;
  /** The parameter that names the object. */
  readonly parameter: string;
  /** The field of the object's channel data in which the grant is kept. */
  readonly field: string;
  /** Told word for word: the vendor's component looks for this very text. */
  readonly unset: string;
}

const PROVIDERS: readonly Provider[] = [
  {
    path: "/providers/slack/:channel_id",
    capability: "slack/channels_read",
    parameter: "access_token_object",
    field: "token",
    unset: "Access token not set.",
  },
  {
    path: "/providers/ms-teams/:channel_id",
    capability: "ms_teams/channels_read",
    parameter: "ms_teams_tenant_object",
    field: "ms_teams_tenant_id",
    unset: "Microsoft Teams tenant ID not set.",
  },
];

const NOT_REACHED = "This server does not talk to the provider yet";

export function providerRoutes(scope: FastifyInstance, { engine }: Knock): void {
  const { parties, channels } = engine.workflows;

  /** The id of the channel of the path, however that names it. @throws KnockError 422. */
  const channelOf = async (request: FastifyRequest): Promise<string> => {
    const { channel_id: name } = request.params as { channel_id: string };
    const channel = findChannel(await channels(environmentOf(request).id), name);
    if (channel === undefined) throw channelInvalid("channel_id", name);
    return channel.id;
  };

  for (const { path, capability, parameter, field, unset } of PROVIDERS) {
    /** @throws KnockError 422 without the parameter, 403 where the caller's token does not reach the object. */
    const objectOf = (request: FastifyRequest): PartyRef => {
      const party = queryOf(request).party(parameter);
      if (party === undefined) throw invalid(parameter, "is required", "required");
      requireObject(callerOf(request), party, capability);
      return party;
    };

    scope.get(`${path}/auth_check`, client(capability), async (request) => {
      const object = objectOf(request);
      const channelId = await channelOf(request);
      const document = await parties.document(environmentOf(request).id, object, "channel", channelId);
      if (!isGranted(document?.body[field])) throw new KnockError("authorization", 403, unset);
      return { connection: { ok: false, reason: NOT_REACHED, error: NOT_REACHED } };
    });

    scope.put(`${path}/revoke_access`, client(capability), async (request, reply) => {
      const object = objectOf(request);
      const channelId = await channelOf(request);
      const now = engine.clock.now();
      await parties.modifyDocument(environmentOf(request).id, object, "channel", channelId, now, (old) => {
        if (old === null) return null;
        const { [field]: _, ...rest } = old;
        return rest;
      });
      return reply.type("application/json; charset=utf-8").send('"ok"');
    });
  }
}

function isGranted(value: JsonObject[string]): boolean {
  if (isObject(value)) return typeof value.access_token === "string" && value.access_token !== "";
  return typeof value === "string" && value !== "";
}
