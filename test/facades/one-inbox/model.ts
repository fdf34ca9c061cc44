/**
 * An inbox as design and contracts describe it, with nothing of the server's in it: a list of items, each with six times,
 * and what every action does to them, shows and tells. Written to be read beside docs/one-inbox.md.
 */
import type { CourierLine, FEEDS, KnockPush } from "./listening.ts";

export type Vendor = "courier" | "knock" | "pushwoosh";

export interface Item {
  readonly key: string;
  readonly user: string;
  readonly via: Vendor;
  readonly tenant: string | null;
  /** Of a Pushwoosh message; all recipients share it. */
  readonly code: string | null;
  readonly createdAt: number;
  readonly expiresAt: number | null;
  seen: number | null;
  read: number | null;
  interacted: number | null;
  archived: number | null;
  deleted: number | null;
  /** Taken back by its sender. */
  recalled: boolean;
  /** What facades call it; learned from their lists. */
  courierId: string | null;
  knockId: string | null;
  pushwooshId: string | null;
}

type State = "seen" | "read" | "interacted" | "archived" | "deleted";

/** What pages hear of one action. */
export interface Told {
  readonly main: CourierLine[];
  readonly tenant: CourierLine[];
  readonly legacy: CourierLine[];
  /** Feeds that Knock pushes for; none: no push. */
  readonly knock: Set<keyof typeof FEEDS>;
}

const LEGACY = new Set(["read", "unread", "opened", "archive", "unarchive", "mark-all-read"]);
const FRAME: { readonly [change: string]: string } = {
  "seen+": "opened",
  "read+": "read",
  "read-": "unread",
  "interacted+": "clicked",
  "archived+": "archive",
  "archived-": "unarchive",
};

export class Model {
  readonly tenantName: string;
  now = 0;
  /** Oldest first. */
  readonly items: Item[] = [];
  #told = new Map<string, Told>();

  constructor(tenantName: string) {
    this.tenantName = tenantName;
  }

  /** What each user's pages have been told since the last time. */
  takeTold(user: string): Told {
    const told = this.#of(user);
    this.#told.delete(user);
    return told;
  }

