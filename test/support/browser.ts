/** A real Chromium for journeys that end in a page. */
import { existsSync } from "node:fs";
import { type Browser, type BrowserContext, chromium } from "playwright-core";

const EXECUTABLE = "/usr/bin/chromium";
const FLAGS = [
  "--no-sandbox",
  "--disable-gpu",
  "--no-first-run",
  "--disable-background-networking",
  "--disable-component-update",
  "--disable-sync",
  // A page that asks for a host we do not serve gets nothing, from anyone: the request is still seen by `watchHosts`.
  "--host-resolver-rules=MAP * ~NOTFOUND, EXCLUDE 127.0.0.1, EXCLUDE localhost",
];

/**
 * For the `skip` option of a test: why it cannot run here, or false. Never a reason when `CARILLON_TEST_REQUIRE`
 * names `chromium`: the test then runs, and fails for want of it.
 */
export function chromiumMissing(): string | false {
  const required = (process.env.CARILLON_TEST_REQUIRE ?? "").split(",").some((name) => name.trim() === "chromium");
  return required || existsSync(EXECUTABLE) ? false : `needs Chromium at ${EXECUTABLE}`;
}

/** Headless, with a profile of its own that is thrown away when it is closed. Rejects when Chromium is not installed. */
export function launchBrowser(): Promise<Browser> {
  return chromium.launch({ executablePath: EXECUTABLE, headless: true, args: FLAGS });
}

/**
 * Collects every host that any page of the context asks for anything, sockets included.
 * @returns a set that goes on growing; `host:port`.
 */
export function watchHosts(context: BrowserContext): ReadonlySet<string> {
  const hosts = new Set<string>();
  const add = (url: string): void => {
    const { protocol, host } = new URL(url);
    if (["http:", "https:", "ws:", "wss:"].includes(protocol)) hosts.add(host);
  };
  context.on("request", (request) => add(request.url()));
  context.on("page", (page) => page.on("websocket", (socket) => add(socket.url())));
  return hosts;
}
