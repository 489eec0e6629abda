/** Commands that take several names do what they can for each, and tell every one that failed. */
import { print, printError } from './output.ts';
import { exitStatusOf, renderError } from './render/error.ts';

/**
 * Runs an action for each name, in order; prints what it returns on a line of its own.
 * @returns the exit status: 0, or that of the last failure.
 */
export async function eachTarget(
  names: readonly string[],
  action: (name: string) => Promise<string>,
): Promise<number> {
  let status = 0;
  for (const name of names) {
    try {
      const line = await action(name);
      if (line !== '') print(`${line}\n`);
    } catch (error) {
      printError(renderError(error));
      status = exitStatusOf(error);
    }
  }
  return status;
}
