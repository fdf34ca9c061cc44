/**
 * The changes of one GraphQL mutation, in the order of the document. Clients mark up to fifty messages in one document;
 * marks that stand next to each other become one `markMany`, which is one commit instead of fifty.
 */
import type { Actor, Engine } from "../../engine/engine.ts";
import type { EnvironmentId, MessageId } from "../../engine/model.ts";
import type { ItemField } from "../../engine/ports.ts";
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
  #steps: (Mark | Other)[] = [];

  constructor(engine: Engine, environmentId: EnvironmentId, userId: string, actor: Actor) {
    this.#engine = engine;
    this.#environmentId = environmentId;
    this.#userId = userId;
    this.#actor = actor;
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

  /** The message of a public id, if this user could have it. */
  async findMessage(publicId: string): Promise<MessageId | null> {
    const reference = parsePublicMessageId(publicId);
    if (reference === null) return null;
    if (reference.kind === "message") return reference.messageId;
    if (reference.userId !== this.#userId) return null;
    return this.#engine.messages.findByUser(this.#environmentId, reference.requestId, reference.userId);
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
      const ids = await Promise.all(marks.map((mark) => this.findMessage(mark.messageId)));
      const known = marks.flatMap((mark, i) => {
        const messageId = ids[i];
        return messageId == null ? [] : [{ mark, change: { messageId, field: mark.field, value: mark.value } }];
      });
      const items =
        known.length === 0
          ? []
          : await this.#engine.inbox.markMany(
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
