/** What `carillon listen` is called with. */
import { parseArgs } from "node:util";
import { checkSecret, generateSecret } from "../engine/webhooks/signing.ts";

export const LISTEN_HELP = `carillon listen – forward an application's webhooks to an address that this machine reaches

Usage: carillon listen <url> [options]

The url may be short: 3000, localhost:3000/hooks. Every message of the application is posted to it as its endpoints
would get it, signed, once, from now on; one line is printed for each. Nothing has to reach this machine from outside.

  --server <url>     the Carillon server (CARILLON_URL, else http://127.0.0.1:4000)
  --key <key>        its secret key (CARILLON_SECRET_KEY, else SVIX_AUTH_TOKEN); others on this machine see what is
                     given here, so prefer the variable
  --app <id or uid>  whose messages (the only application; where there is none, one called listen is made)
  --events <a,b>     of these types only
  --channels <a,b>   that carry one of these channels only
  --secret <secret>  sign with this key, whsec_… or whsk_… (a new one)
  --print-bodies     print what is sent and what is answered, too
  --help             print this text
`;

export interface ListenOptions {
  /** Where to post to. */
  readonly url: string;
  /** Without a trailing slash. */
  readonly server: string;
  readonly key: string;
  /** Null: the server chooses. */
  readonly app: string | null;
  readonly events: readonly string[] | null;
  readonly channels: readonly string[] | null;
  readonly secret: string;
  readonly printBodies: boolean;
}

/** A call that cannot be meant. The message is one line. */
export class UsageError extends Error {
  override name = "UsageError";
}

const PRESET_SERVER = "http://127.0.0.1:4000";

/** @returns null when only help is wanted. @throws UsageError */
export function readListenOptions(
  args: readonly string[],
  env: { readonly [name: string]: string | undefined },
): ListenOptions | null {
  const { values, positionals } = parsed(args);
  if (values.help === true) return null;
  const [url, stray] = positionals;
  if (url === undefined) throw new UsageError("expected an address to forward to, such as http://localhost:3000/hooks");
  if (stray !== undefined) throw new UsageError(`expected one address to forward to, got ${JSON.stringify(stray)} too`);
  const key = values.key || env.CARILLON_SECRET_KEY || env.SVIX_AUTH_TOKEN || "";
  if (key === "") {
    throw new UsageError(
      "no secret key: set CARILLON_SECRET_KEY or give --key (`carillon keys` on the server prints it)",
    );
  }
  if (!/^[\x21-\x7e]+$/.test(key)) throw new UsageError("the secret key holds characters that no key has");
  const secret = values.secret ?? generateSecret("symmetric");
  const objection = checkSecret(secret);
  if (objection !== null) throw new UsageError(`--secret: ${objection}`);
  return {
    url: targetIn(url),
    server: serverIn(values.server || env.CARILLON_URL || PRESET_SERVER),
    key,
    app: values.app ?? null,
    events: namesIn("--events", values.events),
    channels: namesIn("--channels", values.channels),
    secret,
    printBodies: values["print-bodies"] === true,
  };
}

function parsed(args: readonly string[]) {
  try {
    return parseArgs({
      args: [...args],
      allowPositionals: true,
      options: {
        server: { type: "string" },
        key: { type: "string" },
        app: { type: "string" },
        events: { type: "string" },
        channels: { type: "string" },
        secret: { type: "string" },
        "print-bodies": { type: "boolean" },
        help: { type: "boolean", short: "h" },
      },
    });
  } catch (error) {
    // Only its first sentence is about what was given; the rest explains `--`.
    throw new UsageError(((error as Error).message.split(". ", 1)[0] as string).replace(/\s+/g, " "));
  }
}

/** A port, a host with or without the rest, or a whole address. */
function targetIn(given: string): string {
  const text = /^\d{1,5}$/.test(given)
    ? `http://localhost:${given}`
    : given.includes("://")
      ? given
      : `http://${given}`;
  const url = URL.parse(text);
  if (url !== null && /^https?:$/.test(url.protocol) && url.hostname !== "") {
    url.hash = "";
    return url.href;
  }
  throw new UsageError(`expected an http or https address to forward to, got ${JSON.stringify(given)}`);
}

function serverIn(given: string): string {
  const url = URL.parse(given);
  if (url !== null && /^https?:$/.test(url.protocol)) return (url.origin + url.pathname).replace(/\/+$/, "");
  throw new UsageError(`--server: expected an http or https address, got ${JSON.stringify(given)}`);
}

function namesIn(option: string, given: string | undefined): readonly string[] | null {
  if (given === undefined) return null;
  const names = given.split(",").map((name) => name.trim());
  if (names.every((name) => name !== "") && names.length <= 100) return [...new Set(names)];
  throw new UsageError(`${option}: expected up to 100 names with commas between them, got ${JSON.stringify(given)}`);
}
