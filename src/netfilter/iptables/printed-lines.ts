import { chainPrefix } from "./rule.ts";

/**
 * Texts of users, such as comments, as iptables prints them: after a long option, between quotes, with a backslash before what would
 * end them, and with their line breaks. Names, of interfaces or lists say, are printed as they are, and some can hold line breaks too.
 */
const begin = / --[a-z0-9-]+ (?=")/g;
const textThere = /"(?:[^"\\]|\\.)*"(?= |$)/sy;
const texts = /(?<= --[a-z0-9-]+ )"(?:[^"\\]|\\.)*"(?= |$)/gs;
/** The longest text that a match or target takes has 255 characters; more are no text but a quote that somebody has in a name. */
const longestText = 2 * 255 + 2;

/** With what a line begins that is not the rest of a rule; of rules, lists and marks between them. */
const beginnings = /^(?:-[ANP] |[:*#]|COMMIT$|$)/;
const ownRule = `-A ${chainPrefix}`;

/**
 * What `iptables-save` or `iptables -S` prints, line by line; a rule whose texts or names hold line breaks is one line. A line of a name
 * that looks like a rule is taken for one: nothing tells them apart.
 */
export function printedLines(printed: string): readonly string[] {
  const lines = printed.split("\n");
  return withRests(printed.includes('"') ? joined(lines) : lines);
}

/** The rule without the texts of users, which could look like any part of a rule. */
export function withoutTexts(rule: string): string {
  return rule.includes('"') ? rule.replace(texts, '""') : rule;
}

/** Lines that can only be the rest of the rule above them, if that is not one of this service, are put behind it, with empty ones between. */
function withRests(lines: readonly string[]): readonly string[] {
  if (lines.every((line) => beginnings.test(line))) return lines;
  const whole: string[] = [];
  for (const line of lines) {
    const above = whole.findLastIndex((each) => each !== "");
    const rule = whole[above] ?? "";
    if (!beginnings.test(line) && rule.startsWith("-A ") && !rule.startsWith(ownRule))
      whole.splice(above, whole.length, [...whole.slice(above), line].join("\n"));
    else whole.push(line);
  }
  return whole;
}

function joined(lines: readonly string[]): readonly string[] {
  const whole: string[] = [];
  for (let index = 0; index < lines.length; index += 1) {
    const rule = wholeRule(lines, index);
    whole.push(rule.text);
    index = rule.last;
  }
  return whole;
}

/** The rule that begins with a line, and the index of its last line; the line alone when nothing ends the text that is begun in it. */
function wholeRule(lines: readonly string[], first: number): { readonly text: string; readonly last: number } {
  const line = lines[first] ?? "";
  let text = line;
  let open = line.startsWith("-A ") ? openText(line, 0) : -1;
  for (let last = first; ; last += 1) {
    if (open < 0) return { text, last };
    const next = lines[last + 1];
    if (next === undefined || text.length - open > longestText) return { text: line, last: first };
    text += `\n${next}`;
    open = openText(text, open);
  }
}

/** Where the first text begins, from an index on, that does not end; -1 when all do. */
function openText(rule: string, from: number): number {
  for (let at = from; ; at = textThere.lastIndex) {
    if (rule[at] !== '"') {
      begin.lastIndex = at;
      if (!begin.test(rule)) return -1;
      at = begin.lastIndex;
    }
    textThere.lastIndex = at;
    if (!textThere.test(rule)) return at;
  }
}
