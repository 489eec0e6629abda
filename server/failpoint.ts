/**
 * Named points at each durable step where a test can make the server fail, wait or die, so that every
 * death in the promises has a test that causes it at will. Off, a point costs one look at a null.
 *
 *   MYDOCKER_FAILPOINTS='start.launched=1*off->1*error(no room)->exit;create.put=delay(50)'
 *
 * A point runs a chain of terms, each for its count (`3*`, default without end), and is off after the last:
 *   off          nothing
 *   error(text)  throws a MydockerError, code internal, reason FAILPOINT
 *   panic(text)  throws a plain Error, as a bug of ours would
 *   delay(ms)    waits, at most 10 minutes
 *   print        tells standard error when it was passed: `failpoint NAME at MICROSECONDS`, monotonic time
 *   exit         SIGKILL to this process, on the spot
 * `@PATH` instead is a file that holds the same and may come, change and go while the server runs: each point looks
 * whether it did, and counts begin anew then. The idea is FreeBSD's fail(9).
 */
import { readFileSync, statSync, writeSync } from 'node:fs';
import { internal, invalidArgument, quoteId } from './model/error.ts';

/** Every point there is. A name that is not here does not compile and is refused in a configuration. */
export const FAILPOINTS = [
  'store.open',
  'store.write',
  'store.written',
  'store.checkpoint',
  'create.begin',
  'create.folder',
  'create.config',
  'create.put',
  'create.done',
  'start.begin',
  'start.plan',
  'start.launch',
  'start.launched',
  'start.put-starting',
  'start.commit',
  'start.created',
  'start.started',
  'start.put-running',
  'start.gate',
  'exit.seen',
  'exit.put',
  'exit.cleanup',
  'launcher.fill',
  'launcher.parked',
  'exec.begin',
  'exec.launched',
  'exec.done',
  'kill.begin',
  'pause.begin',
  'pause.frozen',
  'resume.begin',
  'resume.thawed',
  'update.begin',
  'update.limits',
  'update.done',
  'stop.begin',
  'stop.signalled',
  'delete.begin',
  'delete.put',
  'delete.folder',
  'delete.done',
  'load.begin',
  'load.spooled',
  'load.unpack',
  'load.unpacked',
  'load.renamed',
  'load.put-layer',
  'load.blobs',
  'load.put-image',
  'load.done',
  'pull.begin',
  'pull.resolved',
  'pull.config',
  'pull.done',
  'push.begin',
  'push.layers',
  'push.config',
  'push.manifest',
  'import.begin',
  'import.unpack',
  'import.synced',
  'import.renamed',
  'import.put-layer',
  'import.put-image',
  'remove-image.begin',
  'remove-image.put',
  'collect.begin',
  'collect.put',
  'collect.layers',
  'collect.done',
  'network.create',
  'network.remove',
  'network.forgotten',
  'connect.put',
  'connect.plugged',
  'disconnect.unplugged',
  'disconnect.put',
  'publish.config',
  'publish.put',
  'publish.led',
  'unpublish.put',
  'volume.create',
  'volume.filled',
  'volume.forgotten',
  'volume.removed',
  'recover.begin',
  'recover.container',
  'recover.sweep',
  'stream.message',
] as const;

/** Name of a point. */
export type FailpointName = (typeof FAILPOINTS)[number];

interface Term {
  readonly action: 'off' | 'error' | 'panic' | 'delay' | 'print' | 'exit';
  readonly text: string;
  /** How often it still acts; Infinity without a count. */
  left: number;
}

const STDERR = 2;
const MAX_DELAY_MS = 600_000;
const TERM = /^(?:([1-9]\d{0,8})\*)?(off|error|panic|delay|print|exit)(?:\(([^()]*)\))?/;

let active: Map<FailpointName, Term[]> | null = null;
/** A file that holds the configuration, and which state of it is `active`. */
let file: { readonly path: string; version: string } | undefined;
let listener: ((name: FailpointName, action: string) => void) | undefined;

/**
 * Acts as configured for this point; does nothing when off. Await it where it stands.
 * @returns undefined, or the promise of a delay.
 * @throws what the term says.
 */
export function failpoint(name: FailpointName): Promise<void> | undefined {
  if (active === null) return undefined;
  const delayMs = act(name);
  if (delayMs === 0) return undefined;
  return new Promise((resolve) => {
    setTimeout(resolve, delayMs);
  });
}

