/** What a person typed is wrong: told before anything is done, without asking the server. */

/** Exit status of an error of ours, as against one of the container's process. */
export const OUR_ERROR = 125;

/** An error in what was typed. */
export class UsageError extends Error {
  override readonly name = 'UsageError';
  readonly hint: string | undefined;

  constructor(message: string, details: { readonly hint?: string | undefined } = {}) {
    super(message);
    this.hint = details.hint;
  }
}
