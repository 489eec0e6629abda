/** A disk that is full: how the system says so, and how a user is told. */
import { cannot, type ErrorDetails, type MydockerError } from './error.ts';

/** Whether an error of the system says that a disk or a quota is full. */
export function isNoSpace(error: unknown): boolean {
  return ['ENOSPC', 'EDQUOT'].includes(String((error as { readonly code?: unknown } | undefined)?.code));
}

/** `cannot VERB NOUN ID: no space left on the disk`, with what to do. */
export function noSpace(
  verb: string,
  noun: string,
  id: string,
  details: Pick<ErrorDetails, 'cause' | 'exitStatus'>,
): MydockerError {
  return cannot('resource-exhausted', verb, noun, id, 'no space left on the disk', {
    reason: 'NO_SPACE',
    hint: 'remove containers and images that are not needed',
    ...details,
  });
}
