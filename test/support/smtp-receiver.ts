/** A mail server of somebody else's: keeps what it got, and answers or misbehaves as told. */
import type { AddressInfo } from "node:net";
import { SMTPServer } from "smtp-server";

export interface ReceivedMail {
  /** Envelope: who the mail really goes to, Bcc included. */
  readonly from: string;
  readonly to: readonly string[];
  /** Names in lower case, values unfolded and decoded; of a header given several times, the last. */
  readonly headers: { readonly [name: string]: string };
  readonly subject: string;
  /** First part of each type, `""` when there is none. */
  readonly text: string;
  readonly html: string;
  readonly attachments: readonly {
    readonly filename: string;
    readonly contentType: string;
    readonly content: Buffer;
  }[];
  readonly raw: string;
  /** User name of the session, null without a login. */
  readonly user: string | null;
}

export type SmtpCommand = "connect" | "auth" | "mail" | "rcpt" | "data";
/** A reply code, cutting the connection, or silence. For `rcpt` and `mail` a function may look at the address. */
export type SmtpReply = "ok" | number | "drop" | "hang" | ((address: string) => "ok" | number);

export interface SmtpReceiver {
  readonly host: "127.0.0.1";
  readonly port: number;
  /** Mails that were answered with 250. */
  readonly mails: readonly ReceivedMail[];
  /** How often each command came, refused ones included. */
  readonly seen: { readonly [command in SmtpCommand]: number };
  /** Each reply is used once, in order; the last one stays. Everything begins with `ok`. */
  answer(command: SmtpCommand, ...replies: [SmtpReply, ...SmtpReply[]]): void;
  /** Resolves with the first `n` mails once they have come; rejects after `withinMs`. */
  received(n: number, withinMs?: number): Promise<readonly ReceivedMail[]>;
  /** Resolves when the command has come `n` times in all, whatever the reply. */
  commanded(command: SmtpCommand, n: number): Promise<void>;
  close(): Promise<void>;
}

export async function smtpReceiver(
  options: { readonly login?: { readonly username: string; readonly password: string } } = {},
): Promise<SmtpReceiver> {
  const mails: ReceivedMail[] = [];
  const waiters = new Set<() => void>();
  const seen = { connect: 0, auth: 0, mail: 0, rcpt: 0, data: 0 };
  const replies: { [command in SmtpCommand]: SmtpReply[] } = {
    connect: ["ok"],
    auth: ["ok"],
    mail: ["ok"],
    rcpt: ["ok"],
    data: ["ok"],
  };
  const look = (): void => {
    for (const waiter of [...waiters]) waiter();
  };
  const sockets = new Map<string, () => void>();

  /** Answers one command, or leaves it without an answer. */
  const decide = (command: SmtpCommand, sessionId: string, address: string, done: (error?: Error) => void): void => {
    seen[command]++;
    const queue = replies[command];
    const next = (queue.length > 1 ? queue.shift() : queue[0]) as SmtpReply;
    const reply = typeof next === "function" ? next(address) : next;
    if (reply === "drop") sockets.get(sessionId)?.();
    else if (reply === "ok") done();
    else if (reply !== "hang") done(Object.assign(new Error("as told"), { responseCode: reply }));
    look();
  };

  const server = new SMTPServer({
    authOptional: options.login === undefined,
    allowInsecureAuth: true,
    disabledCommands: options.login === undefined ? ["AUTH", "STARTTLS"] : ["STARTTLS"],
    disableReverseLookup: true,
    closeTimeout: 1,
    onConnect(session, callback) {
      const connection = [...server.connections].find((c) => c.session.id === session.id);
      sockets.set(session.id, () => connection?._socket.destroy());
      decide("connect", session.id, session.remoteAddress, callback);
    },
    onClose(session) {
      sockets.delete(session.id);
    },
    onAuth(auth, session, callback) {
      decide("auth", session.id, auth.username ?? "", (error) => {
        const { login } = options;
        if (error) callback(error);
        else if (auth.username === login?.username && auth.password === login?.password) {
          callback(null, { user: auth.username });
        } else callback(Object.assign(new Error("unknown user or password"), { responseCode: 535 }));
      });
    },
    onMailFrom(address, session, callback) {
      decide("mail", session.id, address.address, callback);
    },
    onRcptTo(address, session, callback) {
      decide("rcpt", session.id, address.address, callback);
    },
    onData(stream, session, callback) {
      const chunks: Buffer[] = [];
      stream.on("data", (chunk: Buffer) => chunks.push(chunk));
      stream.on("end", () => {
        decide("data", session.id, "", (error) => {
          if (error === undefined) {
            const from = session.envelope.mailFrom;
            mails.push({
              from: from ? from.address : "",
              to: session.envelope.rcptTo.map((to) => to.address),
              ...parseMail(Buffer.concat(chunks).toString("latin1")),
              user: typeof session.user === "string" ? session.user : null,
            });
          }
          callback(error);
        });
      });
    },
  });
  // Clients that hang up in the middle are what these tests are about.
  server.on("error", () => {});
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  const { port } = server.server.address() as AddressInfo;

  const until = (what: string, met: () => boolean, withinMs: number): Promise<void> =>
    new Promise((resolve, reject) => {
      const timer = setTimeout(() => {
        waiters.delete(waiter);
        reject(new Error(`expected ${what} within ${withinMs} ms; got ${mails.length} mails, ${JSON.stringify(seen)}`));
      }, withinMs);
      const waiter = (): void => {
        if (!met()) return;
        clearTimeout(timer);
        waiters.delete(waiter);
        resolve();
      };
      waiters.add(waiter);
      waiter();
    });

  return {
    host: "127.0.0.1",
    port,
    mails,
    seen,
    answer(command, ...next) {
      replies[command] = next;
    },
    async received(n, withinMs = 10_000) {
      await until(`${n} mails`, () => mails.length >= n, withinMs);
      return mails.slice(0, n);
    },
    commanded(command, n) {
      return until(`${n} × ${command}`, () => seen[command] >= n, 10_000);
    },
    close() {
      return new Promise((resolve) => {
        for (const cut of [...sockets.values()]) cut();
        server.close(() => resolve());
      });
    },
  };
}

