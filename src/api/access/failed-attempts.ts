import { formatNetwork, maskNetwork, parseAddress } from "../../domain/network.ts";
import type { Clock } from "../../domain/ports.ts";

/** How many failed authentications of one source are answered as what they are in `span` milliseconds. */
const allowed = 10;
const span = 60_000;

/** How many sources are remembered; beyond it, the one that began first is forgotten. */
const maxSources = 10_000;

/** Somebody who has IPv6 has a /64 of it. */
const ipv6Prefix = 64;

/** Failed authentications by source: an IPv4 address or an IPv6 /64. */
export interface FailedAttempts {
  /**
   * Notes one more; the seconds until the source is answered again where it is one too many, otherwise `undefined`.
   * @param address canonical
   */
  note(address: string): number | undefined;
}

interface Attempts {
  count: number;
  /** Of the monotonic clock, in milliseconds. */
  readonly endsAt: number;
}

/**
 * Ten a minute for each source, in bounded memory. Only what fails is noted and refused: a good token is served all the same, so that
 * nobody is shut out by another one behind the same address. That gives a guesser nothing but the certainty that no answer means no
 * token, and no number of guesses finds 256 random bits; what is held down is the noise.
 */
export function createFailedAttempts(clock: Pick<Clock, "monotonic">): FailedAttempts {
  const bySource = new Map<string, Attempts>();

  function attemptsOf(source: string, now: number): Attempts {
    const known = bySource.get(source);
    if (known !== undefined && known.endsAt > now) return known;
    // Anew at the end of the map, which so stays in the order of the ends.
    bySource.delete(source);
    const attempts = { count: 0, endsAt: now + span };
    bySource.set(source, attempts);
    return attempts;
  }

  function forget(now: number): void {
    for (const [source, { endsAt }] of bySource) {
      if (endsAt > now && bySource.size <= maxSources) return;
      bySource.delete(source);
    }
  }

  return {
    note(address) {
      const now = clock.monotonic();
      const attempts = attemptsOf(sourceOf(address), now);
      attempts.count += 1;
      forget(now);
      return attempts.count <= allowed ? undefined : Math.ceil((attempts.endsAt - now) / 1000);
    },
  };
}

function sourceOf(address: string): string {
  const network = parseAddress(address);
  return network.family === 4 ? address : formatNetwork(maskNetwork(network, ipv6Prefix));
}
