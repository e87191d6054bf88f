import fc from "fast-check";

const [surrogates, surrogateCount, codePoints] = [0xd800, 0x800, 0x110000];

/**
 * Every code point of Unicode but surrogates, each as likely as the others. What `fc.string` calls its unit "binary" is the same, but is made
 * from a map of a million entries, which takes a second and stays in memory.
 */
export const anyCharacter = fc.nat(codePoints - surrogateCount - 1).map(
  (n) => String.fromCodePoint(n < surrogates ? n : n + surrogateCount),
  (text) => {
    const point = typeof text === "string" ? text.codePointAt(0) : undefined;
    if (point === undefined || String.fromCodePoint(point) !== text) throw new TypeError("not one character");
    return point < surrogates ? point : point - surrogateCount;
  },
);