// ——— reading a mail ——————————————————————————————————————————————————————————————————————————————————————————————

type Parsed = Omit<ReceivedMail, "from" | "to" | "user">;

function parseMail(raw: string): Parsed {
  const { headers } = split(raw);
  const found = { text: [] as string[], html: [] as string[], attachments: [] as Parsed["attachments"][number][] };
  walk(raw, found);
  return {
    headers,
    subject: headers.subject ?? "",
    text: found.text[0] ?? "",
    html: found.html[0] ?? "",
    attachments: found.attachments,
    raw,
  };
}

function walk(
  part: string,
  found: { text: string[]; html: string[]; attachments: Parsed["attachments"][number][] },
): void {
  const { headers, body } = split(part);
  const type = headers["content-type"] ?? "text/plain";
  const boundary = parameter(type, "boundary");
  if (boundary !== undefined) {
    // The pieces before the first and after the last delimiter are no parts.
    const pieces = `\r\n${body}`.split(`\r\n--${boundary}`).slice(1, -1);
    for (const piece of pieces) walk(piece.replace(/^[ \t]*\r\n/, ""), found);
    return;
  }
  const content = decode(body, headers["content-transfer-encoding"] ?? "7bit");
  const disposition = headers["content-disposition"] ?? "";
  if (/^attachment/i.test(disposition)) {
    found.attachments.push({
      filename: parameter(disposition, "filename") ?? "",
      contentType: (type.split(";")[0] as string).trim(),
      content,
    });
  } else if (/^text\/html/i.test(type)) found.html.push(content.toString());
  else found.text.push(content.toString());
}

function split(part: string): { headers: { [name: string]: string }; body: string } {
  const end = part.indexOf("\r\n\r\n");
  const head = end === -1 ? part : part.slice(0, end);
  const headers: { [name: string]: string } = {};
  for (const line of head.replace(/\r\n[ \t]+/g, " ").split("\r\n")) {
    const colon = line.indexOf(":");
    if (colon > 0) headers[line.slice(0, colon).toLowerCase()] = decodeWords(line.slice(colon + 1).trim());
  }
  return { headers, body: end === -1 ? "" : part.slice(end + 4) };
}

function decode(body: string, encoding: string): Buffer {
  if (/base64/i.test(encoding)) return Buffer.from(body, "base64");
  if (/quoted-printable/i.test(encoding)) return unquote(body.replace(/=[ \t]*\r\n/g, ""));
  return Buffer.from(body, "latin1");
}

/** Encoded words of RFC 2047; the white space between two of them does not count. */
function decodeWords(value: string): string {
  return value.replace(/\?=\s+=\?/g, "?==?").replace(/(?:=\?[^?]+\?[BQ]\?[^?]*\?=)+/gi, (run) =>
    // A character may be cut in two at the border of two words, so the bytes are put together first.
    Buffer.concat(
      [...run.matchAll(/=\?[^?]+\?([BQ])\?([^?]*)\?=/gi)].map(([, kind, text]) =>
        /b/i.test(kind as string)
          ? Buffer.from(text as string, "base64")
          : unquote((text as string).replaceAll("_", " ")),
      ),
    ).toString(),
  );
}

function unquote(text: string): Buffer {
  return Buffer.from(
    text.replace(/=([0-9A-F]{2})/gi, (_, hex: string) => String.fromCharCode(Number.parseInt(hex, 16))),
    "latin1",
  );
}

/** A parameter of a header, also in the encoded form of RFC 2231 (`filename*0*=utf-8''…`). */
function parameter(header: string, name: string): string | undefined {
  const plain = new RegExp(`;\\s*${name}=(?:"([^"]*)"|([^;\\s]+))`, "i").exec(header);
  if (plain) return plain[1] ?? plain[2];
  const pieces = [...header.matchAll(new RegExp(`;\\s*${name}\\*(?:\\d+\\*?)?=([^;\\s]+)`, "gi"))].map((m) => m[1]);
  if (pieces.length === 0) return undefined;
  return decodeURIComponent(pieces.join("").replace(/^[^']*'[^']*'/, ""));
}
