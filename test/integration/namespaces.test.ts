/** `--pid`, `--ipc`, `--uts`, `--network`: the host's and other containers'. @vm */
import assert from 'node:assert/strict';
import { existsSync, readdirSync, readFileSync, readlinkSync, rmSync, writeFileSync } from 'node:fs';
import { hostname } from 'node:os';
import { after, afterEach, before, test } from 'node:test';
import { type Host, startHost } from '../harness/host.ts';
import { listProcesses } from '../harness/leaks.ts';
import { assertClean, inside, refused, until } from './ground.ts';

let host: Host;
before(async () => {
  host = await startHost({ images: ['busybox'] });
});
afterEach(() => assertClean(host));
after(() => host.dispose());

const LINK = (kind: string): string => `readlink /proc/self/ns/${kind}`;
const start = (name: string, ...options: string[]): Promise<string> =>
  host.ok(['run', '-d', '--name', name, ...options, 'busybox', 'sleep', '1000']);

test('the host’s namespaces are the host’s, and the others stay its own', async () => {
  for (const kind of ['pid', 'ipc', 'uts']) {
    const own = readlinkSync(`/proc/self/ns/${kind}`);
    assert.equal(await inside(host, LINK(kind), [`--${kind}`, 'host']), own, kind);
    assert.notEqual(await inside(host, LINK(kind), [`--${kind}=private`]), own, kind);
    for (const other of ['mnt', 'net', 'cgroup'])
      assert.notEqual(
        await inside(host, LINK(other), [`--${kind}`, 'host']),
        readlinkSync(`/proc/self/ns/${other}`),
      );
  }
  assert.equal(
    await inside(host, 'hostname; cat /etc/hostname', ['--uts', 'host']),
    `${hostname()}\n${hostname()}`,
  );
  // As machines are called where nobody has called them anything.
  const name = hostname();
  writeFileSync('/proc/sys/kernel/hostname', '(none)');
  for (const option of ['--uts', '--network'])
    assert.equal(await inside(host, 'hostname', [option, 'host']), '(none)');
  writeFileSync('/proc/sys/kernel/hostname', name);
  await refused(host, ['run', '--uts', 'host', '--hostname', 'x', 'busybox', 'true'], /exclude each other/);
  assert.equal(
    await inside(host, 'wc -c </proc/1/cmdline', ['--pid', 'host']),
    `${readFileSync('/proc/1/cmdline').length}`,
  );
});

test('what a container with the host’s process ids leaves behind ends with it', async () => {
  const script = '(trap "" TERM HUP INT; sleep 3141 & sleep 3142) & setsid sleep 3143 & sleep 0.2; echo left';
  const { code, stdout } = await host.cli(['run', '--rm', '--pid', 'host', 'busybox', 'sh', '-c', script]);
  assert.deepEqual([code, stdout], [0, 'left\n']);
  assert.deepEqual(
    listProcesses().filter(({ command }) => /sleep 314/.test(command)),
    [],
  );
  // Also when it is killed, or its shim is.
  for (const end of ['kill', 'shim'] as const) {
    await host.ok([
      'run',
      '-d',
      '--name',
      'wild',
      '--pid',
      'host',
      'busybox',
      'sh',
      '-c',
      `setsid sleep 3144 & exec sleep 3145`,
    ]);
    await until(
      () => listProcesses().filter(({ command }) => /sleep 314[45]/.test(command)).length,
      (count) => count === 2,
    );
    const shim = listProcesses().find(({ command }) => command.startsWith('mydocker-shim'));
    if (end === 'kill') await host.ok(['kill', 'wild']);
    else process.kill(shim?.pid ?? -1, 'SIGKILL');
    await host.ok(['wait', 'wild']);
    await until(
      () => listProcesses().filter(({ command }) => /sleep 314/.test(command)),
      (list) => list.length === 0,
    );
    await host.ok(['rm', 'wild']);
  }
});

test('the host’s shared memory with --ipc host', async () => {
  if (!existsSync('/dev/shm')) return;
  const before = readdirSync('/dev/shm');
  await inside(host, 'echo x >/dev/shm/of-a-container', ['--ipc', 'host']);
  assert.deepEqual(
    readdirSync('/dev/shm').filter((name) => !before.includes(name)),
    ['of-a-container'],
  );
  rmSync('/dev/shm/of-a-container');
  await refused(host, ['run', '--ipc', 'host', '--shm-size', '1m', 'busybox', 'true'], /exclude each other/);
});

test('process ids of another container', async () => {
  await start('main');
  const script = 'ps -o pid,args; readlink /proc/self/ns/pid; readlink /proc/1/ns/pid';
  const seen = await inside(host, script, ['--pid', 'container:main']);
  assert.match(seen, /\n +1 sleep 1000\n/);
  const [own, first] = seen.split('\n').slice(-2);
  assert.equal(own, first);
  assert.match(
    await inside(host, 'cat /etc/hostname; ls /proc/1/root 2>&1', ['--pid', 'container:main']),
    /[0-9a-f]{12}/,
  );
  await host.ok(['rm', '-f', 'main']);
});

