/** How templates, their aliases, event mappings and translations are kept as documents; who writes them and who reads them agree here. */
import type { Json, JsonObject } from "../lib/json.ts";
import type { Routing } from "./model.ts";

export const TEMPLATE = "template";
/** Id is the alias; body `{ templateId }`. */
export const TEMPLATE_ALIAS = "template-alias";
/** Id is the event's name; body `{ templateId }`. */
export const EVENT_MAPPING = "event-mapping";
/** Id is `<templateId>/v001`; body a `TemplateVersion`. */
export const TEMPLATE_VERSION = "template-version";
/** Id is `<domain>/<locale>`; body `{ source, entries }`: the file as it came, and its messages by key. */
export const TRANSLATION = "translation";
/** Id is the provider's id; body a `ProviderBody`. */
export const PROVIDER = "provider";
/** Id is the tenant's id; body a `TenantBody`. */
export const TENANT = "tenant";

/** Everything about a template that publishing copies. */
export interface TemplateContent {
  readonly name: string;
  readonly tags: readonly string[];
  readonly brandId: string | null;
  readonly topicId: string | null;
  readonly strategyId: string | null;
  /** Routing that came with the template; null leaves it to the request or the default. */
  readonly routing: Routing | null;
  /** Key of the content language, for example `elemental`. */
  readonly language: string;
  readonly source: Json;
}

export interface TemplateBody {
  readonly draft: TemplateContent | null;
  readonly published: TemplateContent | null;
  /** Number of the published version, 0 when never published. */
  readonly publishedVersion: number;
  readonly latestVersion: number;
  readonly aliases: readonly string[];
  readonly archivedAt: number | null;
  readonly creator: string;
  readonly updater: string;
}

export interface TemplateVersion {
  readonly number: number;
  readonly content: TemplateContent;
  readonly creator: string;
}

export interface ProviderBody {
  readonly provider: string;
  readonly title: string;
  readonly alias: string | null;
  readonly settings: JsonObject;
  readonly standIn: boolean;
  /** Providers of a channel are tried in this order. */
  readonly position: number;
}

export interface TenantBody {
  readonly name: string;
  readonly parentId: string | null;
  readonly brandId: string | null;
  readonly properties: JsonObject;
  readonly userProfile: JsonObject;
  /** As the facade that wrote it keeps it. */
  readonly extra: JsonObject;
}
