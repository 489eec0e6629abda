/** Names of networks: the grammar that keeps them out of the way of options, ids and words that mean something else. */
import { invalidArgument, quoteId } from './error.ts';
import { DEFAULT_NETWORK_NAMES } from './network.ts';

const MAX_CHARS = 128;
const GRAMMAR = /^[a-zA-Z0-9][a-zA-Z0-9_.-]*$/;
const LIKE_AN_ID = /^(?:[0-9a-f]{12}|[0-9a-f]{64})$/;
/** With `--network` they are no names of networks. */
const RESERVED = new Set([...DEFAULT_NETWORK_NAMES, 'none', 'host', 'container']);

/**
 * Checks a name that a user chose.
 * @throws MydockerError `invalid-argument`, naming the rule.
 */
export function parseNetworkName(name: string): string {
  const invalid = (why: string): Error =>
    invalidArgument(`invalid network name ${quoteId(name)}: ${why}`, {
      reason: 'NETWORK_NAME_INVALID',
      hint: 'for example lan',
    });
  if (name.length > MAX_CHARS) throw invalid(`it is longer than ${MAX_CHARS} characters`);
  if (!GRAMMAR.test(name)) throw invalid('it must be a letter or digit, then letters, digits, _ . and -');
  if (RESERVED.has(name)) throw invalid('the word means something else with --network');
  if (LIKE_AN_ID.test(name)) throw invalid('it looks like a network id');
  return name;
}
