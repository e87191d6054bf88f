/** The most characters (code points) that a description or a reason may have. */
export const maxTextLength = 200;

/** Why `text` is no description or reason, or `undefined` when it is one. Lone surrogates are refused: UTF-8 could not give them back. */
export function textFault(text: string): string | undefined {
  if (!text.isWellFormed()) return "takes well-formed Unicode: no surrogate without its other half";
  if (/\p{Cc}/u.test(text)) return "takes no control characters, line breaks and tabs included";
  const length = [...text].length;
  if (length > maxTextLength) return `takes up to ${maxTextLength} characters; this has ${length}`;
  return undefined;
}