  #of(user: string): Told {
    let told = this.#told.get(user);
    if (told === undefined) {
      told = { main: [], tenant: [], legacy: [], knock: new Set() };
      this.#told.set(user, told);
    }
    return told;
  }

  // ——— what happens ————————————————————————————————————————————————————————————————————————————————————————————————

  send(item: Pick<Item, "key" | "user" | "via" | "tenant" | "code" | "expiresAt">): Item {
    const added: Item = {
      ...item,
      createdAt: this.now,
      seen: null,
      read: null,
      interacted: null,
      archived: null,
      deleted: null,
      recalled: false,
      courierId: null,
      knockId: null,
      pushwooshId: null,
    };
    this.items.push(added);
    const told = this.#of(item.user);
    const line = `message ${item.key}`;
    if (item.tenant === null) {
      told.main.push(line);
      told.legacy.push(line);
    } else if (item.tenant === this.tenantName) told.tenant.push(line);
    told.knock.add("main");
    if (item.tenant === null || item.tenant === this.tenantName) told.knock.add("tenant");
    return added;
  }

  isGone(item: Item): boolean {
    return item.deleted !== null || this.isOver(item);
  }

  isOver(item: Item): boolean {
    return item.expiresAt !== null && item.expiresAt <= this.now;
  }

  /** @param move whether a time that is set is moved to now. @returns whether anything changed. */
  #set(item: Item, state: State, value: boolean, move: boolean): boolean {
    const before = item[state];
    if (!value && before === null) return false;
    if (value && before !== null && !(move && state !== "deleted" && before !== this.now)) return false;
    item[state] = value ? this.now : null;
    return true;
  }

  #tell(item: Item, state: State, value: boolean, via: Vendor, except: string | null): void {
    if (this.isOver(item) || (item.deleted !== null && state !== "deleted")) return;
    const told = this.#of(item.user);
    const name = FRAME[`${state}${value ? "+" : "-"}`];
    if (name !== undefined) {
      const line = `${name} ${item.key}`;
      if (item.tenant === null) {
        if (except === null) told.main.push(line);
        if (LEGACY.has(name)) told.legacy.push(line);
      } else if (item.tenant === this.tenantName) told.tenant.push(line);
    }
    if (via === "knock" || state === "interacted") return;
    told.knock.add("main").add("archive");
    if (item.tenant === null || item.tenant === this.tenantName) told.knock.add("tenant");
  }

  #change(
    item: Item,
    state: State,
    value: boolean,
    via: Vendor,
    how: { move?: boolean; except?: string | null },
  ): void {
    if (this.#set(item, state, value, how.move ?? false)) this.#tell(item, state, value, via, how.except ?? null);
  }

  /** @returns whether the client is told that there is such an item. */
  courierMark(item: Item, what: string, source: string | null): boolean {
    if (this.isGone(item)) return false;
    const how = { except: source };
    if (what === "read") this.#change(item, "read", true, "courier", how);
    if (what === "unread") this.#change(item, "read", false, "courier", how);
    if (what === "opened") this.#change(item, "seen", true, "courier", how);
    if (what === "archive") this.#change(item, "archived", true, "courier", how);
    if (what === "unarchive") this.#change(item, "archived", false, "courier", how);
    if (what === "clicked") {
      // Every click is told, also the second one.
      this.#set(item, "interacted", true, false);
      this.#tell(item, "interacted", true, "courier", source);
    }
    return true;
  }

  courierMarkAll(user: string, what: "markAllRead" | "archiveAll" | "archiveRead", source: string | null): void {
    const [state, frame] = {
      markAllRead: ["read", "mark-all-read"],
      archiveAll: ["archived", "archive-all"],
      archiveRead: ["archived", "archive-read"],
    }[what] as [State, string];
    let any = false;
    for (const item of this.items) {
      if (item.user !== user || this.isGone(item) || (what === "archiveRead" && item.read === null)) continue;
      if (this.#set(item, state, true, false)) any = true;
    }
    if (!any) return;
    const told = this.#of(user);
    if (source === null) told.main.push(frame);
    told.tenant.push(frame);
    if (LEGACY.has(frame)) told.legacy.push(frame);
    told.knock.add("main").add("archive").add("tenant");
  }

  /** @returns whether there is such a message. */
  knockMark(item: Item, mark: string): boolean {
    if (item.deleted !== null) return false;
    const how = { move: true };
    if (mark === "seen" || mark === "read" || mark === "archived") this.#change(item, mark, true, "knock", how);
    if (mark === "unseen") this.#change(item, "seen", false, "knock", how);
    if (mark === "unread") this.#change(item, "read", false, "knock", how);
    if (mark === "unarchived") this.#change(item, "archived", false, "knock", how);
    if (mark === "interacted") {
      this.#change(item, "interacted", true, "knock", how);
      this.#change(item, "read", true, "knock", {});
    }
    return true;
  }

  knockBulk(user: string, action: string, archived: "exclude" | "include" | "only"): void {
    const undone = action.startsWith("un");
    const named = (action === "delete" ? "deleted" : undone ? action.slice(2) : action) as State;
    const states: readonly State[] = named === "interacted" ? ["interacted", "read"] : [named];
    for (const state of states) {
      for (const item of this.#newestFirst(user)) {
        if (this.isGone(item)) continue;
        if (archived !== "include" && (item.archived !== null) !== (archived === "only")) continue;
        this.#change(item, state, !undone, "knock", {});
      }
    }
  }

  pushwooshStatus(item: Item, status: number): void {
    if (this.isGone(item) || this.status(item) >= status) return;
    if (status === 3) this.#change(item, "interacted", true, "pushwoosh", {});
    if (status === 3 || status === 2) this.#change(item, "read", true, "pushwoosh", {});
    if (status === 4) this.#change(item, "deleted", true, "pushwoosh", {});
  }

  /** The sender takes a message back from everybody. */
  pushwooshDelete(code: string): void {
    for (const item of this.items) {
      if (item.code !== code || this.isOver(item)) continue;
      item.recalled = true;
      this.#change(item, "deleted", true, "pushwoosh", {});
    }
  }

  // ——— what is shown ———————————————————————————————————————————————————————————————————————————————————————————————

  #newestFirst(user: string): Item[] {
    return this.items.filter((item) => item.user === user).reverse();
  }

  listed(user: string): Item[] {
    return this.#newestFirst(user).filter((item) => !this.isGone(item));
  }

  courierList(user: string, tenant: string | null, archived: boolean): Item[] {
    return this.listed(user).filter((item) => item.tenant === tenant && (item.archived !== null) === archived);
  }

  knockFeed(user: string, feed: keyof typeof FEEDS): Item[] {
    return this.listed(user).filter(
      (item) =>
        (item.archived !== null) === (feed === "archive") &&
        (feed !== "tenant" || item.tenant === null || item.tenant === this.tenantName),
    );
  }

  pushes(user: string, feeds: ReadonlySet<keyof typeof FEEDS>): readonly KnockPush[] {
    if (feeds.size === 0) return [];
    const counted = (feed: keyof typeof FEEDS): [keyof typeof FEEDS, readonly [number, number, number]] => {
      const items = this.knockFeed(user, feed);
      const unread = items.filter(({ read }) => read === null).length;
      return [feed, [items.length, unread, items.filter(({ seen }) => seen === null).length]];
    };
    return [Object.fromEntries((["main", "archive", "tenant"] as const).filter((f) => feeds.has(f)).map(counted))];
  }

  status(item: Item): number {
    if (item.recalled) return 5;
    if (item.deleted !== null) return 4;
    return item.interacted !== null ? 3 : item.read !== null ? 2 : 1;
  }

  pushwooshList(user: string): Item[] {
    return this.listed(user).filter((item) => item.archived === null);
  }

  /** What a sender took back, until it would have been over. */
  pushwooshDeleted(user: string): Item[] {
    return this.items.filter((item) => item.user === user && item.recalled && !this.isOver(item));
  }
}
