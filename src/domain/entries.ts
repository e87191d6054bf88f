/** Entries in memory, by key. */
export interface Entries<Entry> {
  get(key: string): Entry | undefined;
  /** The same array until something changes. */
  values(): readonly Entry[];
  /** How many there are; cheap. */
  size(): number;
}

/** Entries that can be changed. */
export interface Layer<Entry> extends Entries<Entry> {
  /** `undefined` removes. */
  set(key: string, entry: Entry | undefined): void;
}

/** Changes on top of other entries, which stay as they are until `keep`. */
export interface UpperLayer<Entry> extends Layer<Entry> {
  /** Hands the changes down to `below`. */
  keepIn(below: Layer<Entry>): void;
}

/** How entries are told apart and listed. */
export interface Arrangement<Entry> {
  keyOf(entry: Entry): string;
  /** Without it, any order serves. */
  readonly compare?: ((a: Entry, b: Entry) => number) | undefined;
}

/** The bottom: what is committed. @param entries of different keys */
export function createLayer<Entry>(entries: readonly Entry[], { keyOf, compare }: Arrangement<Entry>): Layer<Entry> {
  let first = entries;
  let values: readonly Entry[] | undefined;
  let byKey: Map<string, Entry> | undefined;
  /** Made when it is first asked for: a start with tens of thousands of entries needs them all, and none by its key. */
  const keyed = (): Map<string, Entry> => {
    if (byKey === undefined) {
      byKey = new Map();
      for (const entry of first) byKey.set(keyOf(entry), entry);
      first = [];
    }
    return byKey;
  };
  return {
    get: (key) => keyed().get(key),
    values() {
      values ??= sorted([...(byKey?.values() ?? first)], compare);
      return values;
    },
    size: () => byKey?.size ?? first.length,
    set(key, entry) {
      values = undefined;
      if (entry === undefined) keyed().delete(key);
      else keyed().set(key, entry);
    },
  };
}

/** A layer on `below`, which must not change while the layer is in use. */
export function createUpperLayer<Entry>(below: Entries<Entry>, { keyOf, compare }: Arrangement<Entry>): UpperLayer<Entry> {
  const changes = new Map<string, Entry | undefined>();
  let values: readonly Entry[] | undefined;
  let growth = 0;

  function get(key: string): Entry | undefined {
    return changes.has(key) ? changes.get(key) : below.get(key);
  }

  /** In the order in which the layer below would have them after `keep`. */
  function merged(): readonly Entry[] {
    if (changes.size === 0) return below.values();
    const added = [...changes].flatMap(([key, entry]) => (entry === undefined || below.get(key) !== undefined ? [] : [entry]));
    const replaces = [...changes.keys()].some((key) => below.get(key) !== undefined);
    const kept = replaces ? below.values().flatMap(replaced) : below.values();
    return sorted(kept.concat(added), compare);
  }

  function replaced(entry: Entry): readonly Entry[] {
    const key = keyOf(entry);
    if (!changes.has(key)) return [entry];
    const change = changes.get(key);
    return change === undefined ? [] : [change];
  }

  return {
    get,
    values() {
      values ??= merged();
      return values;
    },
    size: () => below.size() + growth,
    set(key, entry) {
      values = undefined;
      growth += Number(entry !== undefined) - Number(get(key) !== undefined);
      changes.set(key, entry);
    },
    keepIn(lower) {
      for (const [key, entry] of changes) lower.set(key, entry);
    },
  };
}

function sorted<Entry>(entries: Entry[], compare: Arrangement<Entry>["compare"]): readonly Entry[] {
  return compare === undefined ? entries : entries.sort(compare);
}
