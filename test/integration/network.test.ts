/** `--network none` and `host`; the default network has a file of its own. @vm */
import assert from 'node:assert/strict';
import { readFileSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:net';
import { hostname } from 'node:os';
import { after, afterEach, before, test } from 'node:test';
import { type Host, startHost } from '../harness/host.ts';
import { assertClean, inside, refused, tryInside } from './ground.ts';

let host: Host;
before(async () => {
  host = await startHost({ images: ['busybox'] });
});
afterEach(() => assertClean(host));
after(() => host.dispose());

test('none is the loopback alone, and it works', async () => {
  for (const options of [
    ['--network', 'none'],
    ['--net', 'none'],
  ]) {
    const script = `ls /sys/class/net; ip -o link | wc -l
      nc -l -p 8080 </etc/hostname & sleep 0.2; nc 127.0.0.1 8080; ip addr | grep -c 'inet '`;
    const id = await inside(host, script, [...options, '--hostname', 'alone']);
    assert.equal(id, 'lo\n1\nalone\n1');
  }
});

test('in a network of its own any port may be bound by anybody', async () => {
  assert.equal(await inside(host, 'cat /proc/sys/net/ipv4/ip_unprivileged_port_start'), '0');
  assert.equal((await tryInside(host, 'nc -l -p 80 & sleep 0.1; kill $!; wait', ['-u', '1000'])).stderr, '');
  assert.equal(await inside(host, 'cat /proc/sys/net/ipv4/ping_group_range'), '0\t2147483647');
  assert.equal(await inside(host, 'ping -c 1 -W 1 127.0.0.1 >/dev/null; echo $?'), '0');
});

test('two containers do not share ports, nor the abstract sockets', async () => {
  await host.ok(['run', '-d', '--name', 'n1', 'busybox', 'nc', '-l', '-p', '9000']);
  assert.match((await tryInside(host, 'nc -w 1 127.0.0.1 9000')).stderr, /refused/);
  assert.doesNotMatch(await inside(host, 'cat /proc/net/unix'), /@/);
  await host.ok(['rm', '-f', 'n1']);
});

test('host is the network of the server, with its name and its files', async (t) => {
  const server = createServer((socket) => socket.end('from the host\n'));
  t.after(() => server.close());
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const address = server.address();
  const port = typeof address === 'object' ? address?.port : 0;
  const script = `nc 127.0.0.1 ${port}; hostname; cat /proc/sys/net/ipv4/ip_unprivileged_port_start`;
  const own = readFileSync('/proc/sys/net/ipv4/ip_unprivileged_port_start', 'utf8').trim();
  assert.equal(await inside(host, script, ['--network', 'host']), `from the host\n${hostname()}\n${own}`);
  assert.equal(
    await inside(host, 'cat /etc/hosts', ['--network', 'host']),
    readFileSync('/etc/hosts', 'utf8').trimEnd(),
  );
});

test('a host that nobody gave a name is one, too', async (t) => {
  const own = hostname();
  // Of this test's UTS namespace.
  const rename = (name: string): void => writeFileSync('/proc/sys/kernel/hostname', name);
  t.after(() => rename(own));
  rename('(none)');
  assert.equal(await inside(host, 'hostname', ['--network', 'host']), '(none)');
});

test('with the host’s network nothing of ours can be reached through it', async () => {
  const sockets = await inside(
    host,
    'grep -c mydocker /proc/net/unix; grep mydocker /proc/net/unix | grep -c @',
    ['--network', 'host'],
  ).catch((error) => error.message);
  assert.match(sockets, /\n0/);
  // And its sysctls stay read-only.
  assert.match(
    (await tryInside(host, 'echo 1 >/proc/sys/net/ipv4/ip_forward', ['--network', 'host'])).stderr,
    /Read-only/,
  );
  const raw = 'ip link add x type dummy 2>&1; ip addr add 10.9.8.7/32 dev lo 2>&1';
  assert.match(
    (await tryInside(host, raw, ['--network', 'host'])).stdout,
    /not permitted[\s\S]*not permitted/,
  );
});

test('what is not there yet is refused by name', async () => {
  await refused(
    host,
    ['run', '--network', 'lan', 'busybox', 'true'],
    /cannot find network lan: no such network/,
  );

  await refused(host, ['run', '--network', 'none', '--network', 'host', 'busybox', 'true'], /stand alone/);
});
