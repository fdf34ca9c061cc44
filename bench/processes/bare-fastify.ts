/** Fastify with the schema of `POST /send` and nothing behind it: what an accepted request costs at the least. */
import fastify from "fastify";
import { SendBody } from "../../src/facades/courier/send-schema.ts";

const app = fastify({ ajv: { customOptions: { coerceTypes: false, removeAdditional: false } } });
const answer = { type: "object", properties: { requestId: { type: "string" } } };
app.post("/send", { schema: { body: SendBody, response: { 202: answer } } }, (_request, reply) => {
  reply.code(202).send({ requestId: "1-65f240a0-47a6a120c8374de9bcf9f22a" });
});
process.once("message", async () => {
  process.send?.({ url: await app.listen({ port: 0, host: "127.0.0.1" }) });
});
