/**
 * What runs beside the code, inside: it hands the input in and writes the answer down as JSON text. It runs first and
 * keeps the built-ins as they were, so that code which changes them is at most refused for its own answer. Nothing here
 * guards the host: that is done by reading only text from inside, and by checking it (answer.ts).
 */

/** Name of the code in stack traces. */
export const CODE_NAME = "transformation.js";

/** What is asked of the code, as the guest reads it. */
export interface GuestInput {
  readonly method: string;
  readonly url: string;
  /** As it came: to be parsed. */
  readonly payload: string;
  readonly eventType: string;
  readonly channels: readonly string[] | null;
  readonly variables: { readonly [name: string]: string };
  readonly transformationsParams: unknown;
}

/**
 * An expression; its value is an object of `start(handler, input)`, `answer()` (text, once there is one) and
 * `thrown()` (a list with what was thrown, once something was). Small, because it is compiled for every run: 0.3 ms when
 * it also described errors and checked the answer.
 */
export const GUEST = `(function () {
  "use strict";
  const { parse, stringify } = JSON, { apply } = Reflect, { then } = Promise.prototype, { resolve } = Promise;
  let answer, thrown, given, source;

  function read() {
    try { return parse(source); } catch { return source; }
  }
  function finish({ method, url, payload, headers, cancel }) {
    let body = payload;
    if (typeof payload === "object" && payload !== null) body = stringify(payload) ?? null;
    // Left as it was: then the text that came is sent, with its spaces and its big numbers.
    if (payload === given && (payload === source || body === stringify(read()))) body = undefined;
    answer = stringify({ method, url, payload: body, headers, cancel });
  }
  function guarded(result) {
    try {
      if (typeof result === "object" && result !== null) finish(result);
      else answer = stringify({ returned: result === null ? "null" : typeof result });
    } catch (error) { fail(error); }
  }
  function fail(error) { thrown = [error]; }

  return {
    answer: () => answer,
    thrown: () => thrown,
    start(handler, input) {
      try {
        const webhook = parse(input);
        source = webhook.payload;
        webhook.payload = given = read();
        const result = handler(webhook);
        if (typeof result === "object" && result !== null && typeof result.then === "function") {
          apply(then, apply(resolve, Promise, [result]), [guarded, fail]);
        } else guarded(result);
      } catch (error) { fail(error); }
    },
  };
})()`;

/**
 * An expression; its value is a function from what was thrown to text. It comes after the code, whose changes to
 * built-ins may spoil it: then the code has no better error to show.
 */
export const DESCRIBE = `(function (error) {
  if (error === null || typeof error !== "object") return "threw " + String(error).slice(0, 300);
  const { name, message, stack } = error;
  let told = typeof message === "string" ? message : "";
  if (typeof name === "string" && name !== "") told = told === "" ? name : name + ": " + told;
  if (told === "") return "threw an object without a message";
  told = told.slice(0, 500);
  const line = typeof stack === "string" && stack.split(${JSON.stringify(`${CODE_NAME}:`)})[1];
  return line ? told + " (line " + parseInt(line) + ")" : told;
})`;
