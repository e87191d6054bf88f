import "./heap.ts";
import { StartError, startService } from "./compose.ts";
import { ConfigError, loadConfig, loadDotEnv } from "./config.ts";

const wrongSetting = 78;

/** Says in one line why the process ends, and ends it. */
function endWith(error: unknown): never {
  if (error instanceof ConfigError || error instanceof StartError) process.stderr.write(`connlimitd: ${error.message}\n`);
  else process.stderr.write(`connlimitd: ${error instanceof Error ? error.stack : String(error)}\n`);
  if (error instanceof ConfigError) process.exit(wrongSetting);
  process.exit(error instanceof StartError ? error.exitCode : 1);
}

async function main(): Promise<void> {
  loadDotEnv();
  const service = await startService(loadConfig(process.env));
  let stopping = false;
  // The listeners stay: without any, a program that is being run at that moment would hand its signal on and end this process.
  const stop = (): void => {
    if (stopping) return;
    stopping = true;
    service.stop().then(() => process.exit(0), endWith);
  };
  process.on("SIGTERM", stop).on("SIGINT", stop);
}

await main().catch(endWith);
