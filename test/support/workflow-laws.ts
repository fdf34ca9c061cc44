/** What must be true after a storm of runs, whatever went wrong in it. */
import assert from "node:assert/strict";
import type { InboxItem, Message } from "../../src/engine/model.ts";
import type { BatchStep, RunRecord } from "../../src/engine/workflow/model.ts";
import type { Aftermath, Ask, Kind, Passage } from "./workflow-storm.ts";

/** What the database says afterwards. */
export interface Found {
  readonly messages: readonly Message[];
  /** By user. */
  readonly items: ReadonlyMap<string, readonly InboxItem[]>;
}

/** One run of a storm: a trigger, for one of its users. */
interface Story {
  readonly ask: Ask;
  readonly user: string;
  readonly message: Message;
  readonly record: RunRecord;
}

export function checkLaws(aftermath: Aftermath, found: Found): void {
  const stories = storiesOf(aftermath, found);
  everyRunEnded(stories);
  for (const of of Map.groupBy(stories, ({ ask, user }) => `${ask.kind.name} ${user}`).values()) {
    const { ask, user } = of[0] as Story;
    const items = (found.items.get(user) ?? []).filter((item) => item.origin?.versionId === of[0]?.record.versionId);
    const shown = items.map(activitiesOf);
    if (ask.kind.once) {
      onlyOne(of, items.length);
      continue;
    }
    everyActivityOnce(of, shown);
    // Whoever has been taken out of a batch may have made its window slide.
    const onTime = aftermath.calm && of.every((story) => !(story.ask.canceled ?? 0));
    batchesAsAskedFor(ask.kind, items, shown, onTime);
  }
  throttlesHold(aftermath.passages, stories);
}

function storiesOf({ asks }: Aftermath, { messages }: Found): Story[] {
  const byAsk = new Map(messages.map((message) => [`${message.requestId} ${message.userId}`, message]));
  const stories = asks.flatMap((ask) =>
    ask.users.map((user) => {
      const message = byAsk.get(`${ask.requestId} ${user}`);
      assert.ok(message?.run != null, `trigger ${ask.n} made no run for ${user}`);
      return { ask, user, message, record: message.run };
    }),
  );
  assert.equal(stories.length, messages.length, "there are runs that nobody triggered");
  return stories;
}

function everyRunEnded(stories: readonly Story[]): void {
  for (const { ask, message, record } of stories) {
    const about = `trigger ${ask.n} (${ask.kind.name})`;
    assert.ok(record.status === "completed" || record.status === "cancelled", `${about} is ${record.status}`);
    assert.ok(["delivered", "filtered", "canceled"].includes(message.state), `${about} is ${message.state}`);
    assert.deepEqual(
      record.log.filter(({ ok }) => !ok),
      [],
      about,
    );
  }
}

/** What was rendered in one item: the numbers of the triggers, oldest first, with their times. */
interface Shown {
  readonly ns: readonly number[];
  readonly ats: readonly number[];
  readonly pages: ReadonlySet<unknown>;
  readonly total: number;
}

function activitiesOf({ origin, data, createdAt }: InboxItem): Shown {
  const activities = origin?.activities ?? [{ data, at: createdAt }];
  return {
    ns: activities.map((activity) => activity.data.n as number),
    ats: activities.map((activity) => activity.at),
    pages: new Set(activities.map((activity) => activity.data.page)),
    total: origin?.totalActivities ?? 1,
  };
}

/** Who had a run canceled may have had the only one. */
function onlyOne(stories: readonly Story[], shown: number): void {
  const wasCanceled = stories.some(({ ask }) => (ask.canceled ?? 0) > 0);
  assert.ok(shown === 1 || (wasCanceled && shown === 0), `${told(stories)}: shown ${shown} times`);
  const late = stories.filter(cameTooOften);
  const canceled = stories.filter(({ record }) => record.status === "cancelled");
  assert.equal(late.length + canceled.length + shown, stories.length, told(stories));
}

function cameTooOften({ record }: Story): boolean {
  return record.log.at(-1)?.data?.reason === "trigger_frequency";
}

