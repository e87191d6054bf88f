type Method = (...args: unknown[]) => unknown;

/** Stands for what `current` gives at the time of each call, for a server that outlives what it was made with. */
export function standIn<T extends object>(current: () => T): T {
  return new Proxy(current(), {
    get: (_, name) => {
      const value: unknown = Reflect.get(current(), name);
      if (typeof value !== "function") return value;
      // Who keeps the method still asks whoever is current when it is called.
      return (...args: unknown[]) => (Reflect.get(current(), name) as Method).apply(current(), args);
    },
  });
}
