/**
 * Identifiers that we make ourselves, and the one validator that every id passes before it becomes part of
 * a path, a cgroup, a link or a rule.
 */

const ID = /^[0-9a-f]{64}$/;
export const SHORT_ID_CHARS = 12;

/** A new container id: 64 hex digits. Its short form is never a plain number, for it is also the hostname. */
export function newId(): string {
  for (;;) {
    const id = randomHex(32);
    if (/[a-f]/.test(id.slice(0, SHORT_ID_CHARS))) return id;
  }
}

/** A new run id, one for each start and each exec: 16 hex digits. */
export function newRunId(): string {
  return randomHex(8);
}

/** Whether a text is a whole container id. */
export function isId(text: string): boolean {
  return ID.test(text);
}

/** The first 12 digits of a container or image id, as people see it; a `sha256:` in front is dropped. */
export function shortId(id: string): string {
  const hex = id.startsWith('sha256:') ? id.slice('sha256:'.length) : id;
  return hex.slice(0, SHORT_ID_CHARS);
}

function randomHex(bytes: number): string {
  return Buffer.from(globalThis.crypto.getRandomValues(new Uint8Array(bytes)).buffer).toString('hex');
}
