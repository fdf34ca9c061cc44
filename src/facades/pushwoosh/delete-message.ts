/** Taking back what was sent. */
import type { EnvironmentId, RequestId } from "../../engine/model.ts";
import type { Call } from "./call.ts";
import { invalid } from "./errors.ts";
import { codeOf, idsOfCode } from "./ids.ts";
import { FACADE } from "./message-views.ts";
import type { Method, World } from "./pushwoosh.ts";

/** A code leaves 48 bits open; a handful of requests that share all the others is out of this world. */
const MAX_SHARING_A_CODE = 10;

export const deleteMessageMethods: readonly Method[] = [
  { name: "deleteMessage", access: "server", run: deleteMessage },
];

async function deleteMessage(call: Call, world: World): Promise<null> {
  const code = call.required("message");
  const id = await requestOf(code, call.environment.id, world);
  const taken = id !== null && (await world.engine.recall(call.environment.id, id, FACADE));
  if (!taken) throw invalid("message", "There is no such message");
  return null;
}

async function requestOf(code: string, environmentId: EnvironmentId, { engine }: World): Promise<RequestId | null> {
  const ids = idsOfCode(code);
  if (ids === null) return null;
  const found = await engine.recalls.requests(environmentId, ids.from, ids.to, MAX_SHARING_A_CODE);
  const request = found.find(({ id, spec }) => spec.via === FACADE && codeOf(id) === code.toUpperCase());
  return request?.id ?? null;
}
