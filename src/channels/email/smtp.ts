import { createTransport } from "nodemailer";
import type SMTPPool from "nodemailer/lib/smtp-pool";
import type { Outcome, Provider } from "../../engine/model.ts";
import type { Sender } from "../../engine/ports.ts";
import { Refusal } from "../../engine/refusal.ts";
import type { Millis } from "../../lib/clock.ts";
import type { JsonObject } from "../../lib/json.ts";
import { AddressRefused, type NetworkGuard } from "../network-guard.ts";
import { emailPayload } from "../payload.ts";
import { mailOf } from "./mail.ts";

export interface SmtpDeps {
  readonly guard: NetworkGuard;
  /** For connecting and greeting each. */
  readonly connectTimeoutMs?: Millis;
  /** Longest silence of the server afterwards. */
  readonly silenceTimeoutMs?: Millis;
}

const MAX_CONNECTIONS = 5;
/** Below the minute after which small servers hang up, so that seldom a mail meets a connection just closed. */
const IDLE_MS = 30_000;

/**
 * Sends mail through an SMTP server, over connections kept for later mails.
 *
 * The server's host goes through the same guard as any URL. Whoever holds a secret key can configure a provider, and
 * that key is handed to applications; it must not become a way to talk to the inside of the operator's network. A
 * relay on a private address therefore takes the operator's word, CARILLON_ALLOW_NETWORKS, as a webhook does.
 */
export function openSmtp(provider: Provider, deps: SmtpDeps): Sender {
  const { settings } = provider;
  const transport = createTransport(transportOptions(settings, deps));
  return {
    async send({ delivery, signal }) {
      try {
        const mail = mailOf(emailPayload(delivery, settings), delivery);
        const info = await transport.sendMail({ ...mail, signal });
        const refused = info.rejectedErrors?.find((error) => error.recipient === mail.to.address);
        if (refused !== undefined) return outcomeOfError(refused);
        return { kind: "sent", reference: { message_id: info.messageId, response: info.response } };
      } catch (error) {
        return outcomeOfError(error);
      }
    },
    async close() {
      // Whoever closes has waited as long as they would; a server that stalls must not keep the process alive.
      transport.close({ force: true });
    },
  };
}

/** Pure: whether another try can help. */
export function outcomeOfError(error: unknown): Outcome {
  if (error instanceof Refusal || error instanceof AddressRefused) return { kind: "rejected", reason: error.message };
  // nodemailer's errors carry both; anything else has neither and is worth another try.
  const {
    code,
    responseCode: statusCode,
    message,
  } = error as { code?: string; responseCode?: number; message: string };
  if (statusCode !== undefined) {
    // 503 says that the session was out of step, not that the mail was refused: a new connection may do.
    const isFinal = statusCode >= 500 && statusCode < 600 && statusCode !== 503;
    return { kind: isFinal ? "rejected" : "failed", reason: message, statusCode };
  }
  // Without an answer of the server, a bad envelope is our own verdict, and will be the same next time.
  return { kind: code === "EENVELOPE" ? "rejected" : "failed", reason: message };
}

function transportOptions(settings: JsonObject, deps: SmtpDeps): SMTPPool.Options {
  const secure = settings.secure === true;
  const host = String(settings.host);
  const port = typeof settings.port === "number" ? settings.port : secure ? 465 : 587;
  const connectTimeoutMs = deps.connectTimeoutMs ?? 10_000;
  const { username, password, starttls } = settings;
  return {
    pool: true,
    host,
    port,
    secure,
    ...(typeof username === "string" ? { auth: { user: username, pass: String(password ?? "") } } : {}),
    requireTLS: starttls === "required",
    ignoreTLS: starttls === "off",
    maxConnections: MAX_CONNECTIONS,
    // The engine retries: it knows how often, it writes each try down, and it can turn to another provider.
    maxRequeues: 0,
    idleTimeout: IDLE_MS,
    connectionTimeout: connectTimeoutMs,
    greetingTimeout: connectTimeoutMs,
    socketTimeout: deps.silenceTimeoutMs ?? 30_000,
    // Our own socket, because nodemailer would resolve the name itself and connect wherever it points.
    getSocket(_options, callback) {
      deps.guard.connect(host, port, connectTimeoutMs).then(
        (connection) => setImmediate(callback, null, { connection }),
        (error: Error) => setImmediate(callback, error),
      );
    },
  };
}
