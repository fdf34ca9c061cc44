/** Our hub with the Courier dialect, told of events directly: what one event costs on its way to many sockets. */
import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { startBenchHub } from "./hub-server.ts";

const http = createServer();
const hub = startBenchHub(http);
await new Promise<void>((ready) => http.listen(0, "127.0.0.1", ready));

process.on("message", async (ask: { kind: "start" } | { kind: "send"; times: number }) => {
  if (ask.kind === "start") {
    process.send?.({ url: `ws://127.0.0.1:${(http.address() as AddressInfo).port}` });
    return;
  }
  const at = Date.now();
  for (let i = 0; i < ask.times; i++) {
    hub.tell(i);
    await new Promise((turn) => setImmediate(turn));
  }
  process.send?.({ at });
});
