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
  let reloadAsked = false;
  let stopAsked = false;
  const stop = (): void => {
    const first = !stopAsked;
    stopAsked = true;
    if (first) service?.stop().then(() => process.exit(0), endWith);
  };
  // From the first moment on, as each would end the process otherwise, in the middle of a pass, say; what is asked for during the start is
  // done after it. They stay: without any, a program that is being run at that moment would hand its signal on and end this process.
  process.on("SIGHUP", () => {
    if (service === undefined) reloadAsked = true;
    else service.reload();
  });
  process.on("SIGTERM", stop).on("SIGINT", stop);
  loadDotEnv();
  const config = loadConfig(process.env);
  rememberCompiledCode(config.stateDirectory);
  const { startService } = await import("./compose.ts");
  service = await startService(config, supervisionOf(process.env, process.pid));
  process.exitCode = 0;
  if (reloadAsked) service.reload();
  if (stopAsked) {
    stopAsked = false;
    stop();
  }
  // A process that is killed keeps nothing of it.
  setTimeout(flushCompileCache, firstQuiet).unref();
}

// As Node ends where something is waited for that never comes.
process.exitCode = 13;
void main().catch(endWith);
