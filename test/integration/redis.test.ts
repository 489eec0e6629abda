/** Real programs: Debian's Redis as a service in a container, talked to through exec. */
import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { mkdirSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { after, afterEach, before, test } from 'node:test';
import { type Host, startHost } from '../harness/host.ts';
import { HOST_NEXT_DOOR, makeTopology, NEIGHBOUR_ADDRESS, type Topology } from '../harness/topology.ts';
import { assertClean, until } from './ground.ts';

let topology: Topology;
let host: Host;
before(async () => {
  topology = await makeTopology();
  host = await startHost({ images: ['debian-redis'] });
});
afterEach(() => assertClean(host));
after(async () => {
  await host.dispose();
  await topology.dispose();
});

const redis = (...words: string[]): Promise<string> => host.ok(['exec', 'redis', 'redis-cli', ...words]);
const answers = (): Promise<unknown> =>
  until(
    () => host.cli(['exec', 'redis', 'redis-cli', 'ping']),
    ({ stdout }) => stdout === 'PONG\n',
  );

test('a service: set, get, persistence over stop and start, a clean end', async () => {
  const command = ['redis-server', '--dir', '/var/lib/redis', '--save', '', '--appendonly', 'yes'];
  await host.ok([
    'run',
    '-d',
    '--name',
    'redis',
    '-u',
    'redis',
    '-m',
    '256m',
    '--pids-max',
    '100',
    'debian-redis',
    ...command,
  ]);
  await answers();
  assert.equal(await redis('set', 'greeting', 'hello world'), 'OK');
  assert.equal(await redis('get', 'greeting'), 'hello world');
  assert.equal(await redis('incr', 'count'), '1');
  assert.match(await host.ok(['logs', 'redis']), /Ready to accept connections/);
  // It ends by itself on SIGTERM, with everything written.
  await host.ok(['stop', '-t', '60', 'redis']);
  assert.equal(JSON.parse(await host.ok(['inspect', '--format', 'api', 'redis']))[0].exit.exitStatus, 0);
  assert.match(await host.ok(['logs', 'redis']), /Received SIGTERM[\s\S]*bye bye/);
  await host.ok(['start', 'redis']);
  await answers();
  assert.equal(await redis('get', 'greeting'), 'hello world');
  assert.equal(await redis('incr', 'count'), '2');
  // A server that stops and starts is nothing that a service notices.
  await host.restart();
  assert.equal(await redis('incr', 'count'), '3');
  assert.match(await redis('info', 'server'), /uptime_in_seconds:\d+/);
  await host.ok(['rm', '-f', 'redis']);
});

test('its data on a volume outlives the container', async () => {
  const folder = join(host.folder, 'tmp/data');
  mkdirSync(folder, { mode: 0o777 });
  for (const expected of ['1', '2']) {
    await host.ok([
      'run',
      '-d',
      '--name',
      'redis',
      '-v',
      `${folder}:/data`,
      '-w',
      '/data',
      'debian-redis',
      'redis-server',
      '--appendonly',
      'yes',
    ]);
    await answers();
    assert.equal(await redis('incr', 'kept'), expected);
    await host.ok(['stop', 'redis']);
    await host.ok(['rm', 'redis']);
  }
  rmSync(folder, { recursive: true });
});

test('a busy service and its client: a thousand commands through one exec', async () => {
  await host.ok(['run', '-d', '--name', 'redis', 'debian-redis', 'redis-server']);
  await answers();
  const commands = Array.from({ length: 1000 }, (_, index) => `SET key:${index} ${index}`).join('\n');
  const stdout = await host.ok(['exec', '-i', 'redis', 'redis-cli'], { stdin: `${commands}\nDBSIZE\n` });
  assert.match(stdout, /^(OK\n){1000}1000$/);
  await host.ok(['rm', '-f', 'redis']);
});

test('Debian’s own programs: a login shell, users, a setuid program, perl', async () => {
  const run = (...words: string[]): Promise<string> => host.ok(['run', '--rm', ...words]);
  assert.match(
    await run('debian-redis', 'bash', '-lc', 'echo $BASH_VERSION; cat /etc/debian_version'),
    /^5\.\S+\n12\.\d+$/,
  );
  assert.match(
    await run('-u', 'redis', 'debian-redis', 'id'),
    /^uid=\d+\(redis\) gid=\d+\(redis\) groups=\d+\(redis\)$/,
  );
  // su is setuid root: it takes a user to root only with a password, and root to a user without.
  assert.equal(await run('debian-redis', 'su', '-s', '/bin/sh', 'redis', '-c', 'id -un'), 'redis');
  assert.equal(
    await run('debian-redis', 'perl', '-e', 'print join ",", map { $_ * $_ } 1 .. 5'),
    '1,4,9,16,25',
  );
  const terminal = host.terminal(['run', '--rm', '-it', 'debian-redis', 'bash']);
  await terminal.waitFor(/root@[0-9a-f]{12}:\/# /);
  terminal.type('tput cols; exit 3\n');
  await terminal.waitFor(/80\r/);
  assert.equal(await terminal.exit(), 3);
});

test('another host asks it over both families', async () => {
  const [here, there] = ['2001:db8:1::2', '2001:db8:1::3'];
  execFileSync('ip', ['addr', 'add', `${here}/64`, 'dev', 'lan0', 'nodad']);
  topology.neighbour.run('ip', 'addr', 'add', `${there}/64`, 'dev', 'up0', 'nodad');
  await host.ok(['network', 'create', '--ipv6', 'six']);
  const options = ['-d', '--name', 'redis', '--network', 'six', '-p', '6379:6379', 'debian-redis'];
  await host.ok([
    'run',
    ...options,
    'redis-server',
    '--save',
    '',
    '--protected-mode',
    'no',
    '--bind',
    '*',
    '-::*',
  ]);
  await answers();
  const script = `const s = require('node:net').connect(6379, process.argv[1]);
    s.write('INCR visits\\r\\nCLIENT LIST\\r\\n'); s.setTimeout(1500, () => process.exit(1));
    let text = ''; s.on('data', (d) => { text += d; if (text.includes('user=')) { console.log(text); process.exit(0); } });`;
  for (const [n, [address, from]] of [
    [HOST_NEXT_DOOR, `addr=${NEIGHBOUR_ADDRESS}:`],
    [here, `addr=[${there}]:`],
  ].entries()) {
    const { output } = topology.neighbour.run(process.execPath, '-e', script, address ?? '');
    assert.match(output, new RegExp(`^:${n + 1}\r?$`, 'm'));
    assert.ok(output.includes(from ?? ''), output);
  }
  await host.ok(['rm', '-f', 'redis']);
  await host.ok(['network', 'rm', 'six']);
});
