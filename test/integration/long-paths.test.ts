/** Folders with long names: a socket's address has 108 bytes, and nobody may notice. */
import assert from 'node:assert/strict';
import { readlinkSync } from 'node:fs';
import { after, afterEach, before, test } from 'node:test';
import { type Host, startHost } from '../harness/host.ts';
import { assertClean, inside, outputOf, tryInside, until } from './ground.ts';

// Two folders, as one name has 255 bytes at most.
const NAME = `${'l'.repeat(100)}/${'s'.repeat(100)}`;

let host: Host;
before(async () => {
  host = await startHost({ images: ['busybox'], stateName: NAME });
});
afterEach(() => assertClean(host));
after(() => host.dispose());

test('the socket of the server is reached by client and API', async () => {
  assert.ok(host.socket.length > 200);
  assert.match(await host.ok(['version']), /Server/);
});

test('run, exec, logs, attach, stop, start, a new server', async () => {
  assert.equal(await inside(host, 'echo ran'), 'ran');
  assert.equal((await tryInside(host, 'exit 3')).code, 3);
  await host.ok([
    'run',
    '-d',
    '-i',
    '--name',
    'far',
    'busybox',
    'sh',
    '-c',
    'echo begin; while read line; do echo "got $line"; done; echo end',
  ]);
  assert.equal(await host.ok(['exec', 'far', 'echo', 'inside']), 'inside');
  assert.equal(await host.ok(['exec', '-i', 'far', 'cat'], { stdin: 'piped' }), 'piped');
  const attached = host.spawn(['attach', 'far']);
  const text = outputOf(attached);
  attached.stdin?.write('one\n');
  await until(text, (all) => all.includes('got one\n'));
  await host.kill9();
  await host.start();
  await until(
    () => host.ok(['ps']),
    (list) => /far +busybox +running/.test(list),
  );
  assert.equal(await host.ok(['exec', 'far', 'echo', 'again']), 'again');
  attached.kill();
  const second = host.spawn(['attach', 'far']);
  second.stdin?.write('two\n');
  await until(
    () => host.ok(['logs', 'far']),
    (log) => log === 'begin\ngot one\ngot two',
  );
  second.kill();
  await host.ok(['stop', '-t', '0', 'far']);
  await host.ok(['start', 'far']);
  await host.ok(['rm', '-f', 'far']);
});

test('a terminal', async () => {
  const terminal = host.terminal(['run', '--rm', '-it', 'busybox', 'sh']);
  await terminal.waitFor(/# /);
  terminal.type('tty; exit 6\n');
  await terminal.waitFor(/\/dev\/pts\/0/);
  assert.equal(await terminal.exit(), 6);
});

test('each shim says in ps which run it holds', async () => {
  await host.ok(['run', '-d', '--name', 'titled', 'busybox', 'sleep', '1000']);
  const [{ run }] = JSON.parse(await host.ok(['inspect', '--format', 'api', 'titled']));
  assert.ok(readlinkSync(`/proc/${run.shimPid}/exe`).includes('mydocker-shim'));
  await host.ok(['rm', '-f', 'titled']);
});
