import { hash } from "node:crypto";
import type { Family } from "../domain/network.ts";

/** Where a text outlasts the process. It may be lost. */
export interface RemovableText {
  /** What was written last; undefined where there is nothing. */
  read(): string | undefined;
  write(text: string): Promise<void>;
  remove(): Promise<void>;
}

/** What the tables of both families were listed as, at one generation of nftables. */
export interface Listings {
  readonly generation: number;
  readonly texts: Readonly<Record<Family, string>>;
}

/**
 * What iptables listed, kept from one start to the next in the same network namespace of the same boot: as long as nftables takes no change, it would list
 * the same again.
 */
export interface KeptListings {
  /** Null where there is nothing of use. Reads a file, the first time. */
  known(): Listings | null;
  /** Keeps these instead, if they are of another generation than what is kept; null: what is kept is of no use any more. Never rejects. */
  keep(listings: Listings | null): Promise<void>;
}

export interface KeptListingsOptions {
  readonly file: RemovableText;
  /** Another one for each network namespace and each boot. */
  readonly place: string;
  /** Told when the text could not be written, and not again before it could. */
  readonly onFailure: (error: unknown) => void;
}

/** What is behind the first line. */
interface Heading {
  readonly place: string;
  readonly generation: number;
  /** Of each family: the length of its text. */
  readonly lengths: readonly [number, number];
}

export function createKeptListings({ file, place, onFailure }: KeptListingsOptions): KeptListings {
  let read: Listings | null | undefined;
  let keptAt: number | undefined;
  let failed = false;

  const write = async (listings: Listings | null): Promise<void> => {
    try {
      await (listings === null ? file.remove() : file.write(textOf(listings, place)));
      failed = false;
    } catch (error) {
      if (!failed) onFailure(error);
      failed = true;
      keptAt = undefined;
    }
  };

  return {
    known: () => {
      if (read !== undefined) return read;
      read = parse(file.read(), place);
      keptAt = read?.generation;
      return read;
    },
    keep: async (listings) => {
      read = null;
      if (listings?.generation === keptAt) return;
      keptAt = listings?.generation;
      await write(listings);
    },
  };
}

function textOf({ generation, texts }: Listings, place: string): string {
  const heading: Heading = { place, generation, lengths: [texts[4].length, texts[6].length] };
  const text = `${JSON.stringify(heading)}\n${texts[4]}${texts[6]}`;
  return `${hash("sha1", text)}\n${text}`;
}

/** Null for a text that is not whole, or of another place. */
function parse(kept: string | undefined, place: string): Listings | null {
  const [first = "", second = ""] = /^([0-9a-f]{40})\n(.*)\n/.exec(kept ?? "")?.slice(1) ?? [];
  const text = (kept ?? "").slice(first.length + 1);
  if (first === "" || hash("sha1", text) !== first) return null;
  try {
    const heading = JSON.parse(second) as Heading;
    const begin = second.length + 1;
    const [four, six] = heading.lengths;
    if (heading.place !== place || begin + four + six !== text.length) return null;
    return { generation: heading.generation, texts: { 4: text.slice(begin, begin + four), 6: text.slice(begin + four) } };
  } catch {
    // Other code may have written it in another form.
    return null;
  }
}