/** No activity is shown twice, and what is not shown was canceled, or throttled, or went with a batch that was. */
function everyActivityOnce(stories: readonly Story[], shown: readonly Shown[]): void {
  const ns = shown.flatMap((one) => one.ns);
  assert.equal(new Set(ns).size, ns.length, `shown twice: ${ns.join()}`);
  let entered = 0;
  let takenOut = 0;
  let closed = 0;
  let sentBatched = 0;
  for (const { ask, record } of stories) {
    const { log, status } = record;
    const isShown = ns.includes(ask.n);
    const about = `trigger ${ask.n} (${ask.kind.name}): ${log.map(({ event }) => event).join()}`;
    const isOpener = log.some(({ event, type }) => event === "step_paused" && type === "batch");
    const isIn = isOpener || log.some(({ event }) => event === "batch_item_added");
    const total = Number(log.find(({ event }) => event === "batch_closed")?.data?.total_activities ?? 0);
    const isSent = log.some(({ event }) => event === "message_enqueued");
    const isThrottled = log.some(({ event }) => event === "throttled");
    const wasCanceled = ask.canceled !== null && ask.canceled > 0;
    assert.ok(!isSent || !isThrottled, about);
    assert.ok(status !== "cancelled" || (wasCanceled && !isSent), `${about} is cancelled, by ${ask.canceled}`);
    if (wasCanceled) assert.ok(!isShown, `${about} was canceled, but shown`);
    if (isIn) {
      entered++;
      if (wasCanceled && status !== "cancelled") takenOut++;
      closed += total;
      if (isSent) sentBatched += total;
    } else if (!wasCanceled) assert.equal(isShown, !isThrottled, about);
  }
  const about = told(stories);
  assert.equal(closed + takenOut, entered, `${about}: entered, and came out of a batch`);
  const direct = stories.filter(({ ask, record }) => ns.includes(ask.n) && !record.log.some(isBatching)).length;
  assert.equal(ns.length, sentBatched + direct, `${about}: shown, and sent`);
  const lostWithTheirBatch = closed - sentBatched;
  const isLast = stories[0]?.ask.kind.steps.at(-2)?.type === "batch";
  if (isLast) assert.equal(lostWithTheirBatch, 0, `${about}: nothing stands between a batch and what it sends`);
}

/** All that happened to one user in one workflow. */
function told(stories: readonly Story[]): string {
  const lines = stories.map(({ ask, record }) => {
    const log = record.log.map(({ at, event, data }) => `${at} ${event} ${JSON.stringify(data ?? {})}`);
    return [`${ask.n}: ${record.status}, ${ask.canceled} canceled`, ...log].join("\n    ");
  });
  return [JSON.stringify(stories[0]?.ask.kind), ...lines].join("\n  ");
}

function isBatching({ event, type }: RunRecord["log"][number]): boolean {
  return type === "batch" && (event === "step_paused" || event === "batch_item_added");
}

function batchesAsAskedFor(kind: Kind, items: readonly InboxItem[], shown: readonly Shown[], onTime: boolean): void {
  const step = kind.steps.find((one): one is BatchStep => one.type === "batch");
  if (step === undefined) return;
  const { batch_items_max_limit: max, batch_key, batch_window, batch_window_type: type } = step.settings;
  const { batch_window_extension_limit: extension } = step.settings;
  const windowMs = (batch_window?.value ?? 0) * 1000;
  items.forEach((item, i) => {
    const { ns, ats, pages, total } = shown[i] as Shown;
    const about = `${kind.name}: ${ns.join()} at ${ats.map((at) => at - (ats[0] ?? 0)).join()}`;
    assert.equal(ns.length, total, about);
    if (max !== undefined) assert.ok(total <= max, `${about}: more than ${max}`);
    if (batch_key !== undefined) assert.equal(pages.size, 1, `${about}: keys are mixed up`);
    if (!onTime) return;
    ats.reduce((before, at) => {
      assert.ok(before <= at, `${about}: out of order`);
      return at;
    });
    const [openedAt, lastAt] = [ats[0] as number, ats.at(-1) as number];
    const spanMs = type === "fixed" ? lastAt - openedAt : Math.max(0, ...ats.map((at, n) => at - (ats[n - 1] ?? at)));
    assert.ok(spanMs < windowMs, `${about}: joined when the window was over`);
    // Who waits behind a delay is later.
    if (kind.steps.at(-2)?.type !== "batch" || step.settings.batch_execution_mode === "flush_leading") return;
    const closesAt = type === "fixed" ? openedAt + windowMs : lastAt + windowMs;
    const latest = openedAt + (extension === undefined ? Number.POSITIVE_INFINITY : extension.value * 1000);
    // The first window is what it is, however short the extension.
    const expected = ats.length === 1 ? closesAt : Math.max(lastAt, Math.min(closesAt, latest));
    assert.equal(item.createdAt, total === max ? lastAt : expected, `${about}: closed at another time`);
  });
}

/** Replays who came to a throttle, and counts how many it should have let through of those who came at one moment. */
function throttlesHold(passages: readonly Passage[], stories: readonly Story[]): void {
  const held = new Set(
    stories
      .filter((story) => cameTooOften(story) || story.record.log.some(({ event }) => event === "throttled"))
      .map(({ message }) => message.id),
  );
  for (const [key, of] of Map.groupBy(passages, (passage) => passage.key)) {
    let windowUntil = 0;
    let passed = 0;
    let expected = 0;
    let actual = 0;
    of.forEach(({ at, windowMs, limit, messageId }, i) => {
      if (windowUntil <= at) [windowUntil, passed] = [at + windowMs, 0];
      if (passed < limit) {
        passed++;
        expected++;
      }
      if (!held.has(messageId as Message["id"])) actual++;
      if (of[i + 1]?.at !== at) assert.equal(actual, expected, `${key}: let through until ${at}`);
    });
  }
}
