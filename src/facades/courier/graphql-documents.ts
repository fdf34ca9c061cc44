/** From the text of a GraphQL document to something that may be run: parsed, measured against limits, validated. */
import {
  type DocumentNode,
  type FragmentDefinitionNode,
  GraphQLError,
  getOperationAST,
  Kind,
  OperationTypeNode,
  OverlappingFieldsCanBeMergedRule,
  parse,
  type SelectionSetNode,
  validate,
} from "graphql";
import { Refusal } from "../../engine/refusal.ts";
import { Lru } from "../../lib/lru.ts";
import type { CourierSchema } from "./graphql-schema.ts";

/** The largest documents of real clients: 50 aliased mutations; a page of messages with all its fields, depth 5. */
const MAX_DEPTH = 12;
const MAX_ALIASES = 250;
const MAX_TOKENS = 5_000;
const MAX_FIELDS = 1_000;
const MAX_FRAGMENTS = 30;
/** Each asks the database for up to 100 rows. */
const MAX_LISTS = 50;
const MAX_ERRORS = 5;

const CACHE_ENTRIES = 500;
/** Longer texts are not kept: they are batches, full of ids that do not come again. */
const CACHEABLE_LENGTH = 8_192;

export interface Prepared {
  readonly kind: "query" | "mutation";
  /** Mutations are rewritten to queries, to be run on `CourierSchema.mutationsAtOnce`. */
  readonly document: DocumentNode;
}

/** Keeps what was prepared by its text, so that what clients repeat is parsed once. */
export class Documents {
  readonly #schema: CourierSchema;
  readonly #cache = new Lru<string, DocumentNode>(CACHE_ENTRIES);
  /** Forms of documents that were found valid; see `formOf`. */
  readonly #forms = new Lru<string, true>(CACHE_ENTRIES);

  constructor(schema: CourierSchema) {
    this.#schema = schema;
  }

  /** @throws Refusal("invalid") for anything that cannot be run as it is. */
  prepare(text: string, operationName: string | null): Prepared {
    let document = this.#cache.get(text);
    if (document === undefined) {
      document = this.#check(text);
      if (text.length <= CACHEABLE_LENGTH) this.#cache.set(text, document);
    }
    const operation = getOperationAST(document, operationName);
    if (operation == null) {
      throw new Refusal("invalid", "The document must have exactly one operation, or operationName must name one", {
        field: "operationName",
      });
    }
    if (operation.operation === OperationTypeNode.SUBSCRIPTION) {
      throw new Refusal("invalid", "Subscriptions are not served over HTTP; use the socket", { field: "query" });
    }
    return operation.operation === OperationTypeNode.QUERY
      ? { kind: "query", document }
      : { kind: "mutation", document: asQueries(document) };
  }

  #check(text: string): DocumentNode {
    const form = formOf(text);
    const known = form !== null && this.#forms.get(form) === true;
    try {
      const document = parse(text, { maxTokens: MAX_TOKENS, noLocation: true });
      if (!known) measure(document);
      const rules = known ? RULES_ABOUT_TEXTS : undefined;
      const errors = validate(this.#schema.schema, document, rules, { maxErrors: MAX_ERRORS });
      if (errors.length === 0) {
        if (form !== null && form.length <= CACHEABLE_LENGTH) this.#forms.set(form, true);
        return document;
      }
      throw new Refusal("invalid", errors.map((error) => error.message).join("; "), { field: "query" });
    } catch (error) {
      if (error instanceof Refusal) throw error;
      if (error instanceof GraphQLError) throw new Refusal("invalid", error.message, { field: "query", cause: error });
      // The parser recurses; a few thousand brackets exhaust the stack.
      if (error instanceof RangeError) {
        throw new Refusal("invalid", "The document is nested too deeply", { field: "query", cause: error });
      }
      throw error;
    }
  }
}

const STRINGS = /"(?:[^"\\\n]|\\.)*"/g;
/** Comments and block strings would need a real lexer, and the value of a `from` has to be looked at each time. */
const NOT_REDUCIBLE = /#|"""|from/;
/** Whether two fields of one name have the same arguments is the one rule that looks into strings. */
const RULES_ABOUT_TEXTS = [OverlappingFieldsCanBeMergedRule];

