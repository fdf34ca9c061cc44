/** All documents of an environment, whatever their kind; for commands that go through everything. */
import type { EnvironmentId } from "../engine/model.ts";
import type { Millis } from "../lib/clock.ts";
import { type Database, only, run } from "./database.ts";
import { text } from "./text.ts";

/** A document whose body is left as the text it is stored as: most are only glanced at. */
export interface StoredDocument {
  readonly kind: string;
  readonly id: string;
  readonly body: string;
  readonly version: number;
  readonly updatedAt: Millis;
}

export interface DocumentWalk {
  /** By kind and id, after the document `after`; a page shorter than `limit` is the last one. */
  page(
    environmentId: EnvironmentId,
    after: Pick<StoredDocument, "kind" | "id"> | null,
    limit: number,
  ): Promise<readonly StoredDocument[]>;
  /** Replaces an environment's signing secret, as it is stored. @returns false when it is not `from` any more. */
  replaceSigningSecret(environmentId: EnvironmentId, from: string, to: string): Promise<boolean>;
}

export function documentWalk(db: Database): DocumentWalk {
  const { dialect } = db;
  return {
    page: (environmentId, after, limit) =>
      db.read(function* () {
        const beyond = after === null ? "" : "and (kind, id) > (?, ?) ";
        const { rows } = yield* run(
          text(
            dialect,
            `select kind, id, body, version, updated_at from documents where env_id = ? ${beyond}
            order by kind, id limit ?`,
            [environmentId, ...(after === null ? [] : [after.kind, after.id]), limit],
          ),
        );
        return rows.map((row) => ({
          kind: row.kind as string,
          id: row.id as string,
          body: row.body as string,
          version: row.version as number,
          updatedAt: row.updated_at as Millis,
        }));
      }),

    replaceSigningSecret: async (environmentId, from, to) => {
      const sql = "update environments set signing_secret = ? where id = ? and signing_secret = ?";
      const { changes } = await db.write(() => run(only(text(dialect, sql, [to, environmentId, from]))));
      return changes > 0;
    },
  };
}
