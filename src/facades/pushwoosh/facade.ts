/** All that this vendor's clients call: `POST /json/1.3/{method}`. */
import type { FastifyInstance, FastifyReply, FastifyRequest } from "fastify";
import { letIn } from "./access.ts";
import { addBodies, requestIn } from "./body.ts";
import { configMethods } from "./config.ts";
import { createMessageMethods } from "./create-message.ts";
import { deleteMessageMethods } from "./delete-message.ts";
import { deviceMethods } from "./devices.ts";
import { answerError, CallError, envelope } from "./errors.ts";
import { eventMethods } from "./events.ts";
import { inboxMethods } from "./inbox.ts";
import { notImplementedMethods } from "./not-implemented.ts";
import { type Method, type Pushwoosh, Ready, type World } from "./pushwoosh.ts";
import { Settings } from "./settings.ts";
import { tagMethods } from "./tags.ts";
import { userMethods } from "./users.ts";

const API = "/json/1.3";
const JSON_TYPE = "application/json; charset=utf-8";

/** Every method there is, with a state of its own. */
export function pushwooshMethods(): readonly Method[] {
  return [
    ...configMethods,
    ...inboxMethods(),
    ...deviceMethods,
    ...userMethods,
    ...tagMethods,
    ...eventMethods,
    ...createMessageMethods(),
    ...deleteMessageMethods,
    ...notImplementedMethods,
  ];
}

/**
 * Registers the facade in scopes of its own: its hooks and error shapes reach none of the server's other paths.
 * @param more methods beyond those of this file, for tests.
 */
export function pushwooshFacade(app: FastifyInstance, pushwoosh: Pushwoosh, more: readonly Method[] = []): void {
  const { engine, bus, clock } = pushwoosh;
  const world: World = { ...pushwoosh, settings: new Settings(engine.documents, bus, clock) };
  const methods = [...pushwooshMethods(), ...more];
  app.register(
    async (scope) => {
      open(scope, world, methods, "/");
      scope.setNotFoundHandler((request) => {
        const name = (request.url.split("?", 1)[0] as string).slice(API.length + 1, API.length + 101);
        throw new CallError(404, `There is no method ${name}`);
      });
    },
    { prefix: API },
  );
  // Clients put the address together from what they are given, and not everybody ends it with a slash.
  app.register(async (scope) => open(scope, world, methods, API));
}

function open(scope: FastifyInstance, world: World, methods: readonly Method[], before: string): void {
  addBodies(scope);
  scope.setErrorHandler((error, request, reply) => answerError(world.log, error, request, reply, null));
  for (const method of methods) {
    const options = method.maxBodyBytes === undefined ? {} : { bodyLimit: method.maxBodyBytes };
    scope.post(before + method.name, options, (request, reply) => answer(method, request, reply, world));
  }
}

async function answer(
  method: Method,
  request: FastifyRequest,
  reply: FastifyReply,
  world: World,
): Promise<FastifyReply> {
  const fields = requestIn(request.body);
  try {
    const call = await letIn(fields, request.headers.authorization, method.access, world);
    const response = await method.run(call, world);
    return reply.type(JSON_TYPE).send(response instanceof Ready ? response.body : envelope(response));
  } catch (error) {
    answerError(world.log, error, request, reply, method.refused ?? null);
    return reply;
  }
}
