/** The line that tells that an answer is whole, without its break; of a program that prompts, what it looks like. */
export type Mark = string | RegExp;

/**
 * A line of at least a block that a program repeats. Sent behind each mark, it pushes this out. What a program still has of it comes before
 * its next answer, and is no part of that.
 */
export interface Padding {
  readonly line: string;
  /** Finds what is left of the line at the begin of an answer. */
  readonly rest: RegExp;
}

/** How a program says that it waits for a command. */
export interface Prompting {
  /** At the begin of a line, before each. */
  readonly prompt: string;
  /**
   * Commands that make it print at least a block, and no mark, sent behind each request. What a program still has of that comes before its next answer,
   * so that each request asks for two marks, between which its answer stands.
   */
  readonly flush: string;
}

/** What a program says to a request. */
export interface Answer {
  /** @returns the characters that have come so far */
  take(piece: string): number;
  takeError(piece: string): void;
  isWhole(): boolean;
  /** Without the mark. */
  output(): string;
  errors(): string;
}

/** What comes until a line that is `mark`. */
export function createAnswer(mark: string): Answer {
  const [pieces, errors] = [[] as string[], [] as string[]];
  let size = 0;
  /** From the begin of the last line that has an end, or of one that has none yet. */
  let tail = "";
  const isWhole = (): boolean => tail === `${mark}\n`;
  return {
    take(piece) {
      pieces.push(piece);
      size += piece.length;
      const text = tail.endsWith("\n") ? piece : tail + piece;
      tail = text.slice(text.lastIndexOf("\n", text.length - 2) + 1);
      return size;
    },
    takeError: (piece) => void errors.push(piece),
    isWhole,
    output() {
      const text = pieces.join("");
      return isWhole() ? text.slice(0, -tail.length) : text;
    },
    errors: () => errors.join(""),
  };
}

/** What comes, behind the rest of an earlier padding, until the line `mark`. As long as it is what is expected, nothing of it is kept. */
export function createPaddedAnswer(mark: string, { rest }: Padding, expected: string): Answer {
  const [pieces, errors] = [[] as string[], [] as string[]];
  const line = `\n${mark}\n`;
  let size = 0;
  let whole = false;
  /** What a mark that ends in the next piece can begin with. */
  let tail = "\n";
  /** The begin, as long as that can be all padding. */
  let begin: string | null = "";
  /** How much of what is expected has come. */
  let met = 0;
  const keep = (text: string): void => {
    if (pieces.length === 0 && expected.startsWith(text, met)) met += text.length;
    else pieces.push(text);
  };
  return {
    take(piece) {
      size += piece.length;
      whole ||= piece.includes(line) || (tail + piece.slice(0, line.length)).includes(line);
      tail = (piece.length < line.length ? tail + piece : piece).slice(-line.length);
      if (begin === null) keep(piece);
      else {
        begin += piece;
        if (/^#?-*$/.test(begin)) return size;
        keep(begin.replace(rest, ""));
        begin = null;
      }
      return size;
    },
    takeError: (piece) => void errors.push(piece),
    isWhole: () => whole,
    output() {
      const text = pieces.join("");
      // What comes behind the mark is padding.
      if (whole && text.startsWith(`${expected.slice(met)}${line.slice(1)}`)) return expected;
      const all = `${expected.slice(0, met)}${text}${begin ?? ""}`;
      const end = all.startsWith(line.slice(1)) ? 0 : all.indexOf(line) + 1;
      return whole ? all.slice(0, end) : all;
    },
    errors: () => errors.join(""),
  };
}

/** What comes between two lines that are `mark` behind a prompt. */
export function createPromptedAnswer(mark: RegExp, { prompt }: Prompting): Answer {
  const [pieces, errors] = [[] as string[], [] as string[]];
  let size = 0;
  let marks = 0;
  /** The begin of a line, which is the first one or not. */
  let tail = "";
  let isFirst = true;

  /** The places of these lines. */
  const linesIn = (text: string, hasBegin: boolean): readonly { readonly start: number; readonly end: number }[] =>
    [...text.matchAll(new RegExp(`${mark.source}\n`, "g"))].flatMap(({ index, 0: found }) => {
      const start = index === 0 ? 0 : text.lastIndexOf("\n", index - 1) + 1;
      const before = text.slice(start, index);
      // There are two where a command has printed nothing, and less than one where the begin has come with the answer before.
      const isLine = before === prompt || before === prompt + prompt || (hasBegin && start === 0 && prompt.endsWith(before));
      return isLine ? [{ start, end: index + found.length }] : [];
    });

  return {
    take(piece) {
      pieces.push(piece);
      size += piece.length;
      const text = tail + piece;
      marks += linesIn(text, isFirst).length;
      isFirst &&= !text.includes("\n");
      tail = text.slice(text.lastIndexOf("\n") + 1);
      return size;
    },
    takeError: (piece) => void errors.push(piece),
    isWhole: () => marks >= 2,
    output() {
      const text = pieces.join("");
      const [before, behind] = linesIn(text, true);
      if (before === undefined || behind === undefined) return text;
      return text.slice(before.end, behind.start).slice(prompt.length);
    },
    errors: () => errors.join(""),
  };
}
