/**
 * `/portal`: the page that `app-portal-access` sends an application's people to. It holds nothing secret: what it shows
 * it asks of the API with the token that its visitor brings.
 */
import type { FastifyInstance } from "fastify";
import { StaticPages } from "./static-pages.ts";

export interface PortalDeps {
  /** The built pages; those of the dashboard workspace by default. */
  readonly pages?: StaticPages;
}

/**
 * Own scripts, styles and images, and calls to this server; nothing of any other host. No word on who may frame it: it
 * is made to be embedded, and whoever frames it without a code of their own sees a visitor who is not signed in.
 */
const POLICY = [
  "default-src 'none'",
  "script-src 'self'",
  "style-src 'self'",
  "img-src 'self' data:",
  "connect-src 'self'",
  "base-uri 'none'",
  "form-action 'none'",
].join("; ");

/** Registers the page and its assets. */
export function portalRoutes(app: FastifyInstance, deps: PortalDeps = {}): void {
  const pages = deps.pages ?? new StaticPages(new URL("../../dashboard/dist/", import.meta.url));

  // A scope of its own, so that its hook touches no other path.
  app.register(async (portal) => {
    portal.addHook("onSend", async (_request, reply) => {
      if (reply.hasHeader("content-security-policy")) reply.header("content-security-policy", POLICY);
    });

    // The page finds its assets and the API relative to its own address, whatever a proxy has put in front of it, so
    // the slash at the end matters, which the router does not see.
    for (const [path, slash, elsewhere] of [
      ["/portal", true, "portal/"],
      ["/portal/login", false, "../login"],
    ] as const) {
      portal.get(path, (request, reply) => {
        const [asked = "", query] = request.url.split("?", 2);
        if (asked.endsWith("/") === slash) return pages.sendPage(request, reply, "portal", []);
        return reply.redirect(query === undefined ? elsewhere : `${elsewhere}?${query}`);
      });
    }
    portal.get<{ Params: { name: string } }>("/portal/assets/:name", (request, reply) =>
      pages.sendAsset(request, reply, request.params.name),
    );
  });
}
