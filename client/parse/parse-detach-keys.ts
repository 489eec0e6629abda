/** The keys that leave a terminal's container running, in Docker's spelling. */
import { UsageError } from '../usage-error.ts';

/** What is typed unless something else is said. */
export const DEFAULT_DETACH_KEYS = 'ctrl-p,ctrl-q';

/**
 * Bytes of a sequence of keys.
 * @param text - keys joined with commas: a letter or sign, or `ctrl-` and one of a-z, @ [ \ ] ^ _; empty: none.
 * @throws UsageError
 */
export function parseDetachKeys(text: string): Buffer {
  if (text === '') return Buffer.alloc(0);
  return Buffer.from(
    text.split(',').map((key) => {
      const [, control] = /^ctrl-([a-z@[\\\]^_])$/i.exec(key) ?? [];
      if (control !== undefined) return control.toUpperCase().charCodeAt(0) & 0x1f;
      if (/^[\x20-\x7e]$/.test(key)) return key.charCodeAt(0);
      throw new UsageError(`invalid detach keys ${JSON.stringify(text)}: ${JSON.stringify(key)} is no key`, {
        hint: `for example ${DEFAULT_DETACH_KEYS}`,
      });
    }),
  );
}
