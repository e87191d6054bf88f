import { statSync } from "node:fs";
import { join } from "node:path";

/**
 * Another text when another program would be started by this name: its file is replaced, changed, gone or back.
 * @param searchPath the `PATH`
 */
export function programFile(name: string, searchPath: string): string {
  const places = name.includes("/") ? [name] : searchPath.split(":").map((directory) => join(directory, name));
  for (const place of places) {
    const stats = statSync(place, { throwIfNoEntry: false });
    if (stats !== undefined) return [place, stats.dev, stats.ino, stats.ctimeMs].join(" ");
  }
  return "";
}
