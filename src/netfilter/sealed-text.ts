import { hash } from "node:crypto";

/** Where a text outlasts the process. It may be lost. */
export interface TextFile {
  /** What was written last; undefined where there is nothing. */
  read(): string | undefined;
  write(text: string): Promise<void>;
}

/** A heading in JSON and what it is about, under a checksum of both. */
export function seal(heading: unknown, body: string): string {
  const text = `${JSON.stringify(heading)}\n${body}`;
  return `${hash("sha1", text)}\n${text}`;
}

/** Undefined for a text that is not whole. */
export function unseal(sealed: string | undefined): { readonly heading: unknown; readonly body: string } | undefined {
  const [first = "", second = ""] = /^([0-9a-f]{40})\n(.*)\n/.exec(sealed ?? "")?.slice(1) ?? [];
  const text = (sealed ?? "").slice(first.length + 1);
  if (first === "" || hash("sha1", text) !== first) return undefined;
  try {
    return { heading: JSON.parse(second), body: text.slice(second.length + 1) };
  } catch {
    return undefined;
  }
}
