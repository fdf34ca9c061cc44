/**
 * Gives templates their values. One `Rendering` serves all the templates of one message on one channel: they share
 * its limits, the variables that were set, and the frames of the loops they stand in.
 */
import type { Channel } from "../../engine/model.ts";
import type { RenderContext } from "../../engine/ports.ts";
import { RenderError } from "../../engine/ports.ts";
import { own } from "../../lib/expression.ts";
import { isObject, type Json } from "../../lib/json.ts";
import { type Localized, localeChain, pick } from "../locale.ts";
import { call, isTrue, type Surroundings, textOf, type Value } from "./functions.ts";
import {
  type Block,
  type Call,
  cachedTemplate,
  cleanText,
  type Expression,
  type Part,
  type Path,
  parsePath,
  type Template,
  VALUE_CLOSE,
  VALUE_OPEN,
} from "./parse.ts";

const MAX_STEPS = 100_000;
/** Characters of one rendering, and of any one value on the way there. */
const MAX_OUTPUT = 1_000_000;
/** Work on text counts one step for this many characters. */
const CHARACTERS_PER_STEP = 64;
const MAX_PARTIAL_DEPTH = 20;

/** Other names of channels in content. */
const ALIASES: { readonly [channel: string]: readonly string[] } = { chat: ["direct_message"] };

/** The names in force inside a loop or block. */
interface Frame {
  readonly outer: Frame | null;
  /** True for a Handlebars block, which also gives `this`; false for names alone. */
  readonly block: boolean;
  readonly self: Value;
  readonly names: { readonly [name: string]: Value } | null;
}

/** How a value is written into the text around it. */
export type Write = (value: string, raw: boolean) => string;

const asIs: Write = (value) => value;

export class Rendering implements Surroundings {
  readonly context: RenderContext;
  readonly channel: Channel | null;
  /** What content may call the target of this rendering, the closest name first. */
  readonly names: readonly string[];
  readonly #locales: readonly string[];
  /** `refs.<ref>` of the elements so far. */
  readonly refs = new Map<string, Json>();
  #variables: Map<string, Value> | null = null;
  #spelled: WeakMap<object, string> | null = null;
  #frame: Frame | null = null;
  #steps = MAX_STEPS;
  #output = MAX_OUTPUT;
  #partials = 0;

  /** @param target null when strings beside the content are interpolated, for no channel in particular. */
  constructor(context: RenderContext, target: { readonly channel: Channel; readonly provider: string } | null = null) {
    this.context = context;
    this.channel = target?.channel ?? null;
    this.#locales = localeChain(context.locale);
    this.names = target === null ? [] : [target.provider, target.channel, ...(ALIASES[target.channel] ?? [])];
  }

  isFor(channels: readonly string[]): boolean {
    return channels.some((name) => this.names.includes(name));
  }

