/**
 * Container names: the grammar that keeps them out of the way of paths, options and ids, and the made-up
 * names of containers that were given none.
 */
import { invalidArgument, quoteId } from './error.ts';

/** Longest container name in characters: one directory entry. */
export const MAX_NAME_CHARS = 128;

const GRAMMAR = /^[a-zA-Z0-9][a-zA-Z0-9_.-]+$/;
const LIKE_AN_ID = /^(?:[0-9a-f]{12}|[0-9a-f]{64})$/;

/**
 * Checks a name that a user chose.
 * @throws MydockerError `invalid-argument`, naming the rule.
 */
export function parseName(name: string): string {
  if (name.length > MAX_NAME_CHARS) throw invalid(name, `it is longer than ${MAX_NAME_CHARS} characters`);
  if (!GRAMMAR.test(name)) {
    throw invalid(name, 'it must be a letter or digit, then one or more of letters, digits, _ . and -');
  }
  // Else one container could stand in another one's way under its full or its shown id.
  if (LIKE_AN_ID.test(name)) throw invalid(name, 'it looks like a container id');
  return name;
}

/**
 * A readable name nobody has.
 * @param taken - whether a name is in use.
 */
export function randomName(taken: (name: string) => boolean): string {
  // Each number doubles the tries' room, so it ends soon however many containers there are.
  for (let room = 1; ; room *= 2) {
    const number = room === 1 ? '' : String(below(room * 10));
    const name = `${pick(ADJECTIVES)}_${pick(NOUNS)}${number}`;
    if (!taken(name)) return name;
  }
}

function invalid(name: string, why: string): Error {
  return invalidArgument(`invalid container name ${quoteId(name)}: ${why}`, {
    reason: 'CONTAINER_NAME_INVALID',
    hint: 'for example web-1',
  });
}

function below(limit: number): number {
  const [word = 0] = globalThis.crypto.getRandomValues(new Uint32Array(1));
  return word % limit;
}

function pick(words: readonly string[]): string {
  return words[below(words.length)] ?? 'plain';
}

const ADJECTIVES: readonly string[] = (
  'amber ample azure bold brave brief bright brisk broad calm candid careful cheerful civil clean clear clever ' +
  'cosy crisp curious daring deft dry eager early easy exact fair fancy fast fearless fine firm fond frank fresh ' +
  'gentle glad golden grand green happy hardy hasty honest humble keen kind late level light lively local loyal ' +
  'lucid lucky mellow merry mild modest neat nimble noble patient plain polite proud pure quick quiet rapid ready ' +
  'rosy round rustic sandy sharp shy silent silver simple smooth snug sober solid sound spare steady still stout ' +
  'sturdy subtle sunny swift tall tame tender tidy tiny vivid warm wide windy wise witty woolly young zesty'
).split(' ');

const NOUNS: readonly string[] = (
  'acorn anchor apple apron arch atlas badger barge barn basin beacon beaver birch bobbin bridge brook buoy ' +
  'cabin canoe canyon cedar cellar chisel cliff clover comet compass coral cove crane creek dune eagle easel ' +
  'ember falcon fern ferry field finch fjord flint forge fox garden glacier goose gorge grove gull hammer harbour ' +
  'hare hazel heron hill hollow island ivy jetty kayak kettle kiln lagoon lantern larch lark ledger loom lynx ' +
  'magnet maple marsh meadow mill mole moor moth nettle oak oar orchard osprey otter owl paddle parcel pebble ' +
  'pier pine plover pond poplar puffin quarry quill raft raven reed ridge river robin rook saddle sail seal ' +
  'shore sparrow spruce stork summit swan thicket thistle thrush tide timber trout tulip valley walnut willow wren'
).split(' ');
