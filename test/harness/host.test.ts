/** The harness is believed only because it finds what is planted here. */
import assert from 'node:assert/strict';
import { spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, mkdirSync, mkdtempSync, rmdirSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { after, before, describe, test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { openTerminal, PROJECT, run } from './cli.ts';
import { Host } from './host.ts';
import { cgroupMounts, listLinks, listProcesses, type ProcessEntry } from './leaks.ts';

const must = (command: string, ...args: string[]): void => {
  const { status, stderr } = spawnSync(command, args, { encoding: 'utf8' });
  assert.equal(status, 0, stderr);
};

async function seen(like: (process: ProcessEntry) => boolean): Promise<void> {
  while (!listProcesses().some(like)) await sleep(20);
}

describe('a host', () => {
  const host = new Host({});
  before(() => {
    mkdirSync(host.state);
    mkdirSync(join(host.root, 'containers'), { recursive: true });
    host.remember();
  });
  after(() => host.dispose());

  test('is clean when nothing happened, and has a network of its own', async () => {
    await host.assertClean(0);
    assert.deepEqual(listLinks(), ['lo']);
    assert.equal(spawnSync('ping', ['-c', '1', '-W', '1', '127.0.0.1']).status ?? 0, 0);
  });

  const leaks: [name: string, plant: () => void, remove: () => void, says: RegExp][] = [
    [
      'a mount',
      () => must('mount', '-t', 'tmpfs', 'planted', host.state),
      () => must('umount', host.state),
      /mounts: left behind: \S+\/state tmpfs/,
    ],
    [
      'a link',
      () => must('ip', 'link', 'add', 'planted0', 'type', 'bridge'),
      () => must('ip', 'link', 'del', 'planted0'),
      /links: left behind: planted0/,
    ],
    [
      'a rule',
      () => must('nft', 'add', 'table', 'inet', 'planted'),
      () => must('nft', 'delete', 'table', 'inet', 'planted'),
      /rules: left behind: table inet planted/,
    ],
    [
      'a file of a container',
      () => mkdirSync(join(host.root, 'containers/planted')),
      () => rmdirSync(join(host.root, 'containers/planted')),
      /files: left behind: root\/containers\/planted/,
    ],
    [
      'a temporary file',
      () => writeFileSync(join(host.folder, 'tmp/planted'), ''),
      () => rmSync(join(host.folder, 'tmp/planted')),
      /files: left behind: tmp\/planted/,
    ],
  ];
  for (const [name, plant, remove, says] of leaks) {
    test(`finds ${name}`, async () => {
      plant();
      try {
        await assert.rejects(host.assertClean(0), says);
      } finally {
        remove();
      }
      await host.assertClean();
    });
  }

  test('finds a control group in each hierarchy', async () => {
    for (const mount of cgroupMounts()) {
      mkdirSync(join(mount, host.cgroupParent, 'planted'), { recursive: true });
      await assert.rejects(host.assertClean(0), (error: Error) =>
        error.message.includes(`cgroups: left behind: ${mount}${host.cgroupParent}/planted`),
      );
      rmdirSync(join(mount, host.cgroupParent, 'planted'));
      rmdirSync(join(mount, host.cgroupParent));
    }
    await host.assertClean();
  });

  test('finds a process and a zombie that are nobody of ours', async () => {
    // the inner shell ends, so that the sleeper has no parent any more
    const shell = spawnSync('sh', ['-c', 'sleep 1000 >/dev/null 2>&1 & echo $!'], { encoding: 'utf8' });
    // its process is there before its program
    await seen(({ pid, command }) => pid === Number(shell.stdout) && command === 'sleep 1000');
    await assert.rejects(host.assertClean(0), /processes: left behind: \d+ sleep 1000/);
    process.kill(Number(shell.stdout), 'SIGKILL');
    // the first process of the namespace reaps it
    await host.assertClean();
    const keeper = spawn('sh', ['-c', 'sleep 0 & exec sleep 1000']);
    await seen(({ parent, state }) => parent === keeper.pid && state === 'Z');
    await assert.rejects(host.assertClean(0), /processes: left behind: \d+ \(sleep\) zombie/);
    keeper.kill('SIGKILL');
    await host.assertClean();
  });
});

test('clients that a test leaves, also stopped ones, end with its host', async () => {
  const host = new Host({});
  const client = host.spawn(['events']);
  client.kill('SIGSTOP');
  const terminal = host.terminal(['events']);
  await host.dispose();
  if (client.signalCode === null) await once(client, 'exit');
  assert.equal(client.signalCode, 'SIGKILL');
  await terminal.exit();
});

test('a file that does not end is ended, with all that it started', async () => {
  const folder = mkdtempSync('/tmp/mydocker-endless-');
  const file = join(folder, 'endless.ts');
  const entered = join(folder, 'entered');
  try {
    const lines = [
      `import ${JSON.stringify(join(PROJECT, 'test/harness/enter.ts'))};`,
      "import { spawn } from 'node:child_process';",
      "import { writeFileSync } from 'node:fs';",
      "spawn('sleep', ['12345']);",
      `writeFileSync(${JSON.stringify(entered)}, '');`,
    ];
    writeFileSync(file, lines.join('\n'));
    // A hundredth of the deadline: three seconds.
    const env = { MYDOCKER_TEST_HOST: '', MYDOCKER_TEST_SLOWNESS: '0.01' };
    const { code, stderr } = await run(process.execPath, [file], { env });
    assert.notEqual(code, 0);
    assert.match(stderr, /ETIMEDOUT/);
    assert.ok(existsSync(entered));
    assert.ok(listProcesses().every(({ command }) => command !== 'sleep 12345'));
  } finally {
    rmSync(folder, { recursive: true });
  }
});

describe('a command', () => {
  test('has its exit status, its output and its input', async () => {
    const { code, stdout, stderr } = await run('sh', ['-c', 'cat; echo warning >&2; exit 7'], {
      stdin: 'hello',
    });
    assert.deepEqual([code, stdout, stderr], [7, 'hello', 'warning\n']);
  });

  test('that a signal ends has 128 + its number', async () => {
    assert.equal((await run('sh', ['-c', 'kill -TERM $$'])).code, 143);
  });

  test('that hangs is ended and told with its output', async () => {
    const hang = run('sh', ['-c', 'echo so far; sleep 1000'], { timeoutMs: 300 });
    await assert.rejects(hang, /not done after \d+ ms\nstdout: so far/);
  });
});

test('a terminal has a size, echoes, is resized and passes ^C on', async () => {
  const script = 'trap "stty size" WINCH; stty size; while :; do read line; echo "got $line"; done';
  const terminal = openTerminal('sh', ['-c', script], { rows: 30, columns: 100 });
  await terminal.waitFor(/30 100\r\n/);
  terminal.type('words\n');
  await terminal.waitFor(/words\r\ngot words\r\n/);
  terminal.resize(40, 120);
  terminal.type('\n');
  await terminal.waitFor(/40 120\r\n/);
  terminal.type('\x03');
  assert.equal(await terminal.exit(), 130);
});