  pick<T>(localized: Localized<T>): T | null {
    return pick(localized, this.#locales);
  }

  /** @throws RenderError when the work done for this message is more than any honest content needs. */
  readonly step = (count = 1): void => {
    this.#steps -= count;
    if (this.#steps < 0) throw new RenderError(`rendering took more than ${MAX_STEPS} steps`);
  };

  readonly work = (characters: number): void => {
    this.step(Math.floor(characters / CHARACTERS_PER_STEP));
  };

  /** Counts printed text. @throws RenderError past the limit. */
  emit(text: string): string {
    this.#output -= text.length;
    if (this.#output < 0) throw new RenderError(`the content has more than ${MAX_OUTPUT} characters`);
    return text;
  }

  readonly lookup = (path: string): Value => {
    const parsed = parsePath(path);
    this.work(path.length);
    return parsed === null ? undefined : this.resolve(parsed);
  };

  readonly set = (name: string, value: Value): void => {
    this.#variables ??= new Map();
    this.#variables.set(name, value);
  };

  readonly translate = (key: string): string | undefined => this.context.translate(key);

  readonly text = (value: Value): string => {
    let text: string | undefined;
    if (typeof value === "object" && value !== null) {
      // The same object is often printed many times, by a loop; to spell it is the costly part.
      this.#spelled ??= new WeakMap();
      text = this.#spelled.get(value);
      if (text === undefined) {
        text = textOf(value);
        this.#spelled.set(value, text);
      }
    } else text = textOf(value);
    this.work(text.length);
    return text;
  };

  /** Does `body` with these names in force: `item` and `index` of an Elemental loop. */
  within<T>(names: { readonly [name: string]: Value }, body: () => T): T {
    return this.#inside({ outer: this.#frame, block: false, self: undefined, names }, body);
  }

  #inside<T>(frame: Frame, body: () => T): T {
    const outer = this.#frame;
    this.#frame = frame;
    try {
      return body();
    } finally {
      this.#frame = outer;
    }
  }

  resolve(path: Path): Value {
    this.step();
    let value: Value;
    const frame = path.up > 0 ? this.#outward(path.up) : this.#frame;
    if (path.head !== null) value = this.#name(path.head, frame, path.root);
    else if (!path.root) value = this.#self(frame);
    else return undefined;
    for (const key of path.rest) {
      if (value === undefined) return undefined;
      value = own(value, key);
    }
    return value;
  }

  /** A first name, from the innermost place that has it: the way `resolve` and expressions both look. */
  readonly name = (head: string): Value => this.#name(head, this.#frame, false);

  #outward(levels: number): Frame | null {
    let frame = this.#frame;
    for (let left = levels; left > 0 && frame !== null; left--) {
      while (frame !== null && !frame.block) frame = frame.outer;
      frame = frame?.outer ?? null;
    }
    return frame;
  }

  #self(frame: Frame | null): Value {
    while (frame !== null && !frame.block) frame = frame.outer;
    return frame === null ? this.context.data : frame.self;
  }

  #name(head: string, from: Frame | null, root: boolean): Value {
    let inBlock = false;
    for (let frame = from; frame !== null; frame = frame.outer) {
      if (frame.names !== null && !(root && frame.block) && Object.hasOwn(frame.names, head)) return frame.names[head];
      // Only the innermost block gives its own keys; those of the blocks around are reached by `../`.
      if (frame.block && !inBlock && !root) {
        inBlock = true;
        const value = isObject(frame.self) ? own(frame.self, head) : undefined;
        if (value !== undefined) return value;
      }
    }
    if (this.#variables?.has(head)) return this.#variables.get(head);
    const { data, profile, tenant, brand, builtIns } = this.context;
    if (head === "data") return data;
    if (head === "profile") return profile;
    if (head === "tenant") return tenant;
    if (head === "brand") return brand;
    if (head === "refs") return Object.fromEntries(this.refs);
    const value = inBlock ? undefined : own(data, head);
    return value === undefined ? own(builtIns, head) : value;
  }

  /** The text of a template with its values written by `write`. @throws RenderError */
  print(template: Template, write: Write = asIs): string {
    if (template.literal !== null) return this.emit(template.literal);
    if (template.fault !== null) throw new RenderError(template.fault);
    return this.#parts(template.parts, write);
  }

  /**
   * The text of a template with a numbered mark in place of each value, for reading as markdown: what a value says is
   * then never taken for markup. Values are appended to `values`.
   */
  printMarked(template: Template, values: string[]): string {
    return this.print(template, (value) => VALUE_OPEN + (values.push(value) - 1) + VALUE_CLOSE);
  }