/**
 * Replaces the whole configuration.
 * @param text - the value of MYDOCKER_FAILPOINTS; undefined or empty turns all points off. What is wrong in a file is
 *   thrown where a point looks at it.
 * @throws MydockerError `invalid-argument` for an unknown point or term; nothing is changed then.
 */
export function configureFailpoints(text: string | undefined): void {
  if (text?.startsWith('@')) {
    file = { path: text.slice(1), version: '' };
    active = new Map();
    return;
  }
  const points = parse(text ?? '');
  file = undefined;
  active = points.size === 0 ? null : points;
}

/** Whoever writes the file renames it to its name, so that it is never read half. */
function readAnew(from: NonNullable<typeof file>): void {
  const now = statSync(from.path, { bigint: true, throwIfNoEntry: false });
  const version = now === undefined ? '' : `${now.ino} ${now.mtimeNs}`;
  if (version === from.version) return;
  active = parse(now === undefined ? '' : readFileSync(from.path, 'utf8'));
  from.version = version;
}

function parse(text: string): Map<FailpointName, Term[]> {
  const points = new Map<FailpointName, Term[]>();
  let rest = text;
  while (rest !== '') {
    const name = /^[^=;]*/.exec(rest)?.[0] ?? '';
    if (!isFailpoint(name)) throw malformed(`unknown failpoint ${quoteId(name)}`);
    if (points.has(name)) throw malformed(`failpoint ${name} is configured twice`);
    if (rest[name.length] !== '=') throw malformed(`failpoint ${name} has no terms`);
    const [terms, after] = parseChain(name, rest.slice(name.length + 1));
    points.set(name, terms);
    rest = after;
  }
  return points;
}

/** Is told before each action of a point, so that a test can see where the server stands; undefined: nobody. */
export function onFailpoint(listen: ((name: FailpointName, action: string) => void) | undefined): void {
  listener = listen;
}

/** Terms of one point, and what stands behind the `;` that ends them. */
function parseChain(name: string, text: string): [Term[], string] {
  const terms: Term[] = [];
  let rest = text;
  for (;;) {
    const match = TERM.exec(rest);
    if (match === null) throw malformed(`failpoint ${name}: no term at ${quoteId(rest)}`);
    terms.push(makeTerm(name, match));
    rest = rest.slice(match[0].length);
    if (rest === '') return [terms, ''];
    if (rest.startsWith(';')) return [terms, rest.slice(1)];
    if (!rest.startsWith('->')) throw malformed(`failpoint ${name}: no term at ${quoteId(rest)}`);
    rest = rest.slice(2);
  }
}

function makeTerm(name: string, match: RegExpExecArray): Term {
  const action = match[2] as Term['action'];
  const text = match[3];
  if (action === 'delay' && !(text !== undefined && /^\d{1,6}$/.test(text) && Number(text) <= MAX_DELAY_MS)) {
    throw malformed(`failpoint ${name}: delay takes milliseconds, at most ${MAX_DELAY_MS}`);
  }
  if (['off', 'print', 'exit'].includes(action) && text !== undefined) {
    throw malformed(`failpoint ${name}: ${action} takes no argument`);
  }
  return {
    action,
    text: text ?? `failpoint ${name}`,
    left: match[1] === undefined ? Infinity : Number(match[1]),
  };
}

/** @returns how long to wait in milliseconds. */
function act(name: FailpointName): number {
  if (file !== undefined) readAnew(file);
  const terms = active?.get(name);
  const term = terms?.find((t) => t.left > 0);
  if (term === undefined) return 0;
  term.left -= 1;
  if (term.action === 'off') return 0;
  listener?.(name, term.action);
  switch (term.action) {
    case 'error':
      throw internal(term.text, { reason: 'FAILPOINT' });
    case 'panic':
      throw new Error(term.text);
    case 'delay':
      return Number(term.text);
    case 'print':
      writeSync(STDERR, `failpoint ${name} at ${process.hrtime.bigint() / 1000n}\n`);
      return 0;
    case 'exit':
      process.kill(process.pid, 'SIGKILL');
      // The signal is delivered to some thread "soon"; nothing after this point may still happen.
      return block(MAX_DELAY_MS);
  }
}

function block(ms: number): 0 {
  Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, ms);
  return 0;
}

function isFailpoint(name: string): name is FailpointName {
  return (FAILPOINTS as readonly string[]).includes(name);
}

function malformed(message: string): Error {
  return invalidArgument(message, {
    reason: 'FAILPOINT_INVALID',
    hint: 'the form is NAME=[N*]TERM[->…][;…], TERM one of off, error(text), panic(text), delay(ms), print, exit',
  });
}
