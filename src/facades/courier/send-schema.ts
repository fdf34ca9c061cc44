/** The shape of `POST /send`: types only. What the values must be to make sense is checked in send-translate.ts. */
import { type Static, type TSchema, Type } from "typebox";
import { AnyObject, Maybe, OneOf, RecipientPreferences } from "./wire.ts";

const text = Maybe(Type.String());
const ms = Type.Number({ minimum: 0, maximum: Number.MAX_SAFE_INTEGER });
const map = <T extends TSchema>(schema: T) => Type.Record(Type.String(), schema);
const texts = Type.Array(Type.String());

const tenantContext = Maybe(Type.Object({ tenant_id: text }));
const metadata = Maybe(Type.Object({ utm: Maybe(map(Type.Union([Type.String(), Type.Null()]))) }));

const RecipientShape = Type.Object({
  user_id: text,
  email: text,
  phone_number: text,
  locale: text,
  tenant_id: text,
  account_id: text,
  list_id: text,
  list_pattern: text,
  audience_id: text,
  include_children: Maybe(Type.Boolean()),
  context: tenantContext,
  data: Maybe(AnyObject),
  preferences: Maybe(RecipientPreferences),
  filters: Maybe(Type.Array(AnyObject, { maxItems: 100 })),
  slack: Maybe(AnyObject),
  ms_teams: Maybe(AnyObject),
  pagerduty: Maybe(AnyObject),
  webhook: Maybe(AnyObject),
});

const ChannelShape = Type.Object({
  brand_id: text,
  if: text,
  metadata,
  override: Maybe(AnyObject),
  providers: Maybe(texts),
  routing_method: Maybe(OneOf(["single", "all"])),
  timeout: Maybe(ms),
  timeouts: Maybe(Type.Object({ channel: Maybe(ms), provider: Maybe(ms) })),
});

const ProviderShape = Type.Object({
  if: text,
  metadata,
  override: Maybe(AnyObject),
  timeouts: Maybe(ms),
});

const limits = Maybe(
  Type.Object({
    message: Maybe(ms),
    escalation: Maybe(ms),
    criteria: Maybe(OneOf(["no-escalation", "delivered", "viewed", "engaged"])),
    channel: Maybe(Type.Union([ms, map(Type.Union([ms, Type.Null()]))])),
    provider: Maybe(Type.Union([ms, map(Type.Union([ms, Type.Null()]))])),
  }),
);

export const MessageShape = Type.Object({
  to: Maybe(Type.Union([RecipientShape, Type.Array(RecipientShape)])),
  template: text,
  content: Maybe(AnyObject),
  data: Maybe(AnyObject),
  brand_id: text,
  /** Nested; read by `routingOf`. */
  routing: Maybe(AnyObject),
  channels: Maybe(map(Type.Union([ChannelShape, Type.Null()]))),
  providers: Maybe(map(Type.Union([ProviderShape, Type.Null()]))),
  timeout: limits,
  timeouts: limits,
  delay: Maybe(Type.Object({ duration: Maybe(ms), until: text, timezone: text })),
  expiry: Maybe(
    Type.Object({
      expires_in: Maybe(Type.Union([Type.String(), ms])),
      expires_at: Maybe(Type.Union([Type.String(), ms])),
    }),
  ),
  metadata: Maybe(
    Type.Object({
      event: text,
      tags: Maybe(Type.Array(Type.String({ maxLength: 30 }), { maxItems: 9 })),
      trace_id: text,
      utm: Maybe(map(Type.Union([Type.String(), Type.Null()]))),
    }),
  ),
  preferences: Maybe(Type.Object({ subscription_topic_id: text })),
  context: tenantContext,
});

export const SendBody = Type.Object({ message: MessageShape });

export type CourierMessage = Static<typeof MessageShape>;
export type CourierRecipient = Static<typeof RecipientShape>;
export type CourierChannel = Static<typeof ChannelShape>;
export type CourierProvider = Static<typeof ProviderShape>;
