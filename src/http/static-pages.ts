/** Hands out the pages that `npm run build -w dashboard` made: from memory, and nothing but those. */
import { createHash } from "node:crypto";
import { readdirSync, readFileSync } from "node:fs";
import { extname } from "node:path";
import type { FastifyReply, FastifyRequest } from "fastify";
import { Refusal } from "../engine/refusal.ts";

interface BuiltFile {
  readonly body: Buffer;
  readonly contentType: string;
  readonly etag: string;
}

interface Build {
  /** By name without `.html`. */
  readonly pages: ReadonlyMap<string, BuiltFile>;
  readonly assets: ReadonlyMap<string, BuiltFile>;
}

const CONTENT_TYPES: { readonly [extension: string]: string } = {
  ".html": "text/html; charset=utf-8",
  ".js": "text/javascript; charset=utf-8",
  ".css": "text/css; charset=utf-8",
  ".svg": "image/svg+xml",
  ".png": "image/png",
  ".woff2": "font/woff2",
};

/** The bundler puts a hash of the content into every asset's name. */
const FOR_EVER = "public, max-age=31536000, immutable";

/**
 * The built pages of one directory. They are read at the first request and kept; a build made later is picked up
 * only if there was none before, otherwise by a restart.
 */
export class StaticPages {
  readonly #directory: URL;
  #build: Build | null = null;

  /** @param directory of the build, with a slash at its end. It need not exist. */
  constructor(directory: URL) {
    this.#directory = directory;
  }

  /**
   * Answers with a page. While nothing is built the answer is a 503 whose page says how to build it.
   * @param connectTo origins beside its own that the page may send requests to.
   */
  sendPage(request: FastifyRequest, reply: FastifyReply, name: string, connectTo: readonly string[]): FastifyReply {
    secure(reply).header("content-security-policy", contentSecurityPolicy(connectTo));
    const build = this.#read();
    if (build === null) return reply.code(503).header("cache-control", "no-store").type(HTML).send(NOT_BUILT);
    const page = build.pages.get(name);
    if (page === undefined) throw new Refusal("not_found", `There is no page ${JSON.stringify(name.slice(0, 100))}`);
    return send(request, reply.header("cache-control", "no-cache"), page);
  }

  /** Answers with a script, a style sheet or an image of any page. `name` may come from the URL as it is. */
  sendAsset(request: FastifyRequest, reply: FastifyReply, name: string): FastifyReply {
    // A look-up among the names that exist: no path is ever made of what the caller wrote.
    const asset = this.#read()?.assets.get(name);
    if (asset === undefined) throw new Refusal("not_found", `There is no asset ${JSON.stringify(name.slice(0, 100))}`);
    return send(request, secure(reply).header("cache-control", FOR_EVER), asset);
  }

  #read(): Build | null {
    this.#build ??= readBuild(this.#directory);
    return this.#build;
  }
}

/** @returns null when there is no build, or not a whole one. */
function readBuild(directory: URL): Build | null {
  const assets = readFiles(new URL("assets/", directory));
  const tops = readFiles(directory);
  if (assets === null || tops === null) return null;
  const pages = [...tops].filter(([name]) => name.endsWith(".html"));
  if (pages.length === 0) return null;
  return { pages: new Map(pages.map(([name, file]) => [name.slice(0, -".html".length), file])), assets };
}

/** The files of one directory whose type is known. */
function readFiles(directory: URL): Map<string, BuiltFile> | null {
  const files = new Map<string, BuiltFile>();
  try {
    for (const entry of readdirSync(directory, { withFileTypes: true })) {
      const contentType = CONTENT_TYPES[extname(entry.name)];
      if (!entry.isFile() || contentType === undefined) continue;
      const body = readFileSync(new URL(encodeURIComponent(entry.name), directory));
      files.set(entry.name, { body, contentType, etag: `"${createHash("sha256").update(body).digest("base64url")}"` });
    }
  } catch (error) {
    // Never built, or a build is replacing it this very moment: the next request looks again.
    if ((error as NodeJS.ErrnoException).code === "ENOENT") return null;
    throw error;
  }
  return files;
}

function send(request: FastifyRequest, reply: FastifyReply, file: BuiltFile): FastifyReply {
  reply.header("etag", file.etag);
  if (request.headers["if-none-match"] === file.etag) return reply.code(304).send();
  return reply.type(file.contentType).send(file.body);
}

function secure(reply: FastifyReply): FastifyReply {
  return reply.header("x-content-type-options", "nosniff").header("referrer-policy", "no-referrer");
}

/**
 * Own scripts only, and no way to another host. Inline styles have to be allowed, because the vendors' components
 * bring their style sheets as `<style>` elements; inline scripts are not.
 */
function contentSecurityPolicy(connectTo: readonly string[]): string {
  return [
    "default-src 'none'",
    "script-src 'self'",
    "style-src 'self' 'unsafe-inline'",
    "img-src 'self' data:",
    `connect-src ${["'self'", ...connectTo].join(" ")}`,
    "frame-src 'self'",
    "frame-ancestors 'self'",
    "base-uri 'self'",
    "form-action 'none'",
  ].join("; ");
}

const HTML = "text/html; charset=utf-8";
const NOT_BUILT = `<!doctype html>
<html lang="en">
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>Not built yet</title>
<style>
  :root { color-scheme: light dark; }
  body { max-width: 40rem; margin: 15vh auto; padding: 0 1.5rem; font: 1rem/1.6 system-ui, sans-serif; }
</style>
<h1>This page has not been built yet</h1>
<p>Run this in Carillon’s directory, then reload:</p>
<pre><code>npm ci
npm run build -w dashboard</code></pre>
</html>
`;
