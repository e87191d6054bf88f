import { purge, StartError } from "./compose.ts";
import { ConfigError, loadConfig, loadDotEnv } from "./config.ts";

const wrongSetting = 78;

try {
  loadDotEnv();
  await purge(loadConfig(process.env));
  process.stdout.write(
    "connlimitd: every chain and list of this service is removed; the database in the state directory stays.\n",
  );
} catch (error) {
  if (!(error instanceof ConfigError || error instanceof StartError)) throw error;
  process.stderr.write(`connlimitd: ${error.message}\n`);
  process.exit(error instanceof ConfigError ? wrongSetting : error.exitCode);
}
