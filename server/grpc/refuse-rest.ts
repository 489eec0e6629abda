/** Refuses the fields of a message that a method does not act on, where a client has set them. */
import { type MydockerError, unimplemented } from '../model/error.ts';

/**
 * @param path - of the message, for the error: `config.network`.
 * @param rest - what is left of the message when everything that is acted on is taken out.
 * @throws MydockerError `unimplemented` (OPTION_UNIMPLEMENTED) naming the first field that is not at its default.
 */
export function refuseRest(path: string, rest: object): void {
  for (const [key, value] of Object.entries(rest)) {
    if (isDefault(value)) continue;
    const name = key.replaceAll(/[A-Z]/g, (letter) => `_${letter.toLowerCase()}`);
    const field = path === '' ? name : `${path}.${name}`;
    throw unimplemented(`cannot use ${field}: this version of the server lacks it`, {
      reason: 'OPTION_UNIMPLEMENTED',
      hint: 'leave it out; a later version of mydocker has it',
      metadata: { field },
    });
  }
}

/** @returns the error for one thing that this version lacks. @param field - as clients spell it. */
export function lacking(field: string, hint: string): MydockerError {
  return unimplemented(`cannot use ${field}: this version of the server lacks it`, {
    reason: 'OPTION_UNIMPLEMENTED',
    hint,
    metadata: { field },
  });
}

/** A message that says nothing is as good as none. */
function isDefault(value: unknown): boolean {
  if (value === undefined || value === '' || value === false || value === 0 || value === 0n) return true;
  if (Array.isArray(value)) return value.length === 0;
  if (typeof value !== 'object' || value === null) return false;
  // A list that is given and empty says something: "none of them".
  if ('values' in value) return false;
  return value instanceof Uint8Array ? value.length === 0 : Object.values(value).every(isDefault);
}