  /** The values alone, in the order of their marks in a flat template. */
  values(template: Template): readonly string[] {
    if (template.fault !== null) throw new RenderError(template.fault);
    const values: string[] = [];
    for (const part of template.parts) {
      if (typeof part === "string") this.emit(part);
      else values.push(this.emit(this.#valueText(part)));
    }
    return values;
  }

  #parts(parts: readonly Part[], write: Write): string {
    let text = "";
    for (const part of parts) {
      this.step();
      if (typeof part === "string") text += this.emit(part);
      else if (part.kind === "block") text += this.#block(part, write);
      else if (part.kind === "partial") text += this.#partial(part.name, part.named, write);
      else text += write(this.emit(this.#valueText(part)), part.kind === "value" && part.raw);
    }
    return text;
  }

  #valueText(part: Part): string {
    if (typeof part === "string") return part;
    if (part.kind === "variable") {
      const value = this.resolve(part.path);
      return value === undefined || value === null ? part.source : this.#text(value);
    }
    return part.kind === "value" ? this.#text(this.#evaluate(part.value)) : "";
  }

  #text(value: Value): string {
    return cleanText(this.text(value));
  }

  #evaluate(expression: Expression): Value {
    if (expression.kind === "literal") return expression.value;
    if (expression.kind === "path") return this.resolve(expression.path);
    this.step();
    const args = expression.args.map((arg) => this.#evaluate(arg));
    const result = call(expression.name, args, this, this.#named(expression.named));
    if (typeof result === "string") {
      if (result.length > MAX_OUTPUT) throw new RenderError(`a value has more than ${MAX_OUTPUT} characters`);
      this.work(result.length);
    }
    return result;
  }

  #named(named: Call["named"]): ReadonlyMap<string, Value> {
    return new Map(named.map(({ name, value }) => [name, this.#evaluate(value)]));
  }

  #block(block: Block, write: Write): string {
    const value = this.#evaluate(block.value);
    const body = (): string => this.#parts(block.body, write);
    switch (block.name) {
      case "if":
        return isTrue(value) ? body() : this.#parts(block.otherwise, write);
      case "unless":
        return isTrue(value) ? this.#parts(block.otherwise, write) : body();
      case "each":
        return this.#each(block, value, write);
      case "section":
        if (Array.isArray(value)) return this.#each(block, value, write);
        if (value === true) return body();
        break;
    }
    if (!isTrue(value)) return this.#parts(block.otherwise, write);
    const first = block.names[0];
    const names = first === undefined ? null : { [first]: value };
    return this.#inside({ outer: this.#frame, block: true, self: value, names }, body);
  }

  #each(block: Block, value: Value, write: Write): string {
    const keys = isObject(value) ? Object.keys(value) : null;
    const count = Array.isArray(value) ? value.length : (keys?.length ?? 0);
    if (count === 0) return this.#parts(block.otherwise, write);
    const [itemName, keyName] = block.names;
    let text = "";
    for (let index = 0; index < count; index++) {
      this.step();
      const key = keys === null ? index : (keys[index] as string);
      const self = own(value as Json, key);
      const names: { [name: string]: Value } = {
        "@index": index,
        "@key": key,
        "@first": index === 0,
        "@last": index === count - 1,
      };
      if (itemName !== undefined) names[itemName] = self;
      if (keyName !== undefined) names[keyName] = key;
      text += this.#inside({ outer: this.#frame, block: true, self, names }, () => this.#parts(block.body, write));
    }
    return text;
  }

  /** A snippet of the brand, in place; nothing when the brand has none of that name. */
  #partial(name: string, named: Call["named"], write: Write): string {
    const items = own(own(this.context.brand, "snippets"), "items");
    if (!Array.isArray(items)) return "";
    this.work(items.length * CHARACTERS_PER_STEP);
    const text = own(
      items.find((item) => own(item, "name") === name),
      "value",
    );
    if (typeof text !== "string") return "";
    if (this.#partials >= MAX_PARTIAL_DEPTH) {
      throw new RenderError(`snippets are nested more than ${MAX_PARTIAL_DEPTH} deep`);
    }
    this.#partials++;
    try {
      const names = Object.fromEntries(this.#named(named));
      return this.within(names, () => this.print(cachedTemplate(text), write));
    } finally {
      this.#partials--;
    }
  }
}
