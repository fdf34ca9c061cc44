/** Another site, on a name of its own, whose pages are built of the vendor's components as its owner would build them. */
import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { fileURLToPath } from "node:url";
import { build } from "vite";

export interface EmbeddingSite {
  /** The address of the page, to which a fragment says what it is to do (see the main.js of its folder). */
  page(what: object): string;
  readonly host: string;
  close(): Promise<void>;
}

/** @param name of the folder under journeys/ that holds the site. */
export async function embeddingSite(name: "portal-host" | "feed-host" = "portal-host"): Promise<EmbeddingSite> {
  const built = await build({
    configFile: false,
    logLevel: "error",
    root: fileURLToPath(new URL(`../journeys/${name}/`, import.meta.url)),
    // Without this the svix client fails in browsers: it asks for `process` as if there always were one.
    define: { process: "globalThis.process" },
    build: { write: false, target: "es2022", chunkSizeWarningLimit: 1_000 },
  });
  if (Array.isArray(built) || !("output" in built)) throw new Error("expected one build");
  const files = new Map(
    built.output.map((file) => [`/${file.fileName}`, file.type === "chunk" ? file.code : file.source]),
  );
  const server = createServer((request, response) => {
    const path = (request.url ?? "/").split("?", 1)[0] === "/" ? "/index.html" : (request.url ?? "");
    const type = path.endsWith(".js") ? "text/javascript" : path.endsWith(".css") ? "text/css" : "text/html";
    response.writeHead(files.has(path) ? 200 : 404, { "content-type": `${type}; charset=utf-8` });
    response.end(files.get(path));
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  // Another name than the server's under test: for the browser another site altogether.
  const host = `localhost:${(server.address() as AddressInfo).port}`;
  return {
    host,
    page: (what) => `http://${host}/#${encodeURIComponent(JSON.stringify(what))}`,
    close: () =>
      new Promise((resolve) => {
        server.close(() => resolve());
        server.closeAllConnections();
      }),
  };
}
