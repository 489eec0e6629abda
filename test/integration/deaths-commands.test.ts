/**
 * SIGKILL to the server in the middle of each command of the command line: the client says what happened and
 * ends, nothing is half done afterwards, and the same command, or the one that makes up for it, succeeds.
 */
import assert from 'node:assert/strict';
import { after, afterEach, before, test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { fixtureTar } from '../fixtures/images.ts';
import { SLOWNESS } from '../harness/cli.ts';
import { type Host, startHost } from '../harness/host.ts';
import { checkContent } from './content-rules.ts';
import { checkClean, checkRules, dispose } from './deaths-ground.ts';

let host: Host;
before(async () => {
  host = await startHost({ images: ['busybox'] });
});
afterEach(() => checkClean(host));
after(() => dispose(host));

interface Case {
  /** What is there before. */
  readonly given?: readonly (readonly string[])[];
  readonly command: readonly string[];
  /** Longest time in ms until the server dies; as long as the command takes, or a little longer. */
  readonly within: number;
  /** What takes away what may be there, so that the command can be given again. */
  readonly undo?: readonly string[];
}

const RUNNING = ['run', '-d', '--name', 'web', '--network', 'none', 'busybox', 'sleep', '1000'];
const CREATED = ['create', '--name', 'web', '--network', 'none', 'busybox', 'sleep', '1000'];
const REMOVE = ['rm', '-f', 'web'];

const CASES: readonly Case[] = [
  { command: CREATED, within: 90, undo: REMOVE },
  { command: RUNNING, within: 110, undo: REMOVE },
  { command: ['run', '--rm', '--name', 'web', 'busybox', 'true'], within: 120, undo: REMOVE },
  { given: [CREATED], command: ['start', 'web'], within: 90 },
  { given: [RUNNING], command: ['stop', '-t', '0', 'web'], within: 90 },
  { given: [RUNNING], command: ['restart', '-t', '0', 'web'], within: 110 },
  { given: [RUNNING], command: ['kill', '-s', 'USR1', 'web'], within: 80 },
  { given: [RUNNING], command: ['exec', 'web', 'true'], within: 90 },
  { given: [RUNNING], command: ['logs', 'web'], within: 80 },
  { given: [RUNNING], command: ['inspect', 'web'], within: 80 },
  { given: [RUNNING], command: ['rename', 'web', 'other'], within: 80, undo: ['rename', 'other', 'web'] },
  { given: [RUNNING], command: ['ps'], within: 80 },
  { given: [CREATED], command: ['rm', 'web'], within: 80, undo: CREATED },
  { given: [CREATED], command: ['container', 'prune', '-f'], within: 80 },
  { command: ['tag', 'busybox', 'another'], within: 80 },
  { given: [['tag', 'busybox', 'another']], command: ['rmi', 'another'], within: 80 },
  { command: ['images'], within: 80 },
  { command: ['image', 'prune', '-f'], within: 80 },
  { command: ['system', 'df'], within: 90 },
  { command: ['networks'], within: 80 },
];

let interrupted = 0;

for (const { given = [], command, within, undo } of CASES)
  test(command.filter((word) => !word.startsWith('-')).join(' '), async () => {
    for (const share of [0.5, 1]) {
      for (const before of given) await host.ok(before);
      const asked = host.cli(command);
      await sleep(within * share * SLOWNESS);
      await host.kill9();
      const { code, stderr } = await asked;
      if (code !== 0) {
        interrupted += 1;
        assert.equal(code, 125, stderr);
        assert.match(stderr, /^mydocker: (?:cannot \w+|lost the connection to the server) /, stderr);
        assert.ok(!stderr.includes('    at '), stderr);
      }
      await host.start();
      await checkRules(host);
      if (undo !== undefined) await host.cli(undo);
      const { code: again, stderr: why } = await host.cli(command);
      assert.ok(again === 0 || /no such|not running|already/.test(why), why);
      await host.cli(['rm', '-f', 'web', 'other']);
      await host.cli(['rmi', 'another']);
    }
  });

test('import', async () => {
  const tar = await fixtureTar('busybox');
  for (const within of [100, 300]) {
    const asked = host.cli(['import', tar, 'again']);
    await sleep(within * SLOWNESS);
    await host.kill9();
    await asked;
    await host.start();
    await checkContent(host);
    await host.ok(['import', tar, 'again']);
    await host.ok(['run', '--rm', 'again', 'true']);
    await host.ok(['rmi', 'again']);
  }
});

test('the deaths were in the middle', () => {
  assert.ok(
    interrupted >= CASES.length / 2,
    `${interrupted} of ${2 * CASES.length} commands were interrupted`,
  );
});
