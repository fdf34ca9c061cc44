/** In which order guides are shown and how far apart, which Knock keeps in a dashboard. */
import type { FastifyInstance } from "fastify";
import Type from "typebox";
import { Refusal } from "../engine/refusal.ts";
import { bodyOf } from "../http/body.ts";
import { KNOCK_GUIDE_ORDER } from "../http/facade-documents.ts";
import type { JsonObject } from "../lib/json.ts";
import type { Admin } from "./contract.ts";

const ID = "default";
const Keys = Type.Array(Type.String({ minLength: 1, maxLength: 255 }), { maxItems: 500 });
const DAY = 86_400;

const orderBody = bodyOf(
  Type.Object({
    display_sequence: Type.Optional(Keys),
    unthrottled: Type.Optional(Keys),
    display_interval: Type.Optional(Type.Union([Type.Integer({ minimum: 0, maximum: 366 * DAY }), Type.Null()])),
  }),
);

const NOTHING: JsonObject = { display_sequence: [], unthrottled: [], display_interval: null };

export function knockGuideOrderRoutes(app: FastifyInstance, { engine: { documents, clock } }: Admin): void {
  app.get("/admin/knock/guide-order", async (request) => {
    const found = await documents.read(request.operator.environment.id, KNOCK_GUIDE_ORDER, ID);
    return { ...NOTHING, ...found?.body };
  });

  // Guides that are not named, or not there yet, do no harm: they come last.
  app.put("/admin/knock/guide-order", async (request) => {
    const body: JsonObject = { ...NOTHING, ...orderBody(request.body) };
    for (const name of ["display_sequence", "unthrottled"]) {
      const keys = body[name] as readonly string[];
      if (new Set(keys).size === keys.length) continue;
      throw new Refusal("invalid", `${name}: Expected each guide once`, { field: name });
    }
    const write = { kind: KNOCK_GUIDE_ORDER, id: ID, body, expect: "any" } as const;
    await documents.write(request.operator.environment.id, [write], clock.now());
    return body;
  });
}
