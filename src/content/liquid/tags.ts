/** The tags that are ours: those that include other texts, and those of the library that do not mind what they cost. */
import {
  evalToken,
  Hash,
  type Liquid,
  type Template as Node,
  type Parser,
  Tag,
  type TagToken,
  type TopLevelToken,
  Value,
} from "liquidjs";
import { RenderError } from "../../engine/ports.ts";
import { asWritten, lookUp, Printed, type TemplateContext, Writer } from "./context.ts";
import type { Steps } from "./drive.ts";
import { translation } from "./filters/lookups.ts";
import { markdownHtml } from "./html/markdown.ts";
import type { Template } from "./language.ts";
import { textOf } from "./values.ts";

/** The language itself, which partials and translations are read and rendered with. */
export interface Texts {
  compile(source: string): Template;
  print(template: Template, context: TemplateContext): Steps<string>;
  /** What went wrong, for the author. */
  described(error: unknown): string;
}

type TagClass = new (token: TagToken, rest: TopLevelToken[], liquid: Liquid, parser: Parser) => Tag;

const MAX_PARTIALS = 5;

export function registerTags(liquid: Liquid, texts: Texts): void {
  // Files, and blocks that overwrite one another, are no part of this dialect.
  for (const name of ["include", "layout", "block"]) delete liquid.tags[name];
  liquid.registerTag("capture", Capture);
  liquid.registerTag("cycle", Cycle);
  liquid.registerTag("render", renderTag(texts));
  liquid.registerTag("t", translateTag(texts));
}

interface Body {
  readonly nodes: Node[];
  /** As it was written. */
  readonly source: string;
}

/** Takes what stands between a tag and its end off the rest. */
function readBody(tag: TagToken, rest: TopLevelToken[], parser: Parser, end: string): Body {
  const nodes: Node[] = [];
  let token = rest.shift();
  while (token !== undefined) {
    if ((token as Partial<TagToken>).name === end) return { nodes, source: tag.input.slice(tag.end, token.begin) };
    nodes.push(parser.parseToken(token, rest));
    token = rest.shift();
  }
  throw new Error(`tag ${tag.getText().slice(0, 100)} not closed`);
}

/** What is captured is the author's markup; the values in it are written as anywhere else. */
class Capture extends Tag {
  readonly #name: string;
  readonly #body: Node[];

  constructor(token: TagToken, rest: TopLevelToken[], liquid: Liquid, parser: Parser) {
    super(token, rest, liquid);
    const name = this.tokenizer.readIdentifier().content || this.tokenizer.readQuoted()?.content;
    if (!name) throw new Error("capture needs a name");
    this.#name = name;
    this.#body = readBody(token, rest, parser, "endcapture").nodes;
  }

  override *render(context: TemplateContext): Steps<void> {
    const text = yield* written(this.liquid, this.#body, context);
    (context.bottom() as Record<string, unknown>)[this.#name] = asWritten(text, context);
  }
}

function* written(liquid: Liquid, nodes: Node[], context: TemplateContext): Steps<string> {
  const writer = new Writer(context);
  yield liquid.renderer.renderTemplates(nodes, context, writer);
  return writer.buffer;
}

class Cycle extends Tag {
  readonly #group: Value | null = null;
  readonly #candidates: Value[] = [];
  readonly #key: string;

  constructor(token: TagToken, rest: TopLevelToken[], liquid: Liquid) {
    super(token, rest, liquid);
    const begin = this.tokenizer.p;
    const group = this.tokenizer.readFilteredValue();
    this.tokenizer.skipBlank();
    if (this.tokenizer.peek() === ":") {
      this.#group = new Value(group, liquid);
      this.tokenizer.advance();
    } else this.tokenizer.p = begin;
    while (!this.tokenizer.end()) {
      this.#candidates.push(new Value(this.tokenizer.readFilteredValue(), liquid));
      this.tokenizer.readTo(",");
    }
    if (this.#candidates.length === 0) throw new Error("cycle needs something to go round");
    this.#key = `${this.tokenizer.input.slice(begin, this.tokenizer.N)}`;
  }

  override *render(context: TemplateContext, emitter: Writer): Steps<void> {
    const group = this.#group === null ? this.#key : textOf(yield this.#group.value(context), context.budget);
    const places = context.getRegister<Map<string, number>>("cycles", new Map());
    const place = places.get(group) ?? 0;
    places.set(group, (place + 1) % this.#candidates.length);
    const value = yield (this.#candidates[place % this.#candidates.length] as Value).value(context);
    emitter.write(new Printed(value));
  }
}

function renderTag(texts: Texts): TagClass {
  return class Render extends Tag {
    readonly #key: ReturnType<typeof this.tokenizer.readValue>;
    readonly #names: Hash;

    constructor(token: TagToken, rest: TopLevelToken[], liquid: Liquid) {
      super(token, rest, liquid);
      this.#key = this.tokenizer.readValue();
      if (this.#key === undefined) throw new Error("render needs the key of a partial");
      const begin = this.tokenizer.p;
      const word = this.tokenizer.readIdentifier().content;
      this.tokenizer.skipBlank();
      if ((word === "for" || word === "with") && this.tokenizer.peek() !== ":") {
        throw new Error(`render takes named arguments only, not "${word}"`);
      }
      this.tokenizer.p = begin;
      this.#names = new Hash(this.tokenizer, liquid.options.keyValueSeparator);
    }

    override *render(context: TemplateContext, emitter: Writer): Steps<void> {
      const key = textOf(yield evalToken(this.#key, context), context.budget);
      const names = (yield this.#names.render(context)) as object;
      emitter.write(yield* printPartial(texts, key, names, context));
    }
  };
}

/** The text of a partial, which sees the names it is given and no others. @throws RenderError */
export function* printPartial(texts: Texts, key: string, names: object, context: TemplateContext): Steps<string> {
  const partials = context.partials + 1;
  if (partials > MAX_PARTIALS) throw new RenderError(`partials are nested more than ${MAX_PARTIALS} deep`);
  const found = yield* lookUp(context.session, JSON.stringify(["partial", key]), (sources) => sources.partial(key));
  if (found === null) throw new RenderError(`there is no partial "${key.slice(0, 100)}"`);
  const isMarkdown = found.type === "markdown" && context.mode === "html";
  const inner = context.inner(names, { shares: false, partials, mode: isMarkdown ? "marked" : context.mode });
  try {
    const text = yield* texts.print(texts.compile(found.content), inner);
    return isMarkdown ? markdownHtml(text, context.session.values, context.budget) : text;
  } catch (error) {
    // Of partials within partials the innermost is the one to mend.
    const message = texts.described(error);
    const said = message.startsWith("partial ") ? message : `partial "${key.slice(0, 100)}": ${message}`;
    throw new RenderError(said, { cause: error });
  }
}

/** What stands between the tags is both the text in the author's own language and the key of the others. */
function translateTag(texts: Texts): TagClass {
  return class Translate extends Tag {
    readonly #key: string;
    readonly #body: Node[];

    constructor(token: TagToken, rest: TopLevelToken[], liquid: Liquid, parser: Parser) {
      super(token, rest, liquid);
      const { nodes, source } = readBody(token, rest, parser, "endt");
      this.#body = nodes;
      this.#key = source.trim();
    }

    override *render(context: TemplateContext, emitter: Writer): Steps<void> {
      const found = yield* translation(context.session, this.#key, null);
      if (found === null) yield this.liquid.renderer.renderTemplates(this.#body, context, emitter);
      else emitter.write(yield* texts.print(texts.compile(found), context));
    }
  };
}
