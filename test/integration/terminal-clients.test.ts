/** A real shell on a terminal, people who come and go, and what their own terminals look like afterwards. */
import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import { after, afterEach, before, test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { openTerminal, PROJECT, type Terminal } from '../harness/cli.ts';
import { type Host, startHost } from '../harness/host.ts';
import { listProcesses } from '../harness/leaks.ts';
import { assertClean, refused, until, untilAttached, untilLogged, untilRuns } from './ground.ts';

let host: Host;
before(async () => {
  host = await startHost({ images: ['busybox', 'debian-redis'] });
});
afterEach(() => assertClean(host));
after(() => host.dispose());

/** Waits until something new on the terminal matches. */
async function shows(terminal: Terminal, pattern: RegExp, type: string): Promise<void> {
  const seen = terminal.output().length;
  terminal.type(type);
  await until(
    () => terminal.output().slice(seen),
    (text) => pattern.test(text),
    20_000,
  );
}

test('bash: job control, signals, sizes, bytes of eight bits and a long paste', async () => {
  const options = ['--rm', '--network', 'none', '-e', 'PS1=$ ', '-it'];
  const bash = host.terminal(['run', ...options, 'debian-redis', 'bash', '--norc'], {
    rows: 30,
    columns: 110,
  });
  await bash.waitFor(/\$ /);
  assert.doesNotMatch(bash.output(), /no job control/);
  bash.type('sleep 1000\n');
  await untilRuns('sleep 1000');
  await shows(bash, /Stopped +sleep 1000/, '\x1a');
  await shows(bash, /\[1\]\+ +Running +sleep 1000 &/, 'bg; jobs\n');
  await shows(bash, /sleep 1000\r\n/, 'fg\n');
  await shows(bash, /\$ $/, '\x03');
  await shows(bash, /was 130\r/, 'echo was $?\n');
  bash.type('sleep 1001\n');
  await untilRuns('sleep 1001');
  await shows(bash, /Quit/, '\x1c');
  bash.resize(41, 121);
  await until(
    async () => {
      bash.type('echo $(stty size) $COLUMNS\n');
      await sleep(200);
      return bash.output();
    },
    (text) => text.includes('41 121 121\r'),
  );
  // Every byte but the ones that a terminal acts on, in lines, as an editor is fed by a paste.
  const printable = Array.from({ length: 224 }, (_, index) => index + 32).filter((byte) => byte !== 0x7f);
  const line = Buffer.from([...printable, 10]);
  const paste = Buffer.concat(Array.from({ length: 450 }, () => line));
  assert.ok(paste.length > 100_000);
  bash.type('cat >/tmp/paste; md5sum </tmp/paste; wc -c </tmp/paste\n');
  bash.typeBytes(paste);
  const sum = createHash('md5').update(paste).digest('hex');
  await shows(bash, new RegExp(`${sum} +-\\r\\n${paste.length}\\r`), '\x04');
  bash.type('exit 6\n');
  assert.equal(await bash.exit(), 6);
});

test('who attaches again sees the shell as it is', async () => {
  const first = host.terminal([
    'run',
    '--name',
    'web',
    '-e',
    'PS1=here: ',
    '-it',
    'debian-redis',
    'bash',
    '--norc',
  ]);
  await first.waitFor(/here: /);
  first.type('\x10\x11');
  assert.equal(await first.exit(), 0);
  const prompt = host.terminal(['attach', 'web']);
  await prompt.waitFor(/here: /);
  // What is typed finds the size as it is.
  await shows(prompt, /24 80\r/, 'stty size\n');
  prompt.type('\x10\x11');
  assert.equal(await prompt.exit(), 0);
  await host.ok(['rm', '-f', 'web']);
});

test('several clients see the same and all may type; one that leaves, leaves the others', async () => {
  await host.ok(['run', '-d', '-it', '--name', 'web', 'busybox', 'sh']);
  const clients = [0, 1, 2].map(() => host.terminal(['attach', 'web']));
  for (const client of clients) await client.waitFor(/# /);
  for (const [index, typing] of clients.entries()) {
    typing.type(`echo from ${index}\n`);
    for (const client of clients) await client.waitFor(new RegExp(`\nfrom ${index}\r`));
  }
  clients[0]?.type('\x10\x11');
  assert.equal(await clients[0]?.exit(), 0);
  clients[1]?.kill();
  clients[2]?.type('exit 8\n');
  assert.equal(await clients[2]?.exit(), 8);
  assert.doesNotMatch(clients[0]?.output() ?? '', /exit 8/);
  await host.ok(['rm', 'web']);
});

test('without a terminal several clients see the same, and the end of one’s input is nobody else’s', async () => {
  await host.ok(['run', '-d', '-i', '--name', 'pipe', 'busybox', 'sh', '-c', 'cat; echo end >&2']);
  const reader = host.cli(['attach', '--no-stdin', 'pipe']);
  const other = host.cli(['attach', '--no-stdin', '--sig-proxy=false', 'pipe']);
  await untilAttached(host, 'pipe', 2);
  const writer = host.cli(['attach', 'pipe'], { stdin: 'a line\n' });
  await untilLogged(host, 'pipe', /a line/);
  await untilAttached(host, 'pipe', 3);
  // The input of a container that runs detached stays open when a client's ends.
  assert.equal(await host.ok(['ps', '-q', '-f', 'status=running']), await host.ok(['ps', '-q']));
  await host.ok(['stop', '-t', '0', 'pipe']);
  for (const { stdout, code } of [await reader, await other])
    assert.deepEqual([stdout, code], ['a line\n', 137]);
  assert.match((await writer).stdout, /^(a line\n)?$/);
  await host.ok(['rm', 'pipe']);
});

/** Runs the client in a shell on a terminal, which says whether the terminal is as it was. */
function guarded(command: string): Terminal {
  const script = `before=$(stty -g); ${PROJECT}/bin/mydocker ${command}; echo "status $?"; [ "$(stty -g)" = "$before" ] && echo SAME || echo CHANGED`;
  return openTerminal('sh', ['-c', script], { env: { MYDOCKER_HOST: host.address } });
}

const clientOf = (words: string): number =>
  listProcesses().find(({ command }) => command.includes('mydocker.cjs') && command.endsWith(words))?.pid ??
  0;

test('the person’s terminal is as it was: the client, the server or the shim was killed', async () => {
  await host.ok(['run', '-d', '-it', '--name', 'web', 'busybox', 'sh']);
  const attached = guarded('attach web');
  await attached.waitFor(/# /);
  process.kill(clientOf('attach web'), 'SIGTERM');
  await attached.waitFor(/status 143\s+SAME/);
  const served = guarded('attach web');
  await served.waitFor(/# /);
  await host.kill9();
  await served.waitFor(/lost the connection[\s\S]*hint[\s\S]*status 125\s+SAME/);
  await host.start();
  const held = guarded('attach web');
  await held.waitFor(/# /);
  const [{ run }] = JSON.parse(await host.ok(['inspect', '--format', 'api', 'web'])) as [
    { run: { shimPid: number } },
  ];
  process.kill(run.shimPid, 'SIGKILL');
  await held.waitFor(/the shim of the container is gone\s+status 137\s+SAME/);
  for (const terminal of [attached, served, held]) await terminal.exit();
  await host.ok(['rm', 'web']);
});

test('-t without -i shows and takes nothing; -it without a terminal is refused before anything is made', async () => {
  const shown = host.terminal(['run', '--rm', '-t', 'busybox', 'sh', '-c', 'tty; sleep 1']);
  await shown.waitFor(/\/dev\/pts\/0\r+\n/);
  shown.type('not for it\n');
  assert.equal(await shown.exit(), 0);
  await host.ok(['run', '-d', '--name', 'box', 'busybox', 'sleep', '1000']);
  for (const words of [['run', '--name', 'new'], ['exec']]) {
    const target = words[0] === 'run' ? 'busybox' : 'box';
    await refused(host, [...words, '-it', target, 'sh'], /the input device is not a TTY[\s\S]*hint/);
  }
  assert.doesNotMatch(await host.ok(['ps']), /new/);
  await host.ok(['rm', '-f', 'box']);
});
