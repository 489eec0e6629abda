/** `-it`: a terminal inside that behaves like the one outside. */
import assert from 'node:assert/strict';
import { after, afterEach, before, test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { openTerminal, PROJECT } from '../harness/cli.ts';
import { type Host, startHost } from '../harness/host.ts';
import { listProcesses } from '../harness/leaks.ts';
import { assertClean, inside, refused, until, untilRuns, WITH_PROBE } from './ground.ts';

let host: Host;
before(async () => {
  host = await startHost({ images: ['busybox'] });
});
afterEach(() => assertClean(host));
after(() => host.dispose());

test('run -it is a terminal: name, size, echo, exit status', async () => {
  const terminal = host.terminal(['run', '--rm', '-it', 'busybox', 'sh'], { rows: 31, columns: 101 });
  await terminal.waitFor(/# /);
  terminal.type('tty; stty size; echo $TERM; id -un\n');
  await terminal.waitFor(/\/dev\/pts\/0\r\n31 101\r\nxterm\r\nroot\r\n/);
  terminal.type('[ -t 0 ] && [ -t 1 ] && [ -t 2 ] && echo three terminals\n');
  await terminal.waitFor(/\nthree terminals\r/);
  terminal.type('ls -l /dev/console; echo to-console >/dev/console; echo to-tty >/dev/tty\n');
  await terminal.waitFor(/136, +0 .*\/dev\/console\r\nto-console\r\nto-tty/);
  terminal.type('exit 7\n');
  assert.equal(await terminal.exit(), 7);
});

test('a change of the window reaches the process', async () => {
  const script = 'trap "stty size" WINCH; echo ready; while :; do sleep 0.05; done';
  const terminal = host.terminal(['run', '--rm', '--name', 'window', '-ti', 'busybox', 'sh', '-c', script], {
    rows: 24,
    columns: 80,
  });
  await terminal.waitFor(/ready/);
  terminal.resize(40, 132);
  await terminal.waitFor(/40 132\r\n/);
  terminal.resize(50, 60);
  await terminal.waitFor(/50 60\r\n/);
  await host.ok(['rm', '-f', 'window']);
  assert.equal(await terminal.exit(), 137);
});

test('^C, ^Z, ^\\ and ^D go to the process and not to the client', async () => {
  const terminal = host.terminal(['run', '--rm', '-it', 'busybox', 'sh']);
  await terminal.waitFor(/# /);
  terminal.type('sleep 1000\n');
  await untilRuns('sleep 1000');
  terminal.type('\x03');
  terminal.type('echo status $?\n');
  await terminal.waitFor(/\nstatus 130\r/);
  // A line that the shell has read ahead is not the program's.
  terminal.type('cat\n');
  await untilRuns('cat');
  terminal.type('word\n');
  await terminal.waitFor(/word\r\nword\r/);
  terminal.type('\x04');
  terminal.type('echo after-cat\n');
  await terminal.waitFor(/\nafter-cat\r/);
  terminal.type('\x04');
  assert.equal(await terminal.exit(), 0);
});

test('the client’s own terminal is as it was afterwards, however it ends', async () => {
  const client = `${PROJECT}/bin/mydocker`;
  const shell = (command: string) =>
    openTerminal(
      'sh',
      ['-c', `before=$(stty -g); ${command}; [ "$(stty -g)" = "$before" ] && echo SAME || echo CHANGED`],
      {
        env: { MYDOCKER_HOST: host.address },
      },
    );
  for (const command of ['exit 3', 'kill -9 $$; exit 3']) {
    const terminal = shell(`${client} run --rm -it busybox sh -c '${command}'`);
    await terminal.waitFor(/SAME|CHANGED/, 20_000);
    assert.match(terminal.output(), /SAME/);
    await terminal.exit();
  }
  const failing = shell(`${client} run --rm -it busybox /no/such`);
  await failing.waitFor(/ENOENT[\s\S]*SAME/, 20_000);
  await failing.exit();
});

test('the keys that leave, leave it running; attach comes back', async () => {
  const terminal = host.terminal(['run', '--name', 'left', '-it', 'busybox', 'sh']);
  await terminal.waitFor(/# /);
  terminal.type('marker=here\n');
  terminal.type('\x10\x11');
  assert.equal(await terminal.exit(), 0);
  assert.match(terminal.output(), /left \S+ running/);
  assert.match(await host.ok(['ps', '-r']), /left/);
  const again = host.terminal(['attach', 'left'], { rows: 33, columns: 99 });
  again.type('echo $marker; stty size\n');
  await again.waitFor(/here\r\n33 99\r\n/);
  // Not the second key, so both go to the process, where the first one means "the line before".
  again.type('\x10');
  again.type('x\n');
  await again.waitFor(/invalid number 'sizex'/);
  again.type('exit 4\n');
  assert.equal(await again.exit(), 4);
  await host.ok(['rm', 'left']);
});

test('--detach-keys chooses others', async () => {
  const terminal = host.terminal([
    'run',
    '--name',
    'keys',
    '--detach-keys',
    'ctrl-a,d',
    '-it',
    'busybox',
    'sh',
  ]);
  await terminal.waitFor(/# /);
  terminal.type('\x01d');
  assert.equal(await terminal.exit(), 0);
  await host.ok(['rm', '-f', 'keys']);
  await refused(
    host,
    ['run', '--detach-keys', 'ctrl-1x', 'busybox', 'true'],
    /invalid detach keys[\s\S]*hint/,
  );
});

test('a client that is killed leaves the container and its terminal usable', async () => {
  const terminal = host.terminal(['run', '--name', 'orphan', '-it', 'busybox', 'sh']);
  await terminal.waitFor(/# /);
  terminal.kill();
  await until(
    () => host.ok(['ps']),
    (list) => /orphan +busybox +running/.test(list),
  );
  const again = host.terminal(['attach', 'orphan']);
  again.type('echo still here\n');
  await again.waitFor(/\nstill here\r/);
  again.type('exit\n');
  assert.equal(await again.exit(), 0);
  await host.ok(['rm', 'orphan']);
});

test('exec -it has a terminal of its own', async () => {
  await host.ok(['run', '-d', '--name', 'box', 'busybox', 'sleep', '1000']);
  const terminal = host.terminal(['exec', '-it', '-u', 'user', '-e', 'A=1', 'box', 'sh'], {
    rows: 30,
    columns: 90,
  });
  await terminal.waitFor(/\$ /);
  terminal.type('tty; stty size; id -un; echo $A; : </dev/tty && echo opened; ls -l $(tty)\n');
  await terminal.waitFor(/\/dev\/pts\/0\r\n30 90\r\nuser\r\n1\r\nopened\r\ncrw--w---- +1 user +tty/);
  terminal.resize(35, 95);
  await until(
    async () => {
      terminal.type('stty size\n');
      await new Promise((resolve) => setTimeout(resolve, 100));
      return terminal.output();
    },
    (text) => text.includes('35 95'),
  );
  terminal.type('exit 9\n');
  assert.equal(await terminal.exit(), 9);
  // The keys that leave, leave it running, where a client that ends takes it along.
  const kept = host.terminal(['exec', '-it', 'box', 'sleep', '4343']);
  await untilRuns('sleep 4343');
  kept.type('\x10\x11');
  assert.equal(await kept.exit(), 0);
  await sleep(300);
  assert.ok(listProcesses().some(({ command }) => command === 'sleep 4343'));
  // What a process leaves behind holds nobody.
  const left = host.terminal(['exec', '-it', 'box', 'sh', '-c', 'sleep 1000 & exit 5']);
  assert.equal(await left.exit(), 5);
  await host.ok(['rm', '-f', 'box']);
});

test('output of a terminal is one stream, kept in the log', async () => {
  await host.ok([
    'run',
    '-d',
    '-t',
    '--name',
    'tty',
    'busybox',
    'sh',
    '-c',
    'echo out; echo err >&2; stty size',
  ]);
  await host.ok(['wait', 'tty']);
  const { stdout, stderr } = await host.cli(['logs', 'tty']);
  assert.deepEqual([stdout, stderr], ['out\r\nerr\r\n24 80\r\n', '']);
  await host.ok(['rm', 'tty']);
});

test('full-screen programs: raw keys go in, every byte comes out', async () => {
  const terminal = host.terminal(['run', '--rm', '-it', 'busybox', 'vi', '/tmp/file']);
  await terminal.waitFor(/\[24;1H[\s\S]*\/tmp\/file/);
  for (const keys of ['itext', '\x1b', ':wq\n']) {
    terminal.type(keys);
    await sleep(300);
  }
  assert.equal(await terminal.exit(), 0);
  const bytes = host.terminal([
    'run',
    '--rm',
    '-it',
    'busybox',
    'sh',
    '-c',
    'stty raw -echo; echo ready; dd bs=1 count=4 2>/dev/null | od -An -tx1',
  ]);
  await bytes.waitFor(/ready/);
  bytes.type('\x03\x1a\x04\r');
  await bytes.waitFor(/03 1a 04 0d/);
  assert.equal(await bytes.exit(), 0);
});

test('without a terminal the process has none, and cannot reach the caller’s', async () => {
  // The client runs on a terminal here, the process in a session without one.
  const client = `${PROJECT}/bin/mydocker`;
  const words = `run --rm -i ${WITH_PROBE.join(' ')} busybox sh -c '/probe sticky; tty; cut -d" " -f6,7 /proc/self/stat; : </dev/tty'`;
  const terminal = openTerminal('sh', ['-c', `${client} ${words}; echo END`], {
    env: { MYDOCKER_HOST: host.address },
  });
  await terminal.waitFor(/END/, 20_000);
  assert.match(terminal.output(), /^ENOTTY\r\nnot a tty\r\n1 0\r\n/);
  assert.match(terminal.output(), /No such device or address/);
  await terminal.exit();
});

test('with a terminal it is the leader of its session, and the terminal is its own alone', async () => {
  const { stdout } = await host.cli([
    'run',
    '--rm',
    '-t',
    'busybox',
    'sh',
    '-c',
    'read a b c d e f g h </proc/$$/stat; echo $a $f $g; ls /dev/pts',
  ]);
  assert.equal(stdout, `1 1 ${136 << 8}\r\n0     ptmx\r\n`);
  assert.equal(await inside(host, 'ls /dev/pts'), 'ptmx');
});
