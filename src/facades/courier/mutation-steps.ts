/**
 * The changes of one GraphQL mutation, in the order of the document. Clients mark up to fifty messages in one document;
 * marks that stand next to each other become one change of many, which is one commit instead of fifty.
 */
import type { Actor, Engine } from "../../engine/engine.ts";
import type { EnvironmentId, InboxItem, MessageId, RequestId } from "../../engine/model.ts";
import type { InboxFilter, ItemField } from "../../engine/ports.ts";
import { withPrefix } from "../../lib/ids.ts";
import { parsePublicMessageId } from "./ids.ts";

interface Mark {
  readonly kind: "mark";
  readonly messageId: string;
  readonly field: ItemField;
  readonly value: boolean;
  readonly resolve: (known: boolean) => void;
  readonly reject: (error: unknown) => void;
}

interface Other {
  readonly kind: "other";
  readonly run: () => Promise<void>;
}

export class MutationSteps {
  readonly #engine: Engine;
  readonly #environmentId: EnvironmentId;
  readonly #userId: string;
  readonly #actor: Actor;
  readonly #shown: Pick<InboxFilter, "via">;
  #steps: (Mark | Other)[] = [];

  /** @param shown leaves out items that the caller does not get to see, to which they are unknown. */
  constructor(
    engine: Engine,
    environmentId: EnvironmentId,
    userId: string,
    actor: Actor,
    shown: Pick<InboxFilter, "via">,
  ) {
    this.#engine = engine;
    this.#environmentId = environmentId;
    this.#userId = userId;
    this.#actor = actor;
    this.#shown = shown;
  }

  /** @returns whether the user has that message; a message that was so already counts. */
  mark(messageId: string, field: ItemField, value: boolean): Promise<boolean> {
    return new Promise((resolve, reject) => {
      this.#add({ kind: "mark", messageId, field, value, resolve, reject });
    });
  }

  /** Runs after all steps added before, and before all added later. */
  run<T>(step: () => Promise<T>): Promise<T> {
    return new Promise((resolve, reject) => {
      this.#add({ kind: "other", run: () => step().then(resolve, reject) });
    });
  }

  /** The user's item of a public id; null for one that is unknown, another's, deleted or over. */
  async findItem(publicId: string): Promise<InboxItem | null> {
    const reference = parsePublicMessageId(publicId);
    if (reference === null) return null;
    const item =
      reference.kind === "message"
        ? ((await this.#itemOf(reference.messageId)) ?? (await this.#itemItself(reference.messageId)))
        : reference.userId === this.#userId
          ? await this.#itemOfRequest(reference)
          : null;
    return item !== null && (this.#shown.via === undefined || this.#shown.via === item.via) ? item : null;
  }

  #itemOf(messageId: MessageId): Promise<InboxItem | null> {
    return this.#engine.inbox.readByMessage(this.#environmentId, this.#userId, messageId);
  }

  async #itemOfRequest({ requestId }: { requestId: RequestId }): Promise<InboxItem | null> {
    const messageId = await this.#engine.messages.findByUser(this.#environmentId, requestId, this.#userId);
    return messageId === null ? null : this.#itemOf(messageId);
  }

  /** The same id may have been spelled from an item: no message and no delivery have the same. */
  async #itemItself(id: MessageId): Promise<InboxItem | null> {
    const item = await this.#engine.messages.readDelivery(this.#environmentId, withPrefix("dlv", id));
    if (item === null || item.channel !== "inbox" || item.userId !== this.#userId) return null;
    const isOver = item.expiresAt !== null && item.expiresAt <= this.#engine.clock.now();
    return item.deletedAt !== null || isOver ? null : (item as InboxItem);
  }

  /** GraphQL adds the steps of a whole document in one turn; a microtask later they are complete. */
  #add(step: Mark | Other): void {
    this.#steps.push(step);
    if (this.#steps.length === 1) queueMicrotask(() => void this.#drain());
  }

  /** Never rejects: each step has told its own caller. */
  async #drain(): Promise<void> {
    const steps = this.#steps;
    this.#steps = [];
    let marks: Mark[] = [];
    for (const step of steps) {
      if (step.kind === "mark") {
        marks.push(step);
        continue;
      }
      await this.#markAll(marks);
      marks = [];
      await step.run();
    }
    await this.#markAll(marks);
  }

  async #markAll(marks: readonly Mark[]): Promise<void> {
    if (marks.length === 0) return;
    try {
      const found = await Promise.all(marks.map((mark) => this.findItem(mark.messageId)));
      const known = marks.flatMap((mark, i) => {
        const item = found[i];
        if (item == null) return [];
        const { field, value } = mark;
        return [{ mark, change: { deliveryId: item.id, field, value, again: "keep" as const } }];
      });
      const items = await this.#engine.inbox.change(
        this.#environmentId,
        this.#userId,
        known.map(({ change }) => change),
        this.#actor,
      );
      known.forEach(({ mark }, i) => {
        mark.resolve(items[i] != null);
      });
      // Of no effect on those already told.
      for (const mark of marks) mark.resolve(false);
    } catch (error) {
      for (const mark of marks) mark.reject(error);
    }
  }
}
