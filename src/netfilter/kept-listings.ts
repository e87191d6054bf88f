import { createExclusive } from "../domain/exclusive.ts";
import type { Family } from "../domain/network.ts";
import { seal, type TextFile, unseal } from "./sealed-text.ts";

/** A text that can be taken away again. */
export interface RemovableText extends TextFile {
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
  /** What the start before has kept; null where that is of no use. */
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

/** What is behind the checksum. */
interface Heading {
  readonly place: string;
  readonly generation: number;
  /** Of each family: the length of its text. */
  readonly lengths: readonly [number, number];
}

export function createKeptListings({ file, place, onFailure }: KeptListingsOptions): KeptListings {
  /** Two writings at once would get in each other's way. */
  const exclusive = createExclusive();
  /** The generation of what is kept; null: nothing is; undefined: nobody knows. */
  let keptAt: number | null | undefined;
  let failed = false;

  const write = async (listings: Listings | null): Promise<void> => {
    const wanted = listings?.generation ?? null;
    if (wanted === keptAt) return;
    try {
      await (listings === null ? file.remove() : file.write(textOf(listings, place)));
      [keptAt, failed] = [wanted, false];
    } catch (error) {
      if (!failed) onFailure(error);
      [keptAt, failed] = [undefined, true];
    }
  };

  return {
    known: () => {
      const found = parse(file.read(), place);
      keptAt = found?.generation;
      return found;
    },
    keep: (listings) => exclusive(() => write(listings)),
  };
}

function textOf({ generation, texts }: Listings, place: string): string {
  const heading: Heading = { place, generation, lengths: [texts[4].length, texts[6].length] };
  return seal(heading, `${texts[4]}${texts[6]}`);
}

/** Null for a text that is not whole, or of another place. */
function parse(kept: string | undefined, place: string): Listings | null {
  const { heading, body } = unseal(kept) ?? {};
  if (heading === undefined || body === undefined) return null;
  try {
    const ours = heading as Heading;
    const [four, six] = ours.lengths;
    if (ours.place !== place || four + six !== body.length) return null;
    return { generation: ours.generation, texts: { 4: body.slice(0, four), 6: body.slice(four) } };
  } catch {
    // Other code may have written it in another form.
    return null;
  }
}
