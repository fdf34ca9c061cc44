/** `POST /send`: the way in of nearly every notification. */
import type { Engine } from "../../engine/engine.ts";
import type { RequestId, SendSpec } from "../../engine/model.ts";
import type { ContentLanguage, StoredAnswer } from "../../engine/ports.ts";
import { Refusal } from "../../engine/refusal.ts";
import { bodyOf } from "../../http/body.ts";
import { Lru } from "../../lib/lru.ts";
import { requireSecret } from "./auth.ts";
import type { Routes } from "./courier.ts";
import { under } from "./errors.ts";
import { idempotencyOf } from "./idempotency.ts";
import { toCourierId } from "./ids.ts";
import { SendBody } from "./send-schema.ts";
import { translateSend } from "./send-translate.ts";

const readBody = bodyOf(SendBody);

/** Contents known to be sound, by their text. Most senders repeat a few; larger ones are checked every time. */
const MAX_KNOWN_CONTENTS = 2_000;
const MAX_KNOWN_CHARS = 8_192;

export const sendRoutes: Routes = (app, { engine }) => {
  const checkContent = contentCheck(engine);

  app.post("/send", { config: { idempotency: "own" } }, async (request, reply) => {
    const { environment, mode } = requireSecret(request);
    const now = engine.clock.now();
    const spec = translateSend(readBody(request.body).message, mode, now);
    checkContent(spec.content);
    const answer = await engine.send(environment.id, spec, idempotencyOf(request, now), accepted);
    return reply.code(answer.status).type("application/json; charset=utf-8").send(answer.body);
  });
};

function accepted(requestId: RequestId): StoredAnswer {
  return { status: 202, body: `{"requestId":"${toCourierId(requestId)}"}` };
}

/**
 * A request is planned after its answer if it has many recipients, so that faulty content has to be found before.
 * @returns a function that throws Refusal("invalid") naming the element at fault.
 */
function contentCheck(engine: Engine): (content: SendSpec["content"]) => void {
  const known = new Lru<string, true>(MAX_KNOWN_CONTENTS);
  return (content) => {
    if (content.kind !== "inline") return;
    const text = JSON.stringify(content.source);
    if (known.get(text)) return;
    // Wired by app.ts together with the engine.
    const language = engine.languages.get(content.language) as ContentLanguage;
    try {
      language.compile(content.source);
    } catch (error) {
      throw error instanceof Refusal ? under("message", error) : error;
    }
    if (text.length <= MAX_KNOWN_CHARS) known.set(text, true);
  };
}
