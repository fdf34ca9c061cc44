import { ConfigError, readConfig, settingsHelp, settingsMarkdown } from "../config.ts";

const HELP = `carillon – one notification server that speaks Courier, Knock, Svix and Pushwoosh

Usage: carillon <command>

  serve                     run the server
  keys                      print the first environment's credentials
  check-config [--markdown] check the settings and print them (or their documentation) without starting
  help                      print this text

Settings are environment variables (default in parentheses):

`;

/** Node before this has no type stripping or no stable node:sqlite. */
const LEAST_NODE = 26;

/**
 * Runs one command of the command line.
 * @returns the exit code: 0, 1 when it failed, 2 when the call itself was wrong.
 */
export async function runCommand(args: readonly string[], env: NodeJS.ProcessEnv): Promise<number> {
  const [command = "help", ...rest] = args;
  if (["help", "--help", "-h"].includes(command)) {
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
  try {
    switch (command) {
      case "serve":
        return await (await import("./serve.ts")).serve(readConfig(env));
      case "keys":
        return await (await import("./keys.ts")).printKeys(readConfig(env));
      case "check-config":
        return checkConfig(rest, env);
    }
  } catch (error) {
    // A wrong setting, a newer database, a port in use: the operator needs the sentence, not the stack.
    process.stderr.write(`carillon: ${error instanceof Error ? error.message : String(error)}\n`);
    return error instanceof ConfigError ? 2 : 1;
  }
  process.stderr.write(`carillon: no command ${JSON.stringify(command)}; try \`carillon help\`\n`);
  return 2;
}

function checkConfig(args: readonly string[], env: NodeJS.ProcessEnv): number {
  if (args.includes("--markdown")) {
    process.stdout.write(settingsMarkdown());
    return 0;
  }
  const { secretKey, databaseUrl, ...config } = readConfig(env);
  const shown = {
    ...config,
    secretKey: secretKey === null ? null : "(set)",
    databaseUrl: databaseUrl === null ? null : databaseUrl.replace(/:\/\/[^@/]*@/, "://…@"),
  };
  process.stdout.write(`${JSON.stringify(shown, null, 2)}\n`);
  return 0;
}