test('it ends with the container whose process ids it has, and leaves nothing in it', async () => {
  await start('main');
  await start('guest', '--pid', 'container:main');
  await host.ok(['exec', 'main', 'sh', '-c', 'ps | grep -c "[s]leep 1000" | grep -x 2']);
  await host.ok(['stop', '-t', '0', 'guest']);
  await host.ok(['exec', 'main', 'sh', '-c', 'ps | grep -c "[s]leep 1000" | grep -x 1']);
  await host.ok(['start', 'guest']);
  await host.ok(['kill', 'main']);
  assert.equal(await host.ok(['wait', 'main', 'guest']), '137\n137');
  await refused(
    host,
    ['start', 'guest'],
    /cannot start container guest: container main, whose process ids it shares, does not run[\s\S]*hint: mydocker start main/,
  );
  await host.ok(['start', 'main']);
  await host.ok(['start', 'guest']);
  await host.ok(['rm', '-f', 'main']);
  await refused(host, ['start', 'guest'], /process ids it shares, was removed|already runs|running/);
  await host.ok(['rm', '-f', 'guest']);
});

test('a shim that does not answer does not hold the other container', async () => {
  await start('main');
  const main = new Set(listProcesses().map(({ pid }) => pid));
  await start('guest', '--pid', 'container:main');
  const shim = listProcesses().find(
    ({ pid, command }) => command.startsWith('mydocker-shim') && !main.has(pid),
  );
  process.kill(shim?.pid ?? -1, 'SIGSTOP');
  await host.ok(['kill', 'main']);
  assert.equal(await host.ok(['wait', 'main']), '137');
  assert.equal(await host.ok(['wait', 'guest']), '137');
  await host.ok(['rm', 'main', 'guest']);
});

test('shared memory of another container, files and System V', async () => {
  await start('main');
  await host.ok(['exec', 'main', 'sh', '-c', 'echo shared >/dev/shm/file']);
  const script =
    'cat /dev/shm/file; echo back >/dev/shm/back; readlink /proc/self/ns/ipc; grep -c " /dev/shm " /proc/mounts';
  const [file, ipc, count] = (await inside(host, script, ['--ipc', 'container:main'])).split('\n');
  assert.deepEqual([file, count], ['shared', '1']);
  assert.equal(await host.ok(['exec', 'main', 'readlink', '/proc/self/ns/ipc']), ipc);
  assert.equal(await host.ok(['exec', 'main', 'cat', '/dev/shm/back']), 'back');
  await host.ok(['rm', '-f', 'main']);
});

test('the network of another container, with its names', async () => {
  await start('main', '--hostname', 'mainhost', '--add-host', 'db:10.1.2.3');
  const own = await host.ok([
    'exec',
    'main',
    'sh',
    '-c',
    `${LINK('net')}; ip -4 addr show eth0; cat /etc/hosts`,
  ]);
  assert.equal(
    await inside(host, `${LINK('net')}; ip -4 addr show eth0; cat /etc/hosts`, [
      '--network',
      'container:main',
    ]),
    own,
  );
  await start('guest', '--network', 'container:main');
  assert.equal(await inside(host, 'hostname', ['--network', 'container:guest']), 'mainhost');
  await host.ok([
    'run',
    '-d',
    '--name',
    'server',
    '--network',
    'container:main',
    'busybox',
    'nc',
    '-l',
    '-p',
    '8080',
    '-e',
    'echo',
    'hi',
  ]);
  await until(
    () => host.cli(['exec', 'main', 'nc', '127.0.0.1', '8080']),
    ({ stdout }) => stdout === 'hi\n',
  );
  for (const [option, value] of [
    ['--hostname', 'x'],
    ['--dns', '1.1.1.1'],
    ['--add-host', 'x:1.2.3.4'],
  ] as const)
    await refused(
      host,
      ['run', '--network', 'container:main', option, value, 'busybox', 'true'],
      /exclude each other/,
    );
  await host.ok(['rm', '-f', 'main', 'guest', 'server']);
});

test('who is named must exist, and words are strict', async () => {
  for (const option of ['--pid', '--ipc', '--network'])
    await refused(host, ['create', option, 'container:nosuch', 'busybox', 'true'], /no such container/);
  for (const [option, value] of [
    ['--pid', 'hosts'],
    ['--pid', 'container:'],
    ['--ipc', 'none'],
    ['--uts', 'container:x'],
  ] as const)
    await refused(host, ['create', option, value, 'busybox', 'true'], /invalid value/);
});

test('inspect and a restart of the server keep them', async () => {
  await start('main');
  await start('guest', '--pid', 'container:main', '--ipc', 'container:main', '--uts', 'host');
  await host.restart();
  const { container: main } = await host.api.containers.getContainer({ container: 'main' });
  const { container } = await host.api.containers.getContainer({ container: 'guest' });
  const { pid, ipc, uts } = container?.config?.namespaces ?? {};
  assert.deepEqual([pid?.container, ipc?.container, uts?.mode], [main?.id, main?.id, 2]);
  assert.match(await host.ok(['explain', 'guest']), /bear the process among those of container main/);
  await host.ok(['restart', '-t', '0', 'guest']);
  await host.ok(['exec', 'guest', 'true']);
  await host.ok(['rm', '-f', 'main', 'guest']);
});
