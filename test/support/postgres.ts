/** A Postgres of the test's own, which it may stop and start. */
import { execFile } from "node:child_process";
import { existsSync, globSync } from "node:fs";
import { chmod, chown, mkdtemp, rm } from "node:fs/promises";
import { createServer } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { promisify } from "node:util";

const run = promisify(execFile);

export interface OwnPostgres {
  readonly url: string;
  /** At once, connections cut: as if the machine had lost it. */
  stop(): Promise<void>;
  start(): Promise<void>;
  remove(): Promise<void>;
}

/** @returns null when Postgres is not installed here. */
export async function ownPostgres(): Promise<OwnPostgres | null> {
  const bin = globSync("/usr/lib/postgresql/*/bin").sort().at(-1);
  if (bin === undefined || !existsSync(join(bin, "initdb"))) return null;
  const dir = await mkdtemp(join(tmpdir(), "carillon-postgres-"));
  const asRoot = process.getuid?.() === 0;
  // Postgres refuses to run as root: it then runs as the user its package has made.
  const program = (name: string, ...args: string[]): Promise<unknown> =>
    asRoot ? run("runuser", ["-u", "postgres", "--", join(bin, name), ...args]) : run(join(bin, name), args);
  if (asRoot) {
    const { stdout } = await run("id", ["-u", "postgres"]);
    await chmod(dir, 0o700);
    await chown(dir, Number(stdout), -1);
  }
  const port = await freePort();
  const options = `-p ${port} -c listen_addresses=127.0.0.1 -c unix_socket_directories='' -c fsync=off`;
  const start = async (): Promise<void> => {
    await program("pg_ctl", "-D", dir, "-w", "-s", "-l", join(dir, "log"), "-o", options, "start");
  };
  const stop = async (): Promise<void> => {
    await program("pg_ctl", "-D", dir, "-s", "-m", "immediate", "stop");
  };
  await program("initdb", "-D", dir, "-U", "postgres", "-A", "trust");
  await start();
  return {
    url: `postgres://postgres@127.0.0.1:${port}/postgres`,
    start,
    stop,
    async remove() {
      await stop().catch(() => {});
      await rm(dir, { recursive: true, force: true });
    },
  };
}

async function freePort(): Promise<number> {
  const server = createServer().listen(0, "127.0.0.1");
  await new Promise((resolve) => server.once("listening", resolve));
  const { port } = server.address() as { port: number };
  await new Promise((resolve) => server.close(resolve));
  return port;
}
