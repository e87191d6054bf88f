import { purge } from "./compose.ts";
import { ConfigError, loadConfig, loadDotEnv } from "./config.ts";
import { StartError } from "./start-error.ts";

const wrongSetting = 78;

async function main(): Promise<void> {
  loadDotEnv();
  const kept = await purge(loadConfig(process.env));
  if (kept.length > 0)
    process.stdout.write(`connlimitd: rules of others name these sets, so that they stay: ${kept.join(", ")}\n`);
  const what = kept.length > 0 ? "every chain and list, and every other set," : "every chain, list and set";
  process.stdout.write(`connlimitd: ${what} of this service is removed; the database in the state directory stays.\n`);
  process.exitCode = 0;
}

// As Node ends where something is waited for that never comes.
process.exitCode = 13;
main().catch((error: unknown) => {
  if (!(error instanceof ConfigError || error instanceof StartError)) {
    process.exitCode = 1;
    throw error;
  }
  process.stderr.write(`connlimitd: ${error.message}\n`);
  process.exit(error instanceof ConfigError ? wrongSetting : error.exitCode);
});
