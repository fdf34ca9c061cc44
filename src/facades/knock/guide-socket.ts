/**
 * Guides on Knock's socket: a channel that all users share, `guides:{id of the guide channel}`, of which each is told what
 * concerns its user. What an author changes may be for one user and not for another, so for each channel that is joined
 * it is looked anew what its user sees, and what is not as it was is told. Channels of this process only are told, of
 * changes that it hears of; whoever missed something fetches.
 */
import { createHash } from "node:crypto";
import type { Environment, EnvironmentId } from "../../engine/model.ts";
import { isObject, type JsonObject } from "../../lib/json.ts";
import type { Connection } from "../../realtime/connection.ts";
import { type Caller, mayActFor } from "./auth.ts";
import { KnockError } from "./errors.ts";
import { guideChannelId, isOfShelf } from "./guide-shelf.ts";
import { type SeenShelf, seenBy, type Viewer } from "./guide-views.ts";
import type { Knock } from "./knock.ts";
import { pushFrame } from "./phoenix-frames.ts";
import { checkId } from "./wire.ts";

/** A channel that a client has joined; the filter of its subscription, which no event of an inbox passes. */
export interface JoinedGuides {
  readonly topic: string;
  readonly joinRef: string | null;
  readonly viewer: Viewer;
  /** Told of all guides as if they were for its user. */
  readonly force: boolean;
  /** What it was told last. */
  told: Told;
}

interface Told {
  /** By key: a digest of what the client was told of a guide, and whether it was for the user. */
  readonly guides: ReadonlyMap<string, { readonly digest: string; readonly eligible: boolean }>;
  readonly group: string;
}

const TOPIC = /^guides:([^:]+)$/s;
/** Channels looked at together. */
const AT_ONCE = 8;

export function isGuidesTopic(topic: string): boolean {
  return topic.startsWith("guides:");
}

export class GuideChannels {
  readonly #knock: Knock;
  /** There is one guide channel, so a connection has joined it once at most. */
  readonly #joined = new Map<EnvironmentId, Map<Connection, JoinedGuides>>();
  /** How often the guides of an environment have changed, as far as somebody looks at them. */
  readonly #changes = new Map<EnvironmentId, number>();
  readonly #telling = new Set<EnvironmentId>();
  readonly #again = new Set<EnvironmentId>();

  constructor(knock: Knock) {
    this.#knock = knock;
    knock.onChanged((environmentId, kind) => {
      if (!isOfShelf(kind)) return;
      this.#changes.set(environmentId, this.#changesOf(environmentId) + 1);
      this.#tell(environmentId);
    });
    knock.hub.closed.on(({ connection }) => this.remove(connection));
  }

  /** What the client would hear of; or why nothing. To be given to `add` when the client has joined. */
  async open(
    {
      topic,
      joinRef,
      payload,
    }: { readonly topic: string; readonly joinRef: string | null; readonly payload: JsonObject },
    environment: Environment,
    caller: Caller | null,
  ): Promise<{ readonly joined: JoinedGuides; readonly changes: number } | string> {
    const [, channelId] = TOPIC.exec(topic) ?? [];
    if (channelId === undefined) return "unmatched topic";
    const viewer = viewerIn(payload, environment);
    if (viewer === null) return "unknown user";
    if (caller === null || !mayActFor(caller, viewer.userId, "user/guide_read")) return "unauthorized";
    if (channelId !== viewer.channelId) return "unknown channel";
    const force = payload.force_all_guides === true;
    const changes = this.#changesOf(environment.id);
    const seen = await this.#look(viewer);
    return { joined: { topic, joinRef, viewer, force, told: toldOf(seen, force) }, changes };
  }

