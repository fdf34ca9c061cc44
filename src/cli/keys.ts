import type { Config } from "../config.ts";
import { sealedStore } from "../engine/sealed-store.ts";
import { FIRST_ENVIRONMENT_ID, openFirstEnvironment } from "../http/environments.ts";
import { systemClock } from "../lib/clock.ts";
import { openVault } from "../lib/vault.ts";
import { openStore } from "../storage/store.ts";

/** Prints the first environment's credentials, making them if the server has never run. @returns the exit code. */
export async function printKeys(config: Config): Promise<number> {
  const { databaseUrl: url, dataDir, durability } = config;
  const opened = await openStore({ url, dataDir, durability, poolSize: 1 });
  try {
    const store = await sealedStore(opened, openVault(config), FIRST_ENVIRONMENT_ID, systemClock);
    const { credentials } = await openFirstEnvironment({
      environments: store.environments,
      documents: store.documents,
      clock: systemClock,
      fixed: {
        secretKey: config.secretKey,
        publicKey: config.publicKey,
        appCode: config.appCode,
        feedId: config.feedId,
      },
      dataDir,
    });
    const lost = "(not kept: it was set with CARILLON_SECRET_KEY, or its file is lost; that setting can replace it)";
    process.stdout.write(
      `secret key   ${credentials.secretKey ?? lost}\n` +
        `public key   ${credentials.publicKey}\n` +
        `app code     ${credentials.appCode}\n` +
        `feed id      ${credentials.feedId}\n`,
    );
    return 0;
  } finally {
    await opened.close();
  }
}
