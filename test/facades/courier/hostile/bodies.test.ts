/** Bodies: malformed, of the wrong type anywhere, too large, too deep. On both databases, since they differ in what they take. */
import assert from "node:assert/strict";
import { after, before, describe, test } from "node:test";
import { DIALECTS } from "../../../conformance/databases.ts";
import { Complaints, type HostileServer, inParallel, startHostile } from "./hostile-server.ts";
import { ACTING_FOR_ANN, makeThings, type Things, unknownRoutes, type ValidCall, validCalls } from "./valid-calls.ts";
import { mutations, random, spoiled, VALUES } from "./values.ts";

/** What one database refuses and the other takes. */
const CORE_VALUES = Object.fromEntries(
  Object.entries(VALUES).filter(([name]) => /NUL|half|beyond all|^null/.test(name)),
);

for (const dialect of DIALECTS) {
  describe(dialect, () => {
    let server: HostileServer;
    let things: Things;
    let calls: readonly ValidCall[];
    let missing: ReadonlySet<string>;
    before(async () => {
      server = await startHostile(dialect);
      things = await makeThings(server);
      const all = validCalls(server.routes, things);
      const answers = await Promise.all(
        all.map(({ method, path }) => server.call(method, path, { body: {}, headers: ACTING_FOR_ANN })),
      );
      // A send of version 1 is refused whatever its body.
      const refused = (i: number) => answers[i]?.status === 501 || all[i]?.url === "/send/list";
      missing = new Set(all.filter((_, i) => refused(i)).map(({ method, url }) => `${method} ${url}`));
      calls = all.filter(({ method, url }) => !missing.has(`${method} ${url}`));
    });
    after(() => server.close());

    test("every route that takes a body has a valid example here, and it is valid", async () => {
      assert.deepEqual(unknownRoutes(server.routes, things, missing), []);
      assert.ok(calls.length > 30, `${calls.length} routes`);
      for (const { method, path, body, url } of calls) {
        const { status, text } = await server.decent(method, path, {
          body: JSON.stringify(body),
          headers: ACTING_FOR_ANN,
        });
        const late = url.endsWith("/cancel") && status === 409;
        const unknown = url === "/e/:id" || (url === "/notifications/:id" && status === 400);
        const unroutable = url === "/notifications" && status === 201;
        assert.ok(status < 300 || late || unknown || unroutable, `${method} ${url} → ${status} ${text.slice(0, 300)}`);
      }
    });

    test("any value in place of any field is answered decently", async () => {
      const found = new Complaints();
      const values = dialect === "sqlite" ? VALUES : CORE_VALUES;
      for (const { method, path, body } of calls) {
        await inParallel(mutations(body, values), ({ what, text }) =>
          found.collect(() => server.decent(method, path, { body: text, headers: ACTING_FOR_ANN }, what)),
        );
      }
      found.assertNone();
      assert.equal(({} as { polluted?: unknown }).polluted, undefined, "no prototype was reached");
      await stillWorks(server);
    });

    test("text that is not quite JSON is answered decently", async () => {
      const found = new Complaints();
      const roll = random(20260105);
      const rounds = dialect === "sqlite" ? 25 : 5;
      const texts = calls.flatMap((call) =>
        Array.from({ length: rounds }, () => ({ call, text: spoiled(JSON.stringify(call.body), roll) })),
      );
      await inParallel(texts, ({ call: { method, path }, text }) =>
        found.collect(() => server.decent(method, path, { body: text, headers: ACTING_FOR_ANN }, text)),
      );
      found.assertNone();
    });
  });
}

async function stillWorks(server: HostileServer): Promise<void> {
  const { status, text } = await server.decent("POST", "/send", {
    body: { message: { to: { user_id: "zoe" }, content: { title: "t", body: "b" } } },
  });
  assert.equal(status, 202, text);
}
