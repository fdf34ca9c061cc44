/** Fastify that reads a JSON body and answers with the bytes it was given. */
import fastify from "fastify";

const app = fastify();
process.once("message", async ({ text }: { text: string }) => {
  app.post("/", (_request, reply) => {
    reply.type("application/json; charset=utf-8").send(text);
  });
  process.send?.({ url: await app.listen({ port: 0, host: "127.0.0.1" }) });
});
