/**
 * SIGKILL to the server in each step of a start in networks with a published port, of publishing, and anywhere in
 * connect and disconnect; and a reboot. What is there afterwards is what the records say: interfaces, addresses, ports.
 * @vm
 */
import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { rmSync } from 'node:fs';
import { after, afterEach, before, test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { SLOWNESS } from '../harness/cli.ts';
import { type Host, startHost } from '../harness/host.ts';
import { listLinks } from '../harness/leaks.ts';
import { anotherBoot } from './another-boot.ts';
import {
  api,
  checkRules,
  dispose,
  look,
  pidsTitled,
  pointsOf,
  remove,
  restartWith,
  start,
  statusOf,
  told,
  untilDead,
  wait,
} from './deaths-ground.ts';
import { assertCleanNetworks, until } from './ground.ts';
import { held, publishedElements, runIn } from './publish-ground.ts';

let host: Host;
before(async () => {
  host = await startHost({ images: ['busybox'], armable: true });
});
afterEach(() => assertCleanNetworks(host));
after(() => dispose(host));

const FOREVER = ['busybox', 'sleep', '1000'];
const veths = (): string[] => listLinks().filter((name) => name.startsWith('veth'));
const none = (names: readonly string[]): boolean => names.length === 0;

/** The server dies at a point while something is asked of it, and another one takes its place. */
async function dieAt(point: string, ask: () => Promise<unknown>): Promise<void> {
  // A start finds no launcher then, as the first one of each server.
  if (point.startsWith('start.')) await restartWith(host, `${point}=exit`);
  else host.arm(`${point}=exit`);
  const asked = ask().catch(() => undefined);
  await untilDead(host);
  await asked;
  await host.start();
}

interface Link {
  readonly ifname: string;
  readonly address: string;
  readonly addr_info: readonly {
    readonly local: string;
    readonly prefixlen: number;
    readonly scope: string;
  }[];
}

/** What a running container really has: interfaces with addresses and hardware addresses. */
async function seen(name: string): Promise<string[]> {
  const { run } = (await look(host, name)) ?? {};
  const all = JSON.parse(runIn(run?.pid ?? 0, 'ip', '-j', 'addr')) as Link[];
  return all
    .filter(({ ifname }) => ifname !== 'lo')
    .map(({ ifname, address, addr_info }) => {
      const own = addr_info.filter(({ scope }) => scope === 'global');
      return [ifname, address, ...own.map(({ local, prefixlen }) => `${local}/${prefixlen}`).sort()].join(
        ' ',
      );
    })
    .sort();
}

/** The same as its record says it. */
async function recorded(name: string): Promise<string[]> {
  const { endpoints = [] } = (await look(host, name)) ?? {};
  return endpoints
    .map(({ interfaceName, macAddress, ipv4Address, ipv6Address }) =>
      [interfaceName, macAddress, ...[ipv4Address, ipv6Address].filter(Boolean).sort()].join(' '),
    )
    .sort();
}

const untilAsRecorded = async (name: string): Promise<void> => {
  const wanted = await recorded(name);
  await until(
    () => seen(name),
    (found) => found.join() === wanted.join(),
  );
  await until(veths, (names) => names.length === wanted.length);
  // Each of them is held to its addresses, and what is gone is forgotten.
  await until(held, (names) => names.join() === veths().sort().join());
};

test('in each step of a start in two networks with a port', async () => {
  await host.ok(['network', 'create', '--ipv6', 'a']);
  await host.ok(['network', 'create', 'b']);
  for (const point of pointsOf('start')) {
    const networks = ['--network', 'a', '--network', 'b'];
    await host.ok(['create', '--name', 'web', ...networks, '-p', '8080:80', ...FOREVER]);
    await dieAt(point, async () => {
      if (point === 'start.gate') await api(host).tasks.createTask({ container: 'web' });
      await start(host, 'web');
    });
    if ((await statusOf(host, 'web')) !== 'running') {
      // One that waits at its gate has all of it.
      if (point !== 'start.gate') {
        await until(veths, none);
        assert.deepEqual(publishedElements(), [], point);
      }
      await start(host, 'web');
    }
    await untilAsRecorded('web');
    assert.equal(publishedElements().length, 2, point);
    await checkRules(host);
    await remove(host, 'web');
    assert.deepEqual(publishedElements(), [], point);
    await until(veths, none);
  }
});

test('in each step of publishing and taking back', async () => {
  await host.ok(['run', '-d', '--name', 'web', '-p', '8080:80', ...FOREVER]);
  const port = (number: number): string => `${number - 8000}/tcp -> 0.0.0.0:${number}`;
  const change = (verb: 'add' | 'rm'): Promise<unknown> =>
    host.ok(['update', `--publish-${verb}`, '8081:81', 'web']);
  for (const point of [...pointsOf('publish'), ...pointsOf('unpublish')]) {
    const verb = point.startsWith('un') ? 'rm' : 'add';
    if (verb === 'rm') await change('add');
    await dieAt(point, () => change(verb));
    // What stands in the record is published, and nothing else.
    const both = point === 'publish.put' || point === 'publish.led';
    assert.equal(await host.ok(['port', 'web']), [8080, ...(both ? [8081] : [])].map(port).join('\n'), point);
    assert.equal(publishedElements().length, both ? 2 : 1, point);
    if (both) await change('rm');
    assert.equal(publishedElements().length, 1);
  }
  await remove(host, 'web');
});

test('anywhere in connect and disconnect', async () => {
  await host.ok(['network', 'create', '--ipv6', 'a']);
  await host.ok(['run', '-d', '--name', 'web', ...FOREVER]);
  let isIn = false;
  for (let death = 0; death < 10; death += 1) {
    const { networks } = api(host);
    const asked = isIn
      ? networks.disconnectNetwork({ container: 'web', network: 'a' })
      : networks.connectNetwork({ container: 'web', attachment: { network: 'a' } });
    const answered = asked.catch(() => undefined);
    await sleep(2 * death * SLOWNESS);
    await host.kill9();
    await answered;
    await host.start();
    await untilAsRecorded('web');
    isIn = (await look(host, 'web'))?.endpoints.length === 2;
  }
  await remove(host, 'web');
  await until(veths, none);
});

test('after a reboot everything is made anew, with the addresses from before', async () => {
  await host.ok(['network', 'create', '-s', '192.168.40.0/24', '--ipv6', 'a']);
  await host.ok([
    ...['run', '-d', '--name', 'web', '--network', 'a,ip=192.168.40.9,mac-address=02:00:00:00:00:09'],
    ...['--network', 'default', '-p', '8080:80', ...FOREVER],
  ]);
  const [before, ports] = [await seen('web'), publishedElements()];
  const pids = [...pidsTitled(host, 'mydocker-shim'), (await look(host, 'web'))?.run?.pid ?? 0];
  assert.match(before[0] ?? '', /^eth0 02:00:00:00:00:09 192\.168\.40\.9\/24 fd/);
  await host.kill9();
  for (const pid of pids) {
    try {
      process.kill(pid, 'SIGKILL');
    } catch {
      // With its shim.
    }
  }
  await until(veths, none);
  // Nothing of the kernel's is left, and nothing of the state folder.
  for (const name of bridges()) execFileSync('ip', ['link', 'delete', name]);
  execFileSync('nft', ['flush', 'ruleset']);
  rmSync(host.state, { recursive: true });
  const restore = anotherBoot(host);
  try {
    await host.start();
    assert.equal(told(await wait(host, 'web')), 'reboot 255 signal 0');
    assert.deepEqual(publishedElements(), []);
    await start(host, 'web');
    assert.deepEqual(await seen('web'), before);
    assert.deepEqual(publishedElements(), ports);
    assert.equal((await host.cli(['network', 'explain', 'web'])).code, 0);
    await remove(host, 'web');
  } finally {
    await restore();
  }
});

/** Bridges of the server. */
const bridges = (): string[] =>
  execFileSync('ip', ['-o', 'link', 'show', 'type', 'bridge'], { encoding: 'utf8' })
    .split('\n')
    .flatMap((line) => /^\d+: ([^:@]+)/.exec(line)?.[1] ?? []);
