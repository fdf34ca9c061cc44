import type { EventTypeOut } from "svix";

/** The examples of the first version of an event type's schema, as JSON: those that can be sent. */
export function examplesOf({ schemas }: Pick<EventTypeOut, "schemas">): readonly string[] {
  const examples: unknown = firstSchema({ schemas })?.examples;
  return Array.isArray(examples) ? examples.map((example) => JSON.stringify(example) ?? "null") : [];
}

export function firstSchema({ schemas }: Pick<EventTypeOut, "schemas">): Record<string, unknown> | null {
  const schema: unknown = (schemas as Record<string, unknown> | null | undefined)?.["1"];
  return typeof schema === "object" && schema !== null ? (schema as Record<string, unknown>) : null;
}
