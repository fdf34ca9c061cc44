/** Every kind of provider there is, as data. A new one is an entry here and, if it is a real one, a file beside it. */
import type { ProviderKindName } from "../engine/model.ts";
import type { CaptureStore, ProviderKind, SettingField } from "../engine/ports.ts";
import type { Clock } from "../lib/clock.ts";
import { chatAddress, emailAddress, pushAddress, smsAddress, webhookAddress } from "./addresses.ts";
import { type CapturedChannel, openCapture } from "./capture.ts";
import { lateSender, type Outbound } from "./late.ts";
import type { NetworkGuard } from "./network-guard.ts";
import { type DescribePush, openWebPush, webPushAddress } from "./push/web-push.ts";
import { openWebhook } from "./webhook/webhook.ts";

export interface ChannelDeps {
  readonly guard: NetworkGuard;
  readonly http: Outbound;
  readonly captured: CaptureStore;
  readonly clock: Clock;
  /** Spells web pushes as the service workers of the pages read them. */
  readonly describePush: DescribePush;
}

/** @returns the kinds by key, in the order in which a catalogue lists them. */
export function providerKinds(deps: ChannelDeps): ReadonlyMap<ProviderKindName, ProviderKind> {
  const addressOn: { readonly [channel in CapturedChannel]: ProviderKind["address"] } = {
    email: emailAddress,
    sms: smsAddress,
    push: (profile, { tokens }) => pushAddress(profile, tokens, deps.clock.now()),
    chat: chatAddress,
  };
  const capture = (channel: CapturedChannel, name: string, settings: ProviderKind["settings"]): ProviderKind => ({
    provider: `capture-${channel}`,
    channel,
    name,
    description: "Keeps what would have been sent, for looking at it; sends nothing.",
    settings,
    address: addressOn[channel],
    open: (provider) => openCapture(channel, provider, deps),
  });

  const kinds: readonly ProviderKind[] = [
    {
      provider: "courier",
      channel: "inbox",
      name: "Inbox",
      description: "The in-app inbox of a user.",
      settings: {},
      address: (_, { userId }) => (userId === null ? null : {}),
      open: null,
    },
    {
      provider: "smtp",
      channel: "email",
      name: "SMTP",
      description: "Sends email through an SMTP server.",
      settings: SMTP_SETTINGS,
      address: addressOn.email,
      open: (provider) => lateSender(async () => (await import("./email/smtp.ts")).openSmtp(provider, deps)),
    },
    {
      provider: "webhook",
      channel: "webhook",
      name: "Webhook",
      description: "Posts messages as JSON to the recipient's own webhook, or to one for everybody.",
      settings: WEBHOOK_SETTINGS,
      address: (profile, { settings }) => webhookAddress(profile, settings),
      open: (provider) => openWebhook(provider, deps),
    },
    {
      provider: "web-push",
      channel: "push",
      name: "Web push",
      description: "Pushes to browsers, through the push services that they subscribed at.",
      settings: WEB_PUSH_SETTINGS,
      address: (_, { tokens }) => webPushAddress(tokens, deps.clock.now()),
      open: (provider) => openWebPush(provider, deps),
    },
    capture("email", "Captured email", { from: optional("Sender to note with what is kept.") }),
    capture("sms", "Captured SMS", { from: optional("Sender to note with what is kept.") }),
    capture("push", "Captured push", {}),
    capture("chat", "Captured chat", {}),
  ];
  return new Map(kinds.map((kind) => [kind.provider, kind]));
}

const SMTP_SETTINGS: ProviderKind["settings"] = {
  host: { type: "string", required: true, description: "Host name or address of the server." },
  port: { type: "number", required: false, description: "465 with `secure`, else 587, when left out." },
  secure: { type: "boolean", required: false, description: "TLS from the first byte." },
  starttls: {
    type: "enum",
    required: false,
    values: ["opportunistic", "required", "off"],
    description: "Whether to change to TLS after the greeting: when the server offers it, always, or never.",
  },
  username: optional("Left out: no login."),
  password: { ...optional("Of the login."), secret: true },
  from: { type: "string", required: true, description: "Sender, as `you@example.com` or `Name <you@example.com>`." },
  reply_to: optional("Where answers are to go."),
  cc: optional("Gets a copy of every mail."),
  bcc: optional("Gets a copy of every mail, unseen by the others."),
};

const WEBHOOK_SETTINGS: ProviderKind["settings"] = {
  url: optional("Where to post the messages of recipients who have no webhook of their own."),
  method: { type: "enum", required: false, values: ["POST", "PUT"], description: "POST when left out." },
  authentication: {
    type: "enum",
    required: false,
    values: ["none", "basic", "bearer"],
    description: "How to log in at `url`.",
  },
  username: optional("For basic authentication."),
  password: { ...optional("For basic authentication."), secret: true },
  token: { ...optional("For bearer authentication."), secret: true },
};

const WEB_PUSH_SETTINGS: ProviderKind["settings"] = {
  vapid_public_key: {
    type: "string",
    required: true,
    description: "What browsers subscribe with, 65 bytes in base64url. Another one makes them subscribe anew.",
  },
  vapid_private_key: {
    type: "string",
    required: true,
    secret: true,
    description: "The key that belongs to it, 32 bytes in base64url.",
  },
  subject: {
    type: "string",
    required: true,
    description: "Whom a push service may ask: `mailto:you@example.com` or an https address.",
  },
};

function optional(description: string): SettingField {
  return { type: "string", required: false, description };
}
