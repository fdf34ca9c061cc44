/** Tokens may be longer than an index can hold; devices are found by a digest of theirs. */
import { hash } from "node:crypto";
import { type Dialect, type Operation, run } from "./database.ts";
import { among, text, textList } from "./text.ts";

export function tokenKeyOf(token: string): string {
  return hash("sha256", token, "base64url");
}

/** Takes tokens from the devices that have them. */
export function* dropTokens(dialect: Dialect, environmentId: string, tokens: readonly string[]): Operation<void> {
  const sql = `update devices set token = null, token_key = null where env_id = ? and ${among(dialect, "token_key")}`;
  yield* run(text(dialect, sql, [environmentId, textList(dialect, tokens.map(tokenKeyOf))]));
}
