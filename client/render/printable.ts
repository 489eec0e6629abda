/** Text of others on a terminal: names, arguments and messages may hold bytes that would repaint it. */

// Control characters of ASCII and Latin-1, and those that turn the direction of writing. Newline and tab too: what
// is one line for the program that printed it stays one.
const UNSAFE = /[\p{Cc}\u200e\u200f\u202a-\u202e\u2066-\u2069]/gu;

/** The text with every unsafe character written as \xNN or \uNNNN. */
export function printable(text: string): string {
  return text.replaceAll(UNSAFE, (character) => {
    const code = character.charCodeAt(0);
    return code < 256
      ? `\\x${code.toString(16).padStart(2, '0')}`
      : `\\u${code.toString(16).padStart(4, '0')}`;
  });
}
