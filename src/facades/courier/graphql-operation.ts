/** One GraphQL operation of a Courier client, from its body to its answer. Loaded with the first one (graphql.ts). */
import type { FastifyReply, FastifyRequest } from "fastify";
import { type ExecutionResult, execute, GraphQLError } from "graphql";
import { Refusal } from "../../engine/refusal.ts";
import { shownBy } from "../../http/inbox-visibility.ts";
import { isObject } from "../../lib/json.ts";
import { actingUser, environmentOf } from "./auth.ts";
import type { Courier } from "./courier.ts";
import { type CourierError, toCourierError } from "./errors.ts";
import { Documents } from "./graphql-documents.ts";
import { courierSchema } from "./graphql-schema.ts";
import { MUTATIONS } from "./inbox-mutations.ts";
import { type InboxContext, PacedReads, QUERIES } from "./inbox-resolvers.ts";
import { MutationSteps } from "./mutation-steps.ts";

/** As much of it as a socket keeps of its `cid`: the two are compared. */
const MAX_SOURCE_ID_LENGTH = 512;

const SCHEMA = courierSchema<InboxContext>(QUERIES, MUTATIONS);

export interface GraphqlOperations {
  answer(request: FastifyRequest, reply: FastifyReply): Promise<FastifyReply>;
  /** Answers what went wrong before or outside of an operation. */
  answerError(error: unknown, request: FastifyRequest, reply: FastifyReply): FastifyReply;
}

export function graphqlOperations(courier: Courier): GraphqlOperations {
  const documents = new Documents(SCHEMA);
  return {
    answer: (request, reply) => answer(courier, documents, request, reply),
    answerError: (error, request, reply) => answerFailure(reply, errorOf(courier, error, request.id)),
  };
}

async function answer(
  courier: Courier,
  documents: Documents,
  request: FastifyRequest,
  reply: FastifyReply,
): Promise<FastifyReply> {
  const context = await contextOf(courier, request);
  const { query, variables, operationName } = operationIn(request.body);
  const { kind, document } = documents.prepare(query, operationName);
  const result = await execute({
    schema: kind === "query" ? SCHEMA.schema : SCHEMA.mutationsAtOnce,
    document,
    contextValue: context,
    variableValues: variables,
    operationName,
  });
  const failure = failureOf(courier, result, request.id);
  if (failure !== null) return answerFailure(reply, failure);
  return reply.send({ data: result.data, ...(result.errors ? { errors: result.errors.map(show) } : {}) });
}

async function contextOf(courier: Courier, request: FastifyRequest): Promise<InboxContext> {
  const environment = environmentOf(request);
  const userId = actingUser(request);
  const shown = shownBy("courier", await courier.visibility.of(environment.id));
  const source = request.headers["x-courier-client-source-id"];
  const origin = typeof source === "string" && source !== "" ? source.slice(0, MAX_SOURCE_ID_LENGTH) : null;
  const actor = { via: "courier", origin };
  return {
    courier,
    // `environmentOf` has refused a request without one.
    principal: request.principal as NonNullable<typeof request.principal>,
    environment,
    userId,
    actor,
    shown,
    steps: new MutationSteps(courier.engine, environment.id, userId, actor, shown),
    counts: new Map(),
    reads: new PacedReads(),
  };
}

/** @throws Refusal("invalid") */
function operationIn(body: unknown): {
  readonly query: string;
  readonly variables: { readonly [name: string]: unknown };
  readonly operationName: string | null;
} {
  if (!isObject(body) || typeof body.query !== "string") {
    throw new Refusal("invalid", "Expected a JSON object with the document in `query`", { field: "query" });
  }
  const { query, operationName = null } = body;
  if (operationName !== null && typeof operationName !== "string") {
    throw new Refusal("invalid", "Expected text", { field: "operationName" });
  }
  return { query, variables: variablesIn(body.variables), operationName: operationName || null };
}

/** iOS sends the variables as JSON inside a string. */
function variablesIn(given: unknown): { readonly [name: string]: unknown } {
  let variables = given;
  if (typeof given === "string") {
    try {
      variables = given.trim() === "" ? null : JSON.parse(given);
    } catch (error) {
      throw new Refusal("invalid", "Expected a JSON object", { field: "variables", cause: error });
    }
  }
  if (variables == null) return {};
  if (!isObject(variables)) throw new Refusal("invalid", "Expected an object", { field: "variables" });
  return variables;
}

/** Null when something succeeded: what failed is then told beside it. */
function failureOf(courier: Courier, { data, errors }: ExecutionResult, requestId: string): CourierError | null {
  if (errors === undefined || errors[0] === undefined) return null;
  if (data == null) return errorOf(courier, causeOf(errors[0]), requestId);
  // In the order of the document; errors themselves come in the order in which fields failed.
  const failures = Object.keys(data).map((field) =>
    data[field] === null ? errors.find((error) => error.path?.[0] === field) : undefined,
  );
  const [first] = failures;
  if (first !== undefined && !failures.includes(undefined)) return errorOf(courier, causeOf(first), requestId);
  for (const error of errors) errorOf(courier, causeOf(error), requestId);
  return null;
}

/** What GraphQL itself complains of (a variable of the wrong type) is the caller's mistake. */
function causeOf(error: GraphQLError): unknown {
  const { originalError } = error;
  return originalError == null || originalError instanceof GraphQLError
    ? new Refusal("invalid", error.message)
    : originalError;
}

/** Logs what is our fault. The types differ from REST where the GraphQL clients' documentation differs. */
function errorOf(courier: Courier, error: unknown, requestId: string): CourierError {
  const known = toCourierError(error);
  if (known.status === 500) courier.log.error({ err: error, requestId, route: "graphql" }, "http.failed");
  const type = TYPE_BY_STATUS[known.status] ?? known.body.type;
  return { ...known, body: { message: known.body.message, type } };
}

const TYPE_BY_STATUS: { readonly [status: number]: string } = {
  404: "not_found",
  429: "rate_limited",
  500: "internal_error",
};

function answerFailure(reply: FastifyReply, { status, headers, body }: CourierError): FastifyReply {
  return reply
    .code(status)
    .headers(headers)
    .send({ ...body, errors: [{ message: body.message }], data: null });
}

/** An error beside data that was found. Ours are not explained to the caller. */
function show(error: GraphQLError): { message: string; path: readonly (string | number)[] | undefined } {
  return { message: toCourierError(causeOf(error)).body.message, path: error.path };
}
