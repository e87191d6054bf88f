/** Figures by variant, one for each round. */
export type Rounds<Name extends string> = Readonly<Record<Name, readonly number[]>>;

/**
 * Measures the variants in turn, A B C B C A ..., so that whatever else the machine does meets all of them alike, and none has
 * always the same neighbour before it.
 * @param count how many figures each variant gets
 */
export async function alternate<Name extends string>(
  count: number,
  variants: Readonly<Record<Name, () => Promise<number>>>,
): Promise<Rounds<Name>> {
  const names = Object.keys(variants) as Name[];
  const figures = Object.fromEntries(names.map((name) => [name, [] as number[]])) as Record<Name, number[]>;
  for (let round = 0; round < count; round += 1) {
    const first = round % names.length;
    for (const name of [...names.slice(first), ...names.slice(0, first)]) figures[name].push(await variants[name]());
  }
  return figures;
}
