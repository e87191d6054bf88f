/** The middle of some figures and how far they spread. */
export interface Spread {
  readonly median: number;
  readonly lowerQuartile: number;
  readonly upperQuartile: number;
  readonly count: number;
}

/** Median and quartiles, interpolated between the two nearest ranks. @throws {RangeError} without figures */
export function spreadOf(figures: readonly number[]): Spread {
  if (figures.length === 0) throw new RangeError("there are no figures");
  const sorted = figures.toSorted((a, b) => a - b);
  return {
    median: quantile(sorted, 0.5),
    lowerQuartile: quantile(sorted, 0.25),
    upperQuartile: quantile(sorted, 0.75),
    count: sorted.length,
  };
}

/** What each figure is to its neighbour in the same round. @throws {RangeError} when there are not as many of both */
export function ratios(figures: readonly number[], base: readonly number[]): readonly number[] {
  return paired(figures, base).map(([one, other]) => one / other);
}

/** How much each figure is more than its neighbour in the same round. @throws {RangeError} when there are not as many of both */
export function differences(figures: readonly number[], base: readonly number[]): readonly number[] {
  return paired(figures, base).map(([one, other]) => one - other);
}

function paired(figures: readonly number[], base: readonly number[]): readonly (readonly [number, number])[] {
  if (figures.length !== base.length) throw new RangeError(`${figures.length} figures can't be paired with ${base.length}`);
  return figures.map((one, round) => [one, base[round] ?? Number.NaN]);
}

function quantile(sorted: readonly number[], part: number): number {
  const rank = (sorted.length - 1) * part;
  const [below = Number.NaN, above = below] = [sorted[Math.floor(rank)], sorted[Math.ceil(rank)]];
  return below + (above - below) * (rank - Math.floor(rank));
}
