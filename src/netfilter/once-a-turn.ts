/** Reads once for all who ask in the same turn of the event loop. A failure is everybody's own. */
export function onceATurn<T>(read: () => T): () => T {
  let last: { readonly value: T } | undefined;
  return () => {
    if (last !== undefined) return last.value;
    last = { value: read() };
    setImmediate(() => {
      last = undefined;
    });
    return last.value;
  };
}
