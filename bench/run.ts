/** `npm run bench [-- --only accept,idle] [--rounds 5]`: every figure beside the bare loop it is compared with. */
import { existsSync, readFileSync, writeFileSync } from "node:fs";
import { cpus } from "node:os";
import { resolve } from "node:path";
import { parseArgs } from "node:util";
import { accept } from "./accept.ts";
import { fanOut } from "./fan-out.ts";
import { idle } from "./idle.ts";
import { inboxPage } from "./inbox-page.ts";
import type { Measurement, Row } from "./measure.ts";
import { oneInbox } from "./one-inbox.ts";
import { realtime } from "./realtime.ts";
import { sockets } from "./sockets.ts";
import { webhooks } from "./webhooks.ts";
import { workflows } from "./workflows.ts";

const ALL: readonly Measurement[] = [idle, accept, realtime, sockets, inboxPage, fanOut, webhooks, workflows, oneInbox];

const { values } = parseArgs({ options: { only: { type: "string" }, rounds: { type: "string", default: "5" } } });
const wanted = values.only?.split(",") ?? ALL.map((measurement) => measurement.name);
const unknown = wanted.filter((name) => !ALL.some((measurement) => measurement.name === name));
if (unknown.length > 0) {
  process.stderr.write(`no measurement ${unknown.join(", ")}; there are ${ALL.map((m) => m.name).join(", ")}\n`);
  process.exit(2);
}

const RESULTS = resolve(import.meta.dirname, "results.md");
const HEAD = [
  "# Measurements",
  "",
  `Written by \`npm run bench\`: medians of ${values.rounds} rounds in which both sides take turns. Node ${process.versions.node}, ${cpus().length} × ${cpus()[0]?.model.trim()}.`,
  "Client and server share the machine's cores, so absolute figures say little; the ratio to the bare loop of the same run is the figure.",
].join("\n");

/** The sections of what was measured before, by name: those that are not measured now stay as they are. */
function earlierSections(): Map<string, string> {
  if (!existsSync(RESULTS)) return new Map();
  const [, ...sections] = readFileSync(RESULTS, "utf8").split(/^## /m);
  return new Map(
    sections.map((section) => {
      const [name = "", ...lines] = section.trimEnd().split("\n");
      return [name, lines.join("\n").trim()];
    }),
  );
}

function tableOf(rows: readonly Row[]): string {
  return [
    "| what | ours | bare loop | figure | goal | met |",
    "|---|---|---|---|---|---|",
    ...rows.map(
      (row) =>
        `| ${row.what} | ${row.ours} | ${row.bare} | ${row.figure} | ${row.goal} | ${row.met ? "yes" : "**no**"} |`,
    ),
  ].join("\n");
}

const sections = earlierSections();
for (const measurement of ALL.filter(({ name }) => wanted.includes(name))) {
  process.stdout.write(`\n${measurement.name}\n`);
  try {
    const rows = await measurement.run(Number(values.rounds), (line) => process.stdout.write(`${line}\n`));
    const table = tableOf(rows);
    process.stdout.write(`\n${table}\n`);
    sections.set(measurement.name, table);
  } catch (error) {
    // What the others measured is not lost for it.
    console.error(error);
    process.exitCode = 1;
  }
}
const known = ALL.filter(({ name }) => sections.has(name));
writeFileSync(RESULTS, `${[HEAD, ...known.map(({ name }) => `## ${name}\n\n${sections.get(name)}`)].join("\n\n")}\n`);
