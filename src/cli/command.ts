import { ConfigError, readConfig, settingsHelp, settingsMarkdown, shownConfig } from "../config.ts";
import { Refusal } from "../engine/refusal.ts";

const HELP = `carillon – one self-hosted notification server that speaks the wire protocols of Courier, Svix,
Knock and Pushwoosh

Usage: carillon <command>

  serve                     run the server
  keys                      print the first environment's credentials
  listen <url>              forward an application's webhooks to this machine; \`carillon listen --help\` says more
  rotate-encryption-key     seal every secret in the database with CARILLON_ENCRYPTION_KEY
  check-config [--markdown] check the settings and print them (or their documentation) without starting
  help                      print this text, as --help does after any command

Settings are environment variables (default in parentheses):

`;

/** All but `listen`, which reads its own arguments. */
const COMMANDS: readonly string[] = ["serve", "keys", "rotate-encryption-key", "check-config"];

/** Node before this has no type stripping or no stable node:sqlite. */
const LEAST_NODE = 26;

/**
 * Runs one command of the command line.
 * @returns the exit code: 0, 1 when it failed, 2 when the call itself was wrong.
 */
export async function runCommand(args: readonly string[], env: NodeJS.ProcessEnv): Promise<number> {
  const [command = "help", ...rest] = args;
  const stray = rest.find((arg) => !(command === "check-config" && arg === "--markdown"));
  const wantsHelp = COMMANDS.includes(command) && rest.some((arg) => arg === "--help" || arg === "-h");
  if (["help", "--help", "-h"].includes(command) || wantsHelp) {
    process.stdout.write(`${HELP}${settingsHelp()}\n`);
    return 0;
  }
  const major = Number(process.versions.node.split(".")[0]);
  if (major < LEAST_NODE) {
    process.stderr.write(
      `carillon needs Node ${LEAST_NODE} or newer, this is ${process.versions.node}; \`npm start\` brings its own\n`,
    );
    return 1;
  }
  if (command === "listen") return await (await import("./listen.ts")).listen(rest, env);
  if (stray !== undefined && COMMANDS.includes(command)) {
    process.stderr.write(`carillon: ${command} takes no ${JSON.stringify(stray)}; try \`carillon help\`\n`);
    return 2;
  }
  try {
    switch (command) {
      case "serve":
        return await (await import("./serve.ts")).serve(readConfig(env));
      case "keys":
        return await (await import("./keys.ts")).printKeys(readConfig(env));
      case "rotate-encryption-key":
        return await (await import("./rotate-encryption-key.ts")).rotateEncryptionKey(readConfig(env));
      case "check-config":
        return checkConfig(rest, env);
    }
  } catch (error) {
    // A wrong setting, a newer database, a port in use: the operator needs the sentence, not the stack.
    process.stderr.write(`carillon: ${reasonOf(error)}\n`);
    return error instanceof ConfigError ? 2 : 1;
  }
  process.stderr.write(`carillon: no command ${JSON.stringify(command)}; try \`carillon help\`\n`);
  return 2;
}

/** In one line, with what a refusal came from: "cannot be reached" alone does not say whether the port is wrong. */
function reasonOf(error: unknown): string {
  if (!(error instanceof Error)) return String(error);
  if (!(error instanceof Refusal)) return error.message;
  let cause: unknown = error.cause;
  while (cause instanceof Error && cause.cause instanceof Error) cause = cause.cause;
  if (!(cause instanceof Error)) return error.message;
  const detail = cause.message || (cause as NodeJS.ErrnoException).code;
  return detail === undefined ? error.message : `${error.message} (${detail})`;
}

function checkConfig(args: readonly string[], env: NodeJS.ProcessEnv): number {
  if (args.includes("--markdown")) {
    process.stdout.write(settingsMarkdown());
    return 0;
  }
  process.stdout.write(`${JSON.stringify(shownConfig(readConfig(env)), null, 2)}\n`);
  return 0;
}
