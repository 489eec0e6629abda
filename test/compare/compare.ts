/**
 * Gives the same commands to Debian's docker and to mydocker and compares exit status, standard output and what is there
 * afterwards. A difference that test/compare/differences.ts does not explain fails; an explanation that nothing needs any
 * more is told.
 *
 *   scripts/compare-docker.sh [--write] [--only TEXT]    --write: docs/differences.md is written anew
 */

import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { prepareGround } from '../bench/ground.ts';
import { PROJECT, type RunResult } from '../harness/cli.ts';
import { type Aspect, DIFFERENCES, type Difference, explanation, type Pair } from './differences.ts';
import { writeDocument } from './document.ts';
import { type Engine, startDocker, startMydocker } from './engine.ts';
import { fieldsOf, normalize } from './normalize.ts';

/** What is there: containers and images, one a line. */
const STATE =
  "D ps -a --format '{{.Names}} {{.Image}} {{.State}} {{.Command}}' | sort; D images --format '{{.Repository}}:{{.Tag}}' | sort";
const KEYS = 'keys: ';

async function main(): Promise<number> {
  const only = process.argv.includes('--only')
    ? (process.argv[process.argv.indexOf('--only') + 1] ?? '')
    : '';
  const ground = await prepareGround();
  try {
    const [docker, mydocker] = await Promise.all([startDocker(ground), startMydocker(ground)]);
    const found = await compareAll(docker, mydocker, only);
    await Promise.all([docker.stop(), mydocker.stop()]);
    if (process.argv.includes('--write') && only === '') writeDocument(docker.version, found);
    return report(found, only === '');
  } finally {
    await ground.clear();
  }
}

/** Lines of commands.txt. */
function commandLines(): readonly string[] {
  const text = readFileSync(join(PROJECT, 'test/compare/commands.txt'), 'utf8');
  return text.split('\n').filter((line) => line !== '' && !line.startsWith('#'));
}

async function compareAll(docker: Engine, mydocker: Engine, only: string): Promise<readonly Pair[]> {
  const pairs: Pair[] = [];
  let before = { docker: '', mydocker: '' };
  for (const line of commandLines()) {
    const keys = line.startsWith(KEYS);
    const command = keys ? line.slice(KEYS.length) : line;
    // Commands build on each other, so all are given also where one is looked at.
    const [theirs, ours] = await Promise.all([docker.give(command), mydocker.give(command)]);
    const [theirState, ourState] = await Promise.all([docker.give(STATE), mydocker.give(STATE)]);
    const after = { docker: normalize(theirState.stdout), mydocker: normalize(ourState.stdout) };
    const pair = {
      command,
      docker: shown(theirs, keys, ours),
      mydocker: shown(ours, keys),
      states: after,
    };
    if (line.includes(only)) pairs.push({ ...pair, aspects: aspectsOf(pair, before) });
    before = after;
  }
  return pairs;
}

/** @param other - fields that this one has too are not shown: more than Docker's do no harm. */
function shown({ code, stdout, stderr }: RunResult, keys: boolean, other?: RunResult): Pair['docker'] {
  if (!keys) return { code, output: normalize(stdout), error: stderr };
  const known = new Set(fieldsOf(other?.stdout ?? ''));
  const fields = other === undefined ? [] : fieldsOf(stdout)?.filter((field) => !known.has(field));
  return { code, output: fields === undefined ? normalize(stdout) : fields.join('\n'), error: stderr };
}

function aspectsOf(pair: Omit<Pair, 'aspects'>, before: Pair['states']): readonly Aspect[] {
  const { docker, mydocker, states } = pair;
  const aspects: Aspect[] = [];
  if (docker.code !== mydocker.code) aspects.push('exit');
  if (docker.output !== mydocker.output) aspects.push('output');
  // One difference of what is there is told once, not with each command that follows.
  const known = states.docker === before.docker && states.mydocker === before.mydocker;
  if (states.docker !== states.mydocker && !known) aspects.push('state');
  return aspects;
}

function report(pairs: readonly Pair[], whole: boolean): number {
  const used = new Set<Difference>();
  let unexplained = 0;
  for (const pair of pairs) {
    for (const aspect of pair.aspects) {
      const difference = explanation(pair, aspect);
      if (difference !== undefined) {
        used.add(difference);
        continue;
      }
      unexplained += 1;
      console.log(`\n${aspect}: ${pair.command}`);
      console.log(side('docker', pair, aspect));
      console.log(side('mydocker', pair, aspect));
    }
  }
  const stale = whole ? DIFFERENCES.filter((difference) => !used.has(difference)) : [];
  for (const { about, commands } of stale)
    console.log(`\nnot seen any more, please remove: ${commands}: ${about}`);
  const same = pairs.filter(({ aspects }) => aspects.length === 0).length;
  console.log(
    `\ncompare-docker: ${pairs.length} commands, ${same} the same, ${used.size} differences that are meant, ${unexplained} that are not`,
  );
  return unexplained === 0 ? 0 : 1;
}

function side(name: 'docker' | 'mydocker', pair: Pair, aspect: Aspect): string {
  const { code, output, error } = pair[name];
  const text = { exit: String(code), output, state: pair.states[name] }[aspect];
  const said = error.trim() === '' ? '' : `\n    stderr: ${error.trim().split('\n').join('\n    ')}`;
  return `  ${name}: ${text.split('\n').join('\n    ')}${said}`;
}

process.exitCode = await main();
