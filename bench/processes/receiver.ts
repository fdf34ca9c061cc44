/**
 * Takes webhooks in for the benchmark and says when it has them. Their path is `/<behaviour>/<group>/<endpoint>`:
 * `ok` is answered with a bare 204, `hang` never. Messages: `start`, `await`, `arrivals`.
 */
import { createServer } from "node:http";
import type { AddressInfo } from "node:net";

export type ReceiverQuestion =
  | { readonly kind: "start" }
  /** Answered with a `Tally` once the group has so many different webhooks. */
  | { readonly kind: "await"; readonly group: string; readonly count: number }
  /** Answered with the `Arrivals` of the group. */
  | { readonly kind: "arrivals"; readonly group: string };

export interface Tally {
  /** When the last one came, on the clock that all processes of the machine share; in milliseconds. */
  readonly at: number;
  /** How many came a second time. */
  readonly repeated: number;
}

export interface Arrivals {
  /** Message ids and when their first webhook came. */
  readonly times: readonly (readonly [string, number])[];
}

interface Group {
  /** By message and address. */
  readonly arrivals: Map<string, number>;
  lastAt: number;
  repeated: number;
  awaited: number;
}

const groups = new Map<string, Group>();

const server = createServer((request, response) => {
  const at = Number(process.hrtime.bigint()) / 1e6;
  const [, behaviour, name = "", endpoint] = (request.url ?? "").split("/");
  if (behaviour === "hang") return;
  note(group(name), `${request.headers["svix-id"]} ${endpoint}`, at);
  request.resume();
  request.on("end", () => response.writeHead(204).end());
});
// Whoever asked is gone: nobody else would end it.
process.once("disconnect", () => process.exit());
// A connection is kept as long as the sender likes, so that both sides open few.
server.keepAliveTimeout = 0;
server.requestTimeout = 0;

function group(name: string): Group {
  let found = groups.get(name);
  if (found === undefined) {
    found = { arrivals: new Map(), lastAt: 0, repeated: 0, awaited: Number.POSITIVE_INFINITY };
    groups.set(name, found);
  }
  return found;
}

function note(group: Group, webhook: string, at: number): void {
  if (group.arrivals.has(webhook)) {
    group.repeated++;
    return;
  }
  group.arrivals.set(webhook, at);
  group.lastAt = at;
  tellIfComplete(group);
}

function tellIfComplete(group: Group): void {
  if (group.arrivals.size < group.awaited) return;
  group.awaited = Number.POSITIVE_INFINITY;
  process.send?.({ at: group.lastAt, repeated: group.repeated } satisfies Tally);
}

process.on("message", (question: ReceiverQuestion) => {
  switch (question.kind) {
    case "start":
      server.listen(0, "127.0.0.1", () => {
        process.send?.({ url: `http://127.0.0.1:${(server.address() as AddressInfo).port}` });
      });
      return;
    case "await": {
      const awaited = group(question.group);
      awaited.awaited = question.count;
      tellIfComplete(awaited);
      return;
    }
    case "arrivals": {
      const times = [...group(question.group).arrivals].map(
        ([webhook, at]) => [webhook.slice(0, webhook.indexOf(" ")), at] as const,
      );
      groups.delete(question.group);
      process.send?.({ times } satisfies Arrivals);
    }
  }
});
