/** Channel steps: which channel, what it says, what it does otherwise than the channel, and when. */
import type { ChannelStep, ChannelType, SendWindow } from "../../../engine/workflow/model.ts";
import type { JsonObject } from "../../../lib/json.ts";
import { type CheckLiquid, pairs } from "./check-settings.ts";
import { given, MAX_NAME, MAX_TEXT, type Reader } from "./reader.ts";

/** What a channel step may name. */
export interface KnownChannels {
  /** Type of the channel with this key; undefined when there is none. */
  typeOf(key: string): ChannelType | undefined;
  typeOfGroup(key: string): ChannelType | undefined;
}

/** Of all text of one template, as JSON. */
const MAX_TEMPLATE_CHARS = 1_000_000;
const MAX_BLOCKS = 200;
const MAX_BUTTONS = 10;
const TIME = /^(?:[01]\d|2[0-3]):[0-5]\d(?::[0-5]\d)?$/;
const DAYS = ["monday", "tuesday", "wednesday", "thursday", "friday", "saturday", "sunday"] as const;

/** All of a channel step but what every step has. */
export function channelStep(
  s: Reader,
  channels: KnownChannels,
  checkTemplate: (type: ChannelType, template: JsonObject, step: Reader) => void,
  liquid: CheckLiquid,
): Omit<ChannelStep, "type" | "ref"> {
  const target = targetOf(s, channels);
  const t = s.inside("template");
  if (t === undefined && s.raw("template") === undefined) s.required("template");
  const type = target.type ?? "http";
  let template: JsonObject = {};
  if (t !== undefined && target.type !== undefined) {
    if (JSON.stringify(t.value).length > MAX_TEMPLATE_CHARS) {
      t.error("", `Expected at most ${MAX_TEMPLATE_CHARS} characters of JSON`, "too_long");
    } else {
      template = templateOf(type, t);
      checkTemplate(type, template, s);
    }
  }
  const o = s.inside("channel_overrides");
  return given({
    ...target.names,
    channel_type: type,
    template,
    channel_overrides: o === undefined ? undefined : overridesOf(type, o, liquid),
    send_windows: sendWindows(s),
  });
}

function targetOf(
  s: Reader,
  channels: KnownChannels,
): {
  readonly type?: ChannelType;
  readonly names: { readonly channel_key?: string; readonly channel_group_key?: string };
} {
  const key = s.filled("channel_key", MAX_NAME);
  const group = s.filled("channel_group_key", MAX_NAME);
  const said = s.filled("channel_type", MAX_NAME);
  if (said === "in_app_guide") {
    s.error("channel_type", "Guides are not sent by workflows");
    return { names: {} };
  }
  if (key !== undefined && group !== undefined) {
    s.error("channel_group_key", "Expected either channel_key or channel_group_key");
    return { names: {} };
  }
  const name = key === undefined ? "channel_group_key" : "channel_key";
  const named = key ?? group;
  if (named === undefined) {
    s.error("channel_key", "Expected channel_key or channel_group_key", "required");
    return { names: {} };
  }
  const type = key === undefined ? channels.typeOfGroup(named) : channels.typeOf(named);
  if (type === undefined) {
    s.error(
      name,
      `There is no ${key === undefined ? "channel group" : "channel"} with the key ${JSON.stringify(named)}`,
    );
    return { names: {} };
  }
  if (said !== undefined && said !== type) s.error("channel_type", `${JSON.stringify(named)} is of the type ${type}`);
  return { type, names: { [name]: named } };
}

// ——— templates ———————————————————————————————————————————————————————————————————————————————————————————————————

/**
 * The fields of a template that have a meaning, in their types; what they say is the template language's business. A field
 * that is null counts as absent.
 */
export function templateOf(type: ChannelType, t: Reader): JsonObject {
  const text = (name: string): string | undefined => t.text(name);
  switch (type) {
    case "in_app_feed":
      return given({
        markdown_body: text("markdown_body"),
        action_url: text("action_url"),
        action_buttons: t.objects("action_buttons", { max: MAX_BUTTONS }, (b) => ({
          label: b.text("label", { max: MAX_TEXT, required: true }) ?? "",
          action: b.text("action", { max: MAX_TEXT, required: true }) ?? "",
        })),
      }) as JsonObject;
    case "email":
      return given({
        settings: settingsOf(t, ["layout_key", "pre_content", "attachment_key"]),
        subject: text("subject"),
        html_body: text("html_body"),
        visual_blocks: t.objects("visual_blocks", { max: MAX_BLOCKS }, ({ value }) => value),
        text_body: text("text_body"),
        is_mjml: t.flag("is_mjml"),
      }) as JsonObject;
    case "sms":
      return given({
        text_body: text("text_body"),
        settings: settingsOf(t, ["to_number", "payload_overrides"]),
      }) as JsonObject;
    case "push":
      return given({
        title: text("title"),
        text_body: text("text_body"),
        settings: settingsOf(t, ["delivery_type", "payload_overrides"]),
      }) as JsonObject;
    case "chat":
      return given({
        markdown_body: text("markdown_body"),
        json_body: text("json_body"),
        summary: text("summary"),
      }) as JsonObject;
    case "http":
      return given({
        method: text("method"),
        url: text("url"),
        headers: pairs(t, "headers", (_reader, _name, value) => value),
        query_params: pairs(t, "query_params", (_reader, _name, value) => value),
        body: text("body"),
      }) as JsonObject;
  }
}

function settingsOf(t: Reader, names: readonly string[]): JsonObject | undefined {
  const s = t.inside("settings");
  return s === undefined ? undefined : given(Object.fromEntries(names.map((name) => [name, s.text(name)])));
}

// ——— overrides and windows ———————————————————————————————————————————————————————————————————————————————————————

const EMAIL_TEXTS = [
  "from_name",
  "from_address",
  "to_address",
  "cc_address",
  "bcc_address",
  "reply_to_address",
  "json_overrides",
] as const;
const FLAGS: { readonly [type in ChannelType]: readonly string[] } = {
  email: ["link_tracking", "open_tracking"],
  in_app_feed: ["link_tracking"],
  sms: ["link_tracking"],
  push: ["token_deregistration"],
  chat: ["link_tracking", "email_based_user_id_resolution"],
  http: [],
};

function overridesOf(type: ChannelType, o: Reader, liquid: CheckLiquid): JsonObject {
  const texts = type === "email" ? EMAIL_TEXTS : [];
  return given(
    Object.fromEntries([
      ...texts.map((name) => [name, liquid(o, name, o.filled(name))] as const),
      ...FLAGS[type].map((name) => [name, o.flag(name)] as const),
    ]),
  );
}

function sendWindows(s: Reader): readonly SendWindow[] | undefined {
  const seen = new Set<string>();
  return s.objects("send_windows", { max: DAYS.length }, (w): SendWindow => {
    const day = w.required("day") === undefined ? undefined : w.oneOf("day", DAYS);
    const type = w.required("type") === undefined ? undefined : w.oneOf("type", ["send", "do_not_send"]);
    if (day !== undefined && seen.has(day)) w.error("day", "Expected each day once");
    if (day !== undefined) seen.add(day);
    return given({ day: day ?? "monday", type: type ?? "send", from: timeOf(w, "from"), until: timeOf(w, "until") });
  });
}

function timeOf(w: Reader, name: string): string | undefined {
  const text = w.filled(name, 20);
  if (text !== undefined && !TIME.test(text)) w.error(name, "Expected a time of day such as 09:00 or 17:30:00");
  return text;
}
