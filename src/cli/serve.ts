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
  const keys = config.secretKey === null ? "`npm run carillon keys` prints the keys" : "keys as configured";
  process.stdout.write(`carillon is listening on ${app.url} (${keys})\n`);
  if (app.demoUrl !== null) process.stdout.write(`see it work: ${app.demoUrl}\n`);
  await told;
  process.stdout.write("stopping\n");
  await app.close();
  return 0;
}
