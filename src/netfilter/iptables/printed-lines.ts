/**
 * Texts of users, such as comments, as iptables prints them: between quotes, with a backslash before what would end them, and with
 * their line breaks. That of the match `string` is the exception: it has no line breaks, and nothing before a backslash.
 */
const text = String.raw`(?<= )"(?:[^"\\]|\\.)*"(?= |$)`;
const textOfStringMatch = String.raw`(?<= --string )"[^\n]*?"(?= --algo )`;
const texts = new RegExp(`${textOfStringMatch}|${text}`, "gs");
/** The longest text that a match or target takes has 255 characters; more are no text but a quote that somebody has in a name. */
const longestText = 2 * 255 + 2;

/** What `iptables-save` or `iptables -S` prints, line by line; a rule whose texts hold line breaks is one line. */
export function printedLines(printed: string): readonly string[] {
  const lines = printed.split("\n");
  return printed.includes('"') ? joined(lines) : lines;
}

/** The rule without the texts of users, which could look like any part of a rule. */
export function withoutTexts(rule: string): string {
  return rule.includes('"') ? rule.replace(texts, '""') : rule;
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
  for (let last = first; text.length - line.length <= longestText; last += 1) {
    if (!isOpen(text)) return { text, last };
    const next = lines[last + 1];
    if (next === undefined) break;
    text += `\n${next}`;
  }
  return { text: line, last: first };
}

function isOpen(rule: string): boolean {
  return rule.startsWith("-A ") && withoutTexts(rule).replaceAll(' ""', "").includes(' "');
}
