/**
 * Listens where the drivers are called, so that what is recorded is the text the database gets, whoever put it
 * together; and notes for which method of which store it was.
 */
import { StatementSync } from "node:sqlite";
import { Client } from "pg";

/** What one store asked: the methods by statement, both in the order in which they came first. */
export type Recorded = ReadonlyMap<string, ReadonlySet<string>>;

const TRANSACTIONS = /^(begin|commit|rollback|savepoint|release)\b/;

export class StatementRecorder {
  readonly #byNoun = new Map<string, Map<string, Set<string>>>();
  readonly #called = new Map<string, Set<string>>();
  #underWay: { readonly noun: string; readonly method: string } | null = null;

  /**
   * The same store, its methods recorded. Their calls must not overlap: a statement belongs to the call under way.
   */
  listenTo<S extends object>(noun: string, store: S): S {
    this.#byNoun.set(noun, new Map());
    this.#called.set(noun, new Set());
    return Object.fromEntries(
      Object.entries(store).map(([method, call]) => [
        method,
        async (...args: unknown[]) => {
          if (this.#underWay !== null) throw new Error(`${noun}.${method} was called during another call`);
          this.#called.get(noun)?.add(method);
          this.#underWay = { noun, method };
          try {
            return await call(...args);
          } finally {
            this.#underWay = null;
          }
        },
      ]),
    ) as S;
  }

  recorded(noun: string): Recorded {
    return this.#byNoun.get(noun) ?? new Map();
  }

  called(noun: string): ReadonlySet<string> {
    return this.#called.get(noun) ?? new Set();
  }

  /** Begins to listen to the drivers of both databases. @returns what ends it. */
  start(): () => void {
    const undo: (() => void)[] = [];
    const hear = (text: string): void => this.#hear(text);
    for (const name of ["all", "get", "run", "iterate"] as const) {
      const original = StatementSync.prototype[name] as (this: StatementSync, ...args: unknown[]) => unknown;
      const listening = function (this: StatementSync, ...args: unknown[]): unknown {
        hear(this.sourceSQL);
        return original.apply(this, args);
      };
      Object.assign(StatementSync.prototype, { [name]: listening });
      undo.push(() => Object.assign(StatementSync.prototype, { [name]: original }));
    }
    const original = Client.prototype.query as (this: Client, ...args: unknown[]) => unknown;
    const listening = function (this: Client, ...args: unknown[]): unknown {
      const [first] = args as [string | { readonly text: string }];
      hear(typeof first === "string" ? first : first.text);
      return original.apply(this, args);
    };
    Object.assign(Client.prototype, { query: listening });
    undo.push(() => Object.assign(Client.prototype, { query: original }));
    return () => {
      for (const step of undo) step();
    };
  }

  #hear(text: string): void {
    if (this.#underWay === null || TRANSACTIONS.test(text)) return;
    const { noun, method } = this.#underWay;
    const statements = this.#byNoun.get(noun) as Map<string, Set<string>>;
    const sql = withoutRepetitions(text);
    const methods = statements.get(sql);
    if (methods === undefined) statements.set(sql, new Set([method]));
    else methods.add(method);
  }
}

/** The parts of a `union all` that follow each other and say the same. */
const REPEATED = /(select (?:(?! union all ).)+)((?: union all \1)+)/g;
const NUMBERS = /\bin \(\d+(?:, \d+)*\)/g;

/** One spelling for statements that differ only in the length of a list: what is repeated is said once. */
function withoutRepetitions(text: string): string {
  const sql = text.replace(/\s+/g, " ").replaceAll(" )", ")").trim().replace(NUMBERS, "in (…)");
  const plain = sql.replace(/\$\d+/g, "?");
  const once = plain.replace(REPEATED, "$1");
  if (once === plain) return sql;
  let count = 0;
  return sql === plain ? once : once.replaceAll("?", () => `$${++count}`);
}