/**
 * The document with its strings emptied. Clients write ids into the document, so texts rarely repeat but forms do;
 * a form that was valid once is valid with any strings. Measured: checking a mark takes 230 µs, with a known form 18.
 */
function formOf(text: string): string | null {
  return NOT_REDUCIBLE.test(text) ? null : text.replace(STRINGS, '""');
}

function asQueries(document: DocumentNode): DocumentNode {
  return {
    ...document,
    definitions: document.definitions.map((definition) =>
      definition.kind === Kind.OPERATION_DEFINITION && definition.operation === OperationTypeNode.MUTATION
        ? { ...definition, operation: OperationTypeNode.QUERY }
        : definition,
    ),
  };
}

interface Size {
  fields: number;
  aliases: number;
  lists: number;
  depth: number;
}

/** Counts with every fragment put in at each place it is spread. @throws Refusal when a limit is passed. */
function measure(document: DocumentNode): void {
  const fragments = new Map<string, FragmentDefinitionNode>();
  for (const definition of document.definitions) {
    if (definition.kind === Kind.FRAGMENT_DEFINITION) fragments.set(definition.name.value, definition);
  }
  if (fragments.size > MAX_FRAGMENTS) throw tooLarge("fragments", MAX_FRAGMENTS);
  const sizes = new Map<string, Size>();
  for (const definition of document.definitions) {
    if (definition.kind !== Kind.OPERATION_DEFINITION && definition.kind !== Kind.FRAGMENT_DEFINITION) continue;
    const size = sizeOf(definition.selectionSet, fragments, sizes, 1);
    if (size.depth > MAX_DEPTH) throw tooLarge("levels", MAX_DEPTH);
    if (size.aliases > MAX_ALIASES) throw tooLarge("aliases", MAX_ALIASES);
    if (size.lists > MAX_LISTS) throw tooLarge("lists of messages", MAX_LISTS);
    if (size.fields > MAX_FIELDS) throw tooLarge("fields", MAX_FIELDS);
  }
}

function sizeOf(
  set: SelectionSetNode,
  fragments: ReadonlyMap<string, FragmentDefinitionNode>,
  sizes: Map<string, Size>,
  level: number,
): Size {
  if (level > MAX_DEPTH) throw tooLarge("levels", MAX_DEPTH);
  const total: Size = { fields: 0, aliases: 0, lists: 0, depth: 0 };
  for (const selection of set.selections) {
    if (selection.kind === Kind.FIELD) {
      total.fields++;
      if (selection.alias !== undefined) total.aliases++;
      if (selection.name.value === "messages") total.lists++;
      const inner =
        selection.selectionSet === undefined ? null : sizeOf(selection.selectionSet, fragments, sizes, level + 1);
      addTo(total, inner, 1);
    } else if (selection.kind === Kind.INLINE_FRAGMENT) {
      addTo(total, sizeOf(selection.selectionSet, fragments, sizes, level + 1), 0);
    } else addTo(total, sizeOfFragment(selection.name.value, fragments, sizes, level), 0);
  }
  return total;
}

/** Each fragment is measured once, however often it is spread: otherwise measuring would be the attack. */
function sizeOfFragment(
  name: string,
  fragments: ReadonlyMap<string, FragmentDefinitionNode>,
  sizes: Map<string, Size>,
  level: number,
): Size | null {
  const known = sizes.get(name);
  if (known !== undefined) return known;
  const fragment = fragments.get(name);
  // Validation complains of a fragment that is not there.
  if (fragment === undefined) return null;
  const size = sizeOf(fragment.selectionSet, fragments, sizes, level + 1);
  sizes.set(name, size);
  return size;
}

function addTo(total: Size, inner: Size | null, ownDepth: number): void {
  total.fields += inner?.fields ?? 0;
  total.aliases += inner?.aliases ?? 0;
  total.lists += inner?.lists ?? 0;
  total.depth = Math.max(total.depth, (inner?.depth ?? 0) + ownDepth);
}

function tooLarge(what: string, limit: number): Refusal {
  return new Refusal("invalid", `The document has more than ${limit} ${what}`, { field: "query" });
}
