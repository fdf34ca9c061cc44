/**
 * GraphQL over HTTP for Courier's browsers and phones, on `/q` and `/client/q` alike. Their SDKs look at the HTTP status
 * and at nothing else, so an operation of which nothing succeeded must not be answered with 200.
 */
import type { FastifyReply, FastifyRequest } from "fastify";
import type { Routes } from "./courier.ts";
import type { GraphqlOperations } from "./graphql-operation.ts";

const MAX_BODY_BYTES = 256 * 1024;

export const graphqlRoutes: Routes = (app, courier) => {
  // graphql-js and the schema: 10 MB that a server need not hold as long as nobody looks into an inbox.
  let loaded: Promise<GraphqlOperations> | null = null;
  const operations = (): Promise<GraphqlOperations> => {
    loaded ??= import("./graphql-operation.ts").then(({ graphqlOperations }) => graphqlOperations(courier));
    return loaded;
  };
  const options = {
    config: { access: "public" as const },
    bodyLimit: MAX_BODY_BYTES,
    errorHandler: async (error: unknown, request: FastifyRequest, reply: FastifyReply) =>
      (await operations()).answerError(error, request, reply),
  };
  for (const path of ["/q", "/client/q"]) {
    app.post(path, options, async (request, reply) => (await operations()).answer(request, reply));
  }
};
