import { startApp } from "../app.ts";
import type { Config } from "../config.ts";

/** A supervisor kills after 10 s. Whatever hangs by then, for example a database that does not answer, hangs on. */
const STOP_WITHIN_MS = 9_500;

/**
 * Runs the server until SIGTERM or SIGINT, which may come while it starts.
 * @returns the exit code, once everything is closed. What takes too long to close is left: nothing is lost by it.
 */
export async function serve(config: Config): Promise<number> {
  const told = new Promise<void>((resolve) => {
    for (const signal of ["SIGTERM", "SIGINT"] as const) {
      process.once(signal, () => {
        setTimeout(() => {
          process.stderr.write("carillon: stopping took too long; leaving what is not closed\n");
          process.exit(0);
        }, STOP_WITHIN_MS).unref();
        resolve();
      });
    }
  });
  const app = await startApp(config);
  const keys = keysHint(config.secretKey !== null, app.credentials.secretKey !== null, config.dataDir);
  process.stdout.write(`carillon is listening on ${app.url} (${keys})\n`);
  if (app.demoUrl !== null) process.stdout.write(`see it work: ${app.demoUrl}\n`);
  await told;
  process.stdout.write("stopping\n");
  await app.close();
  return 0;
}

/** How one gets at the keys: `carillon keys` knows a generated one only from the file beside the database. */
export function keysHint(configured: boolean, known: boolean, dataDir: string): string {
  if (configured) return "keys as configured";
  if (!known) return "with the secret key that was set before; CARILLON_SECRET_KEY can replace it";
  if (dataDir === ":memory:") return "with a key that nobody knows: set CARILLON_SECRET_KEY";
  return "`npm run carillon keys` prints the keys";
}
