/** What was found out of a token is forgotten with its end, whenever it was found out. */
import assert from "node:assert/strict";
import { test } from "node:test";
import type { DocumentStore } from "../../../src/engine/ports.ts";
import { AccessTokens } from "../../../src/facades/svix/tokens.ts";
import { newId } from "../../../src/lib/ids.ts";
import { forEachSvix } from "./svix-target.ts";

const HOUR_MS = 3_600_000;

forEachSvix((name, open) => {
  test(`${name}: a token that is looked up while it is ended is not held to be good afterwards`, async () => {
    const { environment, clock, app } = await open();
    const { documents } = app.store;
    let between: (() => Promise<void>) | null = null;
    const after = async <T>(found: Promise<T>): Promise<T> => {
      const read = await found;
      const act = between;
      between = null;
      await act?.();
      return read;
    };
    const racing: DocumentStore = {
      ...documents,
      read: (...asked) => after(documents.read(...asked)),
      readMany: (...asked) => after(documents.readMany(...asked)),
    };
    const tokens = new AccessTokens({ documents: racing, clock });
    const appId = newId("app", clock.now());
    const expiresAt = clock.now() + HOUR_MS;
    const grant = { appId, capabilities: null, featureFlags: [], sessionId: null, expiresAt };
    const ends: ((text: string, id: `tok_${string}`) => Promise<void>)[] = [
      (text, id) => tokens.endPortal(environment.id, appId, id, text),
      () => tokens.endAll(environment.id, appId, null, clock.now()),
    ];
    for (const end of ends) {
      const { token } = await tokens.openPortal(environment, grant);
      const granted = await new AccessTokens({ documents, clock }).find(environment, token);
      assert.ok(granted !== null);
      between = () => end(token, granted.id);
      // This call began before the end, and may be answered as it was then.
      await tokens.find(environment, token);
      assert.equal(await tokens.find(environment, token), null);
    }

    const holder = { kind: "integration", appId, id: newId("itg", clock.now()), featureFlags: [] } as const;
    const { text } = await tokens.rotate(environment, holder);
    between = () => tokens.drop(environment.id, holder);
    await tokens.find(environment, text);
    assert.equal(await tokens.find(environment, text), null);

    const signed = { hash: "a-hash", appId, issuedAt: clock.now(), expiresAt };
    between = () => tokens.endSigned(environment.id, signed);
    await tokens.isEnded(environment.id, signed);
    assert.equal(await tokens.isEnded(environment.id, signed), true);
  });
});
