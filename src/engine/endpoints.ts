import type { Clock, Millis } from "../lib/clock.ts";
import type { Delivery, Document, EnvironmentId, Provider, ProviderId, ProviderKindName } from "./model.ts";
import type { Bus, DocumentStore, ProviderKind } from "./ports.ts";
import { KNOCK_WEBHOOK } from "./workflow/model.ts";

/**
 * Kind of the documents that endpoints are, body an `OutboundWebhook`; also the kind of provider that their deliveries
 * name. The database looks for documents of this kind when a message changes (storage/migrations.ts).
 */
export const OUTBOUND_WEBHOOK = "outbound-webhook";

/** Where an environment wants to be told of what happens in it. */
export interface OutboundWebhook {
  readonly url: string;
  /** Signs what is sent; null leaves it unsigned. */
  readonly secret: string | null;
  /** Types of events; empty means all. */
  readonly events: readonly string[];
}

/** Kinds of documents that endpoints are. */
type EndpointKind = typeof OUTBOUND_WEBHOOK | typeof KNOCK_WEBHOOK;
const KINDS: readonly EndpointKind[] = [OUTBOUND_WEBHOOK, KNOCK_WEBHOOK];

/** Another process may have written; this process hears of its own writes at once. */
const STALE_AFTER_MS: Millis = 1_000;
/** More endpoints of one environment are not told. */
const MAX_ENDPOINTS = 200;

export interface Endpoint extends Provider {
  wants(event: string): boolean;
}

interface Held {
  any: boolean;
  readAt: Millis;
}

/**
 * Webhook addresses that are told of events. To the ledger an endpoint looks like a provider: a delivery names it, and
 * it is read anew for every try, so that a new address or secret holds from the next try on.
 */
export class Endpoints {
  /** What can send to an endpoint, by the kind that its deliveries name as their provider. */
  readonly kinds: ReadonlyMap<ProviderKindName, ProviderKind>;
  readonly #documents: DocumentStore;
  readonly #clock: Clock;
  #held = new Map<EnvironmentId, Held>();

  constructor(
    kinds: ReadonlyMap<ProviderKindName, ProviderKind>,
    documents: DocumentStore,
    bus: Pick<Bus, "onChanged">,
    clock: Clock,
  ) {
    this.kinds = kinds;
    this.#documents = documents;
    this.#clock = clock;
    bus.onChanged((environmentId, kind) => {
      if (isEndpointKind(kind)) this.#held.delete(environmentId);
    });
  }

  /** The endpoint a delivery goes to, as it is configured now; null when it was removed. */
  async read({
    environmentId,
    provider,
    providerId,
  }: Pick<Delivery, "environmentId" | "provider" | "providerId">): Promise<Provider | null> {
    if (!isEndpointKind(provider)) return null;
    const document = await this.#documents.read(environmentId, provider, providerId);
    return document === null ? null : endpointOf(environmentId, document);
  }

  /** Those who want events of this type, as they are configured now. */
  async wanting(environmentId: EnvironmentId, kind: EndpointKind, event: string): Promise<readonly Provider[]> {
    return (await this.all(environmentId, kind)).filter((endpoint) => endpoint.wants(event));
  }

  /** All of a kind, as they are configured now. */
  async all(environmentId: EnvironmentId, kind: EndpointKind): Promise<readonly Endpoint[]> {
    const page = await this.#documents.list(environmentId, kind, { limit: MAX_ENDPOINTS });
    return page.items.map((document) => {
      const { events } = bodyOf(document);
      const wants = (event: string): boolean => events.length === 0 || events.includes(event);
      return { ...endpointOf(environmentId, document), wants };
    });
  }

  /**
   * Whether the environment may have endpoints, from memory: true when that is not known yet, and up to a second old
   * when another process wrote. Good enough to decide on a shout, not on what to send.
   */
  mayExist(environmentId: EnvironmentId): boolean {
    const now = this.#clock.now();
    let held = this.#held.get(environmentId);
    if (held !== undefined && now - held.readAt < STALE_AFTER_MS) return held.any;
    if (held === undefined) {
      held = { any: true, readAt: now };
      this.#held.set(environmentId, held);
    }
    held.readAt = now;
    this.#refresh(environmentId, held);
    return held.any;
  }

  /** Nobody waits for it. While it cannot be read the answer is "maybe": a shout too many only costs a look. */
  #refresh(environmentId: EnvironmentId, held: Held): void {
    Promise.all(KINDS.map((kind) => this.#documents.list(environmentId, kind, { limit: 1 }))).then(
      (pages) => {
        held.any = pages.some(({ items }) => items.length > 0);
      },
      () => {
        held.any = true;
      },
    );
  }
}

function endpointOf(environmentId: EnvironmentId, document: Document): Provider {
  const { url, secret } = bodyOf(document);
  return {
    id: document.id as ProviderId,
    environmentId,
    provider: document.kind,
    channel: "webhook",
    title: "",
    alias: null,
    settings: { url, secret },
    standIn: false,
    createdAt: document.createdAt,
    updatedAt: document.updatedAt,
  };
}

function isEndpointKind(kind: string): kind is EndpointKind {
  return KINDS.some((one) => one === kind);
}

/** Only admin writes documents of these kinds, and it checks them. Their bodies are alike. */
function bodyOf(document: Document): OutboundWebhook {
  return document.body as unknown as OutboundWebhook;
}
