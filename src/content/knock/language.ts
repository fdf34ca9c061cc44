/** Knock's templates as the language of workflow steps. */
import type { Rendered } from "../../engine/model.ts";
import { RenderError } from "../../engine/ports.ts";
import { Refusal } from "../../engine/refusal.ts";
import { CHANNEL_TYPES, type ChannelType } from "../../engine/workflow/model.ts";
import type { StepLanguage } from "../../engine/workflow/ports.ts";
import type { JsonObject } from "../../lib/json.ts";
import { Budget, DEFAULT_LIMITS, type Limits } from "../liquid/budget.ts";
import { drive, type Steps } from "../liquid/drive.ts";
import { compile, described, failedLookUp, type Template } from "../liquid/language.ts";
import { readEmailTemplate } from "./email.ts";
import { readFeedTemplate } from "./feed.ts";
import { looksLikeJson, readHttpTemplate } from "./http-request.ts";
import { MessageRendering, type MessageTemplate, readText, wrong } from "./message.ts";
import { readChatTemplate, readPushTemplate, readSmsTemplate } from "./short-messages.ts";

const READERS: { readonly [type in ChannelType]: (template: JsonObject) => MessageTemplate } = {
  email: readEmailTemplate,
  in_app_feed: readFeedTemplate,
  sms: readSmsTemplate,
  push: readPushTemplate,
  chat: readChatTemplate,
  http: readHttpTemplate,
};

export interface KnockLanguageOptions {
  readonly limits?: Partial<Limits>;
  /** Epoch milliseconds; what `now` means in templates. */
  readonly now?: () => number;
}

export function knockLanguage({ limits, now = Date.now }: KnockLanguageOptions = {}): StepLanguage {
  const all: Limits = { ...DEFAULT_LIMITS, ...limits };
  /** By the object that holds the template: a version of a workflow is kept and never changes. */
  const read = new WeakMap<JsonObject, { readonly type: ChannelType; readonly message: MessageTemplate }>();

  function messageOf(type: ChannelType, template: JsonObject): MessageTemplate {
    const known = read.get(template);
    if (known?.type === type) return known.message;
    const message = readTemplate(type, template);
    read.set(template, { type, message });
    return message;
  }

  return {
    checkTemplate: (type, template) => void readTemplate(type, template),
    checkText: (text, field) => void readText(text, field),
    render: (type, template, rendering) => {
      const budget = new Budget(all);
      return guarded(() => {
        const message = messageOf(type, template);
        return drive<Rendered>(message(new MessageRendering(rendering, budget, now())), budget);
      });
    },
    text: (text, rendering) => {
      const budget = new Budget(all);
      return guarded(() => {
        const template = compile(text);
        if (template.literal !== null) return template.literal;
        const message = new MessageRendering({ ...rendering, trackLink: null, openPixel: null }, budget, now());
        return drive(textOf(template, message), budget);
      });
    },
  };
}

function* textOf(template: Template, message: MessageRendering): Steps<string> {
  // In a text that is JSON, a quotation mark in a value must not end the string it stands in.
  const mode = looksLikeJson(template.source) ? "json" : "plain";
  return yield* message.print({ name: "text", text: template }, mode);
}

function readTemplate(type: ChannelType, template: JsonObject): MessageTemplate {
  if (!CHANNEL_TYPES.includes(type)) throw wrong("channel_type", `one of ${CHANNEL_TYPES.join(", ")}`);
  return READERS[type](template);
}

/** Everything an author can be told of becomes a RenderError; a template that was never checked, too. */
function guarded<T>(body: () => T | Promise<T>): T | Promise<T> {
  try {
    const result = body();
    return result instanceof Promise ? result.catch((error: unknown) => Promise.reject(asRenderError(error))) : result;
  } catch (error) {
    throw asRenderError(error);
  }
}

function asRenderError(error: unknown): unknown {
  const lookUp = failedLookUp(error);
  if (lookUp !== null) return lookUp.cause;
  if (error instanceof RenderError) return error;
  return new RenderError(error instanceof Refusal ? error.message : described(error), { cause: error });
}
