import { startApp } from "../app.ts";
import type { Config } from "../config.ts";

/**
 * Runs the server until SIGTERM or SIGINT.
 * @returns the exit code, once everything is closed.
 */
export async function serve(config: Config): Promise<number> {
  const app = await startApp(config);
  const keys = config.secretKey === null ? "`npm run carillon keys` prints the keys" : "keys as configured";
  process.stdout.write(`carillon is listening on ${app.url} (${keys})\n`);
  if (app.demoUrl !== null) process.stdout.write(`see it work: ${app.demoUrl}\n`);
  await new Promise<void>((resolve) => {
    process.once("SIGTERM", () => resolve());
    process.once("SIGINT", () => resolve());
  });
  process.stdout.write("stopping\n");
  await app.close();
  return 0;
}
