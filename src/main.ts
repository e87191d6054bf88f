import { existsSync } from "node:fs";
import { enableCompileCache, flushCompileCache } from "node:module";
import { join } from "node:path";
import type { Service } from "./compose.ts";
import { ConfigError, loadConfig, loadDotEnv } from "./config.ts";
import { supervisionOf } from "./service-manager.ts";
import { StartError } from "./start-error.ts";

const wrongSetting = 78;
/** Milliseconds after which those who waited for the start have had their answers. */
const firstQuiet = 1000;

/** Says in one line why the process ends, and ends it. */
function endWith(error: unknown): never {
  if (error instanceof ConfigError || error instanceof StartError) process.stderr.write(`connlimitd: ${error.message}\n`);
  else process.stderr.write(`connlimitd: ${error instanceof Error ? error.stack : String(error)}\n`);
  if (error instanceof ConfigError) process.exit(wrongSetting);
  process.exit(error instanceof StartError ? error.exitCode : 1);
}

/** What Node makes of the sources is kept for the next start, which then takes half the time. */
function rememberCompiledCode(stateDirectory: string): void {
  // The first start makes the directory, with its mode; what is not kept then is kept by the second.
  if (existsSync(stateDirectory)) enableCompileCache(join(stateDirectory, "compile-cache"));
}

async function main(): Promise<void> {
  let service: Service | undefined;
  // From the first moment on, as it would end the process otherwise. A start reads the files itself.
  process.on("SIGHUP", () => service?.reload());
  loadDotEnv();
  const config = loadConfig(process.env);
  rememberCompiledCode(config.stateDirectory);
  const { startService } = await import("./compose.ts");
  const started = await startService(config, supervisionOf(process.env, process.pid));
  service = started;
  let stopping = false;
  // The listeners stay: without any, a program that is being run at that moment would hand its signal on and end this process.
  const stop = (): void => {
    if (stopping) return;
    stopping = true;
    started.stop().then(() => process.exit(0), endWith);
  };
  process.on("SIGTERM", stop).on("SIGINT", stop);
  // A process that is killed keeps nothing of it.
  setTimeout(flushCompileCache, firstQuiet).unref();
}

await main().catch(endWith);