  /** From now on the client is told what changes, and of what has changed since `open`. */
  add(connection: Connection, { joined, changes }: { readonly joined: JoinedGuides; readonly changes: number }): void {
    const { environmentId } = joined.viewer;
    const others = this.#joined.get(environmentId) ?? new Map<Connection, JoinedGuides>();
    this.#joined.set(environmentId, others.set(connection, joined));
    if (changes !== this.#changesOf(environmentId)) this.#tell(environmentId);
  }

  /** It has left the channel, or is gone. */
  remove(connection: Connection): void {
    const { environmentId } = connection;
    const others = this.#joined.get(environmentId);
    others?.delete(connection);
    if (others?.size === 0) this.#joined.delete(environmentId);
  }

  #changesOf(environmentId: EnvironmentId): number {
    return this.#changes.get(environmentId) ?? 0;
  }

  async #look(viewer: Viewer): Promise<SeenShelf> {
    return await seenBy(this.#knock, viewer, await this.#knock.shelves.of(viewer.environmentId));
  }

  /** Once more if something changes meanwhile; nobody waits for it. */
  #tell(environmentId: EnvironmentId): void {
    if (!this.#joined.has(environmentId)) return;
    if (this.#telling.has(environmentId)) {
      this.#again.add(environmentId);
      return;
    }
    this.#telling.add(environmentId);
    this.#tellAll(environmentId)
      .catch((error) => this.#knock.log.warn({ err: error, environmentId }, "guides.not-told"))
      .finally(() => {
        this.#telling.delete(environmentId);
        if (this.#again.delete(environmentId)) this.#tell(environmentId);
      });
  }

  async #tellAll(environmentId: EnvironmentId): Promise<void> {
    const waiting = [...(this.#joined.get(environmentId) ?? [])];
    const work = async (): Promise<void> => {
      for (let next = waiting.pop(); next !== undefined; next = waiting.pop()) await this.#tellOne(...next);
    };
    await Promise.all(Array.from({ length: AT_ONCE }, work));
  }

  async #tellOne(connection: Connection, joined: JoinedGuides): Promise<void> {
    const seen = await this.#look(joined.viewer);
    const told = toldOf(seen, joined.force);
    const before = joined.told;
    joined.told = told;
    if (this.#joined.get(connection.environmentId)?.get(connection) !== joined) return;
    for (const [event, data] of newsOf(seen, before, told)) {
      connection.send(pushFrame(joined.topic, event, { topic: joined.topic, event, data }));
    }
  }
}

/** @returns null when the payload names no user. */
function viewerIn({ user_id, tenant, data }: JsonObject, environment: Environment): Viewer | null {
  try {
    return {
      environmentId: environment.id,
      channelId: guideChannelId(environment),
      userId: checkId("user_id", user_id),
      tenantId: tenant === undefined || tenant === null || tenant === "" ? null : checkId("tenant", tenant),
      data: isObject(data) ? data : {},
    };
  } catch (error) {
    if (error instanceof KnockError) return null;
    throw error;
  }
}

function toldOf({ guides, group }: SeenShelf, force: boolean): Told {
  return {
    guides: new Map(
      guides.map(({ guide, view, whyNot }) => [
        guide.key,
        { digest: digestOf(view), eligible: force || whyNot === null },
      ]),
    ),
    group: digestOf(group),
  };
}

function digestOf(view: JsonObject): string {
  return createHash("sha256").update(JSON.stringify(view)).digest("base64");
}

/** Events that lead from what a client was told to what there is now. A guide that it never had is no news. */
function newsOf({ guides, group }: SeenShelf, before: Told, now: Told): readonly (readonly [string, JsonObject])[] {
  const news: (readonly [string, JsonObject])[] = [];
  for (const { guide, view } of guides) {
    const old = before.guides.get(guide.key);
    const eligible = now.guides.get(guide.key)?.eligible === true;
    if (old === undefined || !old.eligible) {
      if (eligible) news.push([old === undefined ? "guide.added" : "guide.updated", { guide: view, eligible }]);
    } else if (!eligible || old.digest !== now.guides.get(guide.key)?.digest) {
      news.push(["guide.updated", { guide: view, eligible }]);
    }
  }
  for (const key of before.guides.keys()) {
    if (!now.guides.has(key)) news.push(["guide.removed", { guide: { key } }]);
  }
  if (before.group !== now.group) news.push(["guide_group.updated", { guide_group: group }]);
  return news;
}
