/** One send to a list of 600,000: rows per second against a loop that inserts the same rows and does nothing else. */
import { DatabaseSync } from "node:sqlite";
import { setTimeout as pause } from "node:timers/promises";
import { call, startChild } from "../test/support/child.ts";
import { fixed, type Measurement, memoryOf, temporaryDir, whole } from "./measure.ts";

const SUBSCRIBERS = 600_000;
const CHUNK = 20_000;
const BATCH = 1000;
const TABLES = ["messages", "deliveries", "inbox_counts"];

export const fanOut: Measurement = {
  name: "fan-out",
  run: (_rounds, tell) =>
    temporaryDir(async (dir) => {
      const server = await startChild({ CARILLON_DATA_DIR: dir });
      const pid = server.process.pid as number;
      try {
        for (let from = 0; from < SUBSCRIBERS; from += CHUNK) {
          const recipients = Array.from({ length: CHUNK }, (_, i) => ({ recipientId: `user-${from + i}` }));
          const { status } = await call(server.url, "POST", "/lists/everyone/subscriptions", { recipients });
          if (status >= 300) throw new Error(`subscribing answered ${status}`);
        }
        tell(`  ${whole(SUBSCRIBERS)} subscribers stand`);
        const reader = new DatabaseSync(`${dir}/carillon.db`, { readOnly: true });
        const message = {
          to: { list_id: "everyone" },
          routing: { method: "single", channels: ["inbox"] },
          content: { title: "News", body: "There is news." },
        };
        const before = memoryOf(pid);
        let peak = before;
        const started = performance.now();
        const { status } = await call(server.url, "POST", "/send", { message });
        if (status !== 202) throw new Error(`the send answered ${status}`);
        const open = reader.prepare("select count(*) as n from requests where state = 'expanding'");
        while ((open.get() as { n: number }).n > 0) {
          peak = Math.max(peak, memoryOf(pid));
          await pause(50);
        }
        const seconds = (performance.now() - started) / 1000;
        const rows = TABLES.reduce(
          (sum, table) => sum + (reader.prepare(`select count(*) as n from ${table}`).get() as { n: number }).n,
          0,
        );
        reader.close();
        tell(`  expanded in ${fixed(seconds, 1)} s`);
        await server.stop();
        const bareRate = bareLoop(`${dir}/carillon.db`, `${dir}/bare.db`, rows);
        const ratio = rows / seconds / bareRate;
        const growth = (peak - before) / 1e6;
        return [
          {
            what: "one list send to 600,000 subscribers, rows/s ÷ batched insert of the same rows",
            ours: whole(rows / seconds),
            bare: whole(bareRate),
            figure: fixed(ratio),
            goal: "≥ 0.25",
            met: ratio >= 0.25,
          },
          {
            what: "growth of resident memory meanwhile",
            ours: `${fixed(growth, 0)} MB`,
            bare: "–",
            figure: `${fixed(growth, 0)} MB`,
            goal: "≤ 100 MB",
            met: growth <= 100,
          },
        ];
      } finally {
        await server.kill();
      }
    }),
};

/** Copies the rows into the same tables with the same indexes, a thousand messages to a commit. @returns rows/s. */
function bareLoop(from: string, to: string, total: number): number {
  const source = new DatabaseSync(from, { readOnly: true });
  const target = new DatabaseSync(to);
  target.exec("pragma journal_mode = wal; pragma synchronous = full");
  // Tables before their indexes; no triggers, because nobody is to be told of anything here.
  const definitions = source
    .prepare(
      "select sql, tbl_name from sqlite_master where sql is not null and type in ('table', 'index') order by type desc",
    )
    .all() as { sql: string; tbl_name: string }[];
  for (const { sql, tbl_name } of definitions) if (TABLES.includes(tbl_name)) target.exec(sql);
  let spent = 0;
  const inserts = TABLES.map((table) => {
    const rows = source.prepare(`select * from ${table}`).iterate() as Iterator<Record<string, string | number | null>>;
    const columns = (source.prepare(`select name from pragma_table_info('${table}')`).all() as { name: string }[]).map(
      ({ name }) => name,
    );
    return {
      rows,
      columns,
      insert: target.prepare(
        `insert into ${table} (${columns.join(", ")}) values (${columns.map(() => "?").join(", ")})`,
      ),
    };
  });
  let written = 0;
  while (written < total) {
    const batch = inserts.map(({ rows, columns, insert }) => {
      const values: (string | number | null)[][] = [];
      for (let i = 0; i < BATCH; i++) {
        const next = rows.next();
        if (next.done) break;
        values.push(columns.map((name) => next.value[name] as string | number | null));
      }
      return { insert, values };
    });
    const started = performance.now();
    target.exec("begin immediate");
    for (const { insert, values } of batch) for (const row of values) insert.run(...row);
    target.exec("commit");
    spent += performance.now() - started;
    const rows = batch.reduce((sum, { values }) => sum + values.length, 0);
    if (rows === 0) break;
    written += rows;
  }
  source.close();
  target.close();
  return written / (spent / 1000);
}
