/** Rows besides documents in which secrets stand, of all environments; for the command that seals them anew. */
import { type Database, only, run } from "./database.ts";
import { text } from "./text.ts";

interface Place {
  /** The primary key. */
  readonly key: readonly string[];
  readonly columns: readonly string[];
  /** Which rows; the others are not even read. */
  readonly where: string;
}

const PLACES = {
  party_documents: { key: ["env_id", "party", "kind", "name"], columns: ["body"], where: "kind = 'channel'" },
  deliveries: {
    key: ["id"],
    columns: ["address", "content"],
    where: "channel in ('chat', 'webhook') and origin is not null",
  },
  captured: { key: ["env_id", "id"], columns: ["address", "payload"], where: "channel = 'chat'" },
  endpoint_attempts: { key: ["message_id", "id"], columns: ["sent_headers"], where: "sent_headers <> '{}'" },
  idempotency_keys: { key: ["env_id", "scope", "key"], columns: ["body"], where: "body is not null" },
} as const satisfies { readonly [table: string]: Place };

export type SealedTable = keyof typeof PLACES;
export const SEALED_TABLES = Object.keys(PLACES) as readonly SealedTable[];

export interface SealedRow {
  readonly key: readonly string[];
  /** What its columns hold, in their order: JSON, and of `idempotency_keys` whatever was answered. */
  readonly texts: readonly string[];
}

export interface SealedRows {
  /** By key, after the row `after`; a page shorter than `limit` is the last one. */
  page(table: SealedTable, after: SealedRow | null, limit: number): Promise<readonly SealedRow[]>;
  /** @returns false, having written nothing, when the row does not hold these texts any more. */
  replace(table: SealedTable, row: SealedRow, texts: readonly string[]): Promise<boolean>;
  /** What the row holds now; null when it is gone. */
  read(table: SealedTable, key: readonly string[]): Promise<SealedRow | null>;
}

export function sealedRows(db: Database): SealedRows {
  const { dialect } = db;
  const rowsOf = async (table: SealedTable, where: string, params: readonly (string | number)[], rest = "") => {
    const { key, columns }: Place = PLACES[table];
    const sql = `select ${[...key, ...columns].join(", ")} from ${table} where ${where}${rest}`;
    const { rows } = await db.read(() => run(only(text(dialect, sql, [...params]))));
    return rows.map(
      (row): SealedRow => ({
        key: key.map((name) => row[name] as string),
        texts: columns.map((name) => row[name] as string),
      }),
    );
  };
  return {
    page(table, after, limit) {
      const { key, where }: Place = PLACES[table];
      const names = key.join(", ");
      const beyond = after === null ? "" : ` and (${names}) > (${key.map(() => "?").join(", ")})`;
      const params = [...(after?.key ?? []), limit];
      return rowsOf(table, where + beyond, params, ` order by ${names} limit ?`);
    },

    async replace(table, row, texts) {
      const { key, columns }: Place = PLACES[table];
      const set = columns.map((name) => `${name} = ?`).join(", ");
      const where = [...key, ...columns].map((name) => `${name} = ?`).join(" and ");
      const sql = `update ${table} set ${set} where ${where}`;
      const params = [...texts, ...row.key, ...row.texts];
      const { changes } = await db.write(() => run(only(text(dialect, sql, params))));
      return changes > 0;
    },

    async read(table, key) {
      const { key: names }: Place = PLACES[table];
      return (await rowsOf(table, names.map((name) => `${name} = ?`).join(" and "), key))[0] ?? null;
    },
  };
}
