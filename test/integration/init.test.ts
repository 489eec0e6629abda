/** `--init`: what process 1 does for a program that is not made to be it. @vm */
import assert from 'node:assert/strict';
import { after, afterEach, before, test } from 'node:test';
import { type Host, startHost } from '../harness/host.ts';
import { assertClean, inside, refused, until, untilLogged, untilRuns } from './ground.ts';

let host: Host;
before(async () => {
  host = await startHost({ images: ['busybox'] });
});
afterEach(() => assertClean(host));
after(() => host.dispose());

const run = (...command: string[]): ReturnType<Host['cli']> =>
  host.cli(['run', '--rm', '--init', 'busybox', ...command]);

test('process 1 is the init, the program its child, and ends as the program does', async () => {
  const script = 'cat /proc/1/comm; tr "\\0" " " </proc/1/cmdline; echo; echo $$ $PPID; echo err >&2; exit 7';
  const { code, stdout, stderr } = await run('sh', '-c', script);
  assert.deepEqual([code, stdout, stderr], [7, 'mydocker-init\nmydocker-init 2 \n2 1\n', 'err\n']);
  assert.equal((await run('sh', '-c', 'kill -9 $$')).code, 137);
  assert.equal((await run('sh', '-c', 'kill -TERM $$')).code, 143);
  assert.equal((await run('true')).code, 0);
  for (const options of [['-u', '1000:1000'], ['--read-only'], ['--network', 'none']])
    assert.equal(await inside(host, 'cat /proc/1/comm', ['--init', ...options]), 'mydocker-init');
  assert.equal(await host.ok(['run', '--rm', '-i', '--init', 'busybox', 'cat'], { stdin: 'x\n' }), 'x');
});

test('nothing of the launch can be seen in process 1, and its output can be written to', async () => {
  const script = [
    'ls /proc/1/fd | tr "\\n" " "',
    'wc -c </proc/1/environ',
    'echo to-one >/proc/1/fd/1',
    'readlink /proc/1/exe',
    '(echo x >/proc/1/exe) 2>/dev/null || echo read-only',
  ];
  assert.deepEqual((await inside(host, script.join('; '), ['--init'])).split('\n'), [
    '0 1 2 0',
    'to-one',
    '/memfd:mydocker-shim (deleted)',
    'read-only',
  ]);
});

test('signals reach a program that has no handler for them', async () => {
  for (const [verb, status] of [
    [['stop', '-t', '60'], 143],
    [['kill', '-s', 'INT'], 130],
    [['kill', '-s', 'USR1'], 138],
  ] as const) {
    await host.ok(['run', '-d', '--name', 'deaf', '--init', 'busybox', 'sleep', '1000']);
    await host.ok([...verb, 'deaf']);
    assert.equal(await host.ok(['wait', 'deaf']), String(status));
    await host.ok(['rm', 'deaf']);
  }
  // One that comes before the init is there is not lost.
  await host.ok(['create', '--name', 'early', '--init', 'busybox', 'sleep', '1000']);
  await host.ok(['start', 'early']);
  await host.ok(['kill', '-s', 'TERM', 'early']);
  assert.equal(await host.ok(['wait', 'early']), '143');
  await host.ok(['rm', 'early']);
});

test('a program that handles a signal goes on', async () => {
  const script =
    'trap "echo got hup" HUP; trap "echo got term; exit 3" TERM; echo ready; while :; do sleep 0.05; done';
  await host.ok(['run', '-d', '--name', 'trapping', '--init', 'busybox', 'sh', '-c', script]);
  await untilLogged(host, 'trapping', /ready/);
  await host.ok(['kill', '-s', 'HUP', 'trapping']);
  await untilLogged(host, 'trapping', /got hup/);
  await host.ok(['stop', 'trapping']);
  assert.equal(await host.ok(['wait', 'trapping']), '3');
  await host.ok(['rm', 'trapping']);
});

test('a farm of orphans leaves no zombie', async () => {
  const farm = 'i=0; while [ $i -lt 300 ]; do (sh -c "sleep 0.01" &); i=$((i+1)); done; exec sleep 1000';
  const zombies = (name: string): Promise<string> =>
    host.ok([
      'exec',
      name,
      'sh',
      '-c',
      'grep -l "^State:.Z" /proc/[0-9]*/status | wc -l; ls -d /proc/[0-9]* | wc -l',
    ]);
  for (const [name, options] of [
    ['farm', ['--init']],
    ['wild', []],
  ] as const)
    await host.ok(['run', '-d', '--name', name, ...options, 'busybox', 'sh', '-c', farm]);
  // The program, the init, and what asks.
  await until(
    () => zombies('farm'),
    (text) => /^0\n[3-6]$/.test(text),
  );
  // Without it they stay, which is what it is for.
  await until(
    () => zombies('wild'),
    (text) => Number(text.split('\n')[0]) > 0,
  );
  await host.ok(['rm', '-f', 'farm', 'wild']);
});

test('what the program left behind ends with it', async () => {
  const { code, stdout } = await run(
    'sh',
    '-c',
    '(sleep 1000 &); (trap "" TERM HUP; sleep 1001 &); echo left',
  );
  assert.deepEqual([code, stdout], [0, 'left\n']);
});

test('on a terminal the program is in its foreground: ^C and ^Z are for it', async () => {
  const terminal = host.terminal(['run', '--rm', '-it', '--init', 'busybox', 'sh']);
  await terminal.waitFor(/# /);
  terminal.type('tty; cut -d" " -f1,5,8 /proc/$$/stat\n');
  await terminal.waitFor(/\/dev\/pts\/0\r\n2 2 \d+\r/);
  terminal.type('sleep 1000\n');
  await untilRuns('sleep 1000');
  terminal.type('\x03');
  terminal.type('echo status $?\n');
  await terminal.waitFor(/\nstatus 130\r/);
  terminal.type('exit 4\n');
  assert.equal(await terminal.exit(), 4);
  const direct = host.terminal([
    'run',
    '--rm',
    '-it',
    '--init',
    'busybox',
    'sh',
    '-c',
    'echo on; exec sleep 1000',
  ]);
  await direct.waitFor(/on\r/);
  direct.type('\x03');
  assert.equal(await direct.exit(), 130);
});

test('a program that cannot be executed is told as without', async () => {
  const command = ['run', '--rm', '--init', 'busybox'];
  await refused(host, [...command, 'nosuch'], /execute "nosuch": ENOENT \(not found in PATH/, 127);
  await refused(host, [...command, '/etc'], /it is a directory/, 126);
});

test('exec goes beside it; the plan and the record show it', async () => {
  await host.ok(['run', '-d', '--name', 'box', '--init', 'busybox', 'sleep', '1000']);
  assert.equal(await host.ok(['exec', 'box', 'cat', '/proc/1/comm']), 'mydocker-init');
  const { container } = await host.api.containers.getContainer({ container: 'box' });
  assert.equal(container?.config?.init, true);
  await host.restart();
  await host.ok(['stop', 'box']);
  await host.ok(['rm', 'box']);
  assert.match(await host.ok(['create', '--explain', '--init', 'busybox', 'true']), /be a small init/);
  assert.doesNotMatch(await host.ok(['create', '--explain', 'busybox', 'true']), /small init/);
});
