/**
 * The network that containers join by default, on a host that stands between an "internet" and another host: who
 * reaches whom, under which address, and what is left of it. @vm
 */
import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { connect } from 'node:net';
import { after, afterEach, before, test } from 'node:test';
import { Host, type Host as HostType, startHost } from '../harness/host.ts';
import { listLinks } from '../harness/leaks.ts';
import {
  HOST_ADDRESS,
  INTERNET_ADDRESS,
  makeTopology,
  NEIGHBOUR_ADDRESS,
  type Topology,
  WHO_PORT,
} from '../harness/topology.ts';
import { assertClean, inside, refused, tryInside, until } from './ground.ts';

let topology: Topology;
let host: HostType;
before(async () => {
  topology = await makeTopology();
  host = await startHost({ images: ['busybox'] });
});
afterEach(() => assertClean(host));
after(async () => {
  try {
    await host.dispose();
  } finally {
    // Else a host that never began would leave this file waiting for its surroundings.
    await topology.dispose();
  }
});

const output = (command: string, ...args: string[]): string =>
  execFileSync(command, args, { encoding: 'utf8' });
const serve = (text: string): string[] => ['sh', '-c', `while :; do echo ${text} | nc -l -p 80; done`];
const ask = (address: string, port = 80): string => `nc -w 2 ${address} ${port} </dev/null`;

/** What a server says to the host itself. */
async function fromHere(address: string): Promise<string> {
  const socket = connect(80, address);
  let text = '';
  for await (const piece of socket) text += piece;
  return text;
}

interface NetworkView {
  readonly name: string;
  readonly subnets: readonly { readonly cidr: string; readonly gateway: string }[];
  readonly hostInterface: string;
  readonly endpointCount: number;
  readonly endpoints: readonly { readonly containerName: string; readonly ipv4Address: string }[];
}

async function network(): Promise<NetworkView> {
  const [found] = JSON.parse(
    await host.ok(['network', 'inspect', '--format', 'api', 'default']),
  ) as NetworkView[];
  assert.ok(found !== undefined);
  return found;
}

const addressOf = (name: string): Promise<string> =>
  host.ok(['ps', '-f', `name=${name}`, '--format', '{{.IPs}}']);

/** All addresses that are shown, each with its container. */
async function addresses(): Promise<string[]> {
  return (await host.ok(['ps', '--format', '{{.IPs}}'])).split('\n').filter(Boolean);
}

test('a container has an interface, an address, a way out, and its name', async () => {
  const { subnets } = await network();
  const [{ cidr = '', gateway = '' } = {}] = subnets;
  for (const options of [
    [],
    ['--network', 'default'],
    ['--net', 'bridge'],
    ['--net', (await network()).name],
  ]) {
    const script = `ip -o addr show dev eth0 | awk '{print $4}'; cat /sys/class/net/eth0/address
      ip route | awk '{print $1,$2,$3}'; ip -o link | wc -l; tail -1 /etc/hosts; ip -6 addr show dev eth0 | wc -l`;
    const text = await inside(host, script, [...options, '--hostname', 'web', '--name', 'site']);
    const [address = '', mac, ...rest] = text.split('\n');
    assert.equal(address, `${gateway.replace(/1$/, '2')}/24`);
    const hex = address
      .split(/[./]/)
      .slice(0, 4)
      .map((part) => Number(part).toString(16).padStart(2, '0'));
    assert.equal(mac, `02:42:${hex.join(':')}`);
    assert.deepEqual(rest, [
      `default via ${gateway}`,
      `${cidr} dev eth0`,
      '2',
      `${address.replace('/24', '')}\tweb site`,
      '0',
    ]);
  }
});

test('the outside sees the host’s address, and the answer comes back', async () => {
  assert.equal(await inside(host, ask(INTERNET_ADDRESS, WHO_PORT)), HOST_ADDRESS);
  assert.equal(await inside(host, `ping -c 1 -W 2 ${INTERNET_ADDRESS} >/dev/null; echo $?`), '0');
});

test('containers reach each other under their own addresses, and the host reaches them', async () => {
  await host.ok(['run', '-d', '--name', 'server', 'busybox', ...serve('hello')]);
  const address = await addressOf('server');
  assert.equal(await inside(host, `sleep 0.3; ${ask(address)}`), 'hello');
  assert.equal(await fromHere(address), 'hello\n');
  await host.ok(['rm', '-f', 'server']);
});

test('nobody outside reaches a container, whatever routes there are', async () => {
  const { subnets } = await network();
  await host.ok(['run', '-d', '--name', 'server', 'busybox', ...serve('secret')]);
  const address = await addressOf('server');
  assert.equal(await inside(host, `sleep 0.3; ${ask(address)}`), 'secret');
  topology.internet.run('ip', 'route', 'replace', subnets[0]?.cidr ?? '', 'via', HOST_ADDRESS);
  const dial = `const s = require('node:net').connect(80, '${address}'); s.on('data', (d) => console.log('GOT', String(d)));
    s.on('error', () => process.exit(3)); setTimeout(() => process.exit(4), 1500)`;
  for (const place of [topology.neighbour, topology.internet]) {
    assert.deepEqual(place.run(process.execPath, '-e', dial), { code: 4, output: '' });
  }
  // It can be spoken to by whom it asked, at the same time.
  assert.equal(await inside(host, ask(NEIGHBOUR_ADDRESS, WHO_PORT)), '203.0.113.2');
  await host.ok(['rm', '-f', 'server']);
});

test('nothing of anybody else is touched but forwarding', async () => {
  execFileSync('nft', ['add', 'table', 'inet', 'theirs']);
  const rules = (): string => output('nft', 'list', 'table', 'inet', 'theirs');
  const before = rules();
  await inside(host, 'true');
  assert.equal(rules(), before);
  execFileSync('nft', ['delete', 'table', 'inet', 'theirs']);
  assert.equal(readFileSync('/proc/sys/net/ipv4/ip_forward', 'utf8'), '1\n');
  for (const name of ['all', 'default', 'wan0']) {
    assert.equal(readFileSync(`/proc/sys/net/ipv4/conf/${name}/route_localnet`, 'utf8'), '0\n');
    assert.equal(readFileSync(`/proc/sys/net/ipv6/conf/${name}/disable_ipv6`, 'utf8'), '0\n');
  }
  const tables = output('nft', 'list', 'tables').trim().split('\n');
  assert.deepEqual(tables.map((table) => table.replace(/_[0-9a-f]{8}$/, '')).sort(), [
    'table bridge mydocker',
    'table inet mydocker',
  ]);
});

test('whoever takes bridge or rules away finds them again with the next start', async () => {
  const { hostInterface } = await network();
  await host.ok(['run', '-d', '--name', 'stays', 'busybox', ...serve('still')]);
  const address = await addressOf('stays');
  const breakages: (readonly string[])[] = [
    ['nft', 'flush', 'ruleset'],
    ['nft', 'flush', 'table', 'inet', output('nft', 'list', 'tables').trim().split(' ').at(-1) ?? ''],
    ['ip', 'link', 'delete', hostInterface],
  ];
  for (const [command = '', ...args] of breakages) {
    execFileSync(command, args);
    assert.equal(await inside(host, ask(INTERNET_ADDRESS, WHO_PORT)), HOST_ADDRESS, args.join(' '));
    // Whoever stood in the old bridge stands in the new one.
    assert.equal(await inside(host, ask(address)), 'still', args.join(' '));
  }
  await host.ok(['rm', '-f', 'stays']);
});

test('rules of others that come and go cost no address and no rule of ours', async () => {
  await inside(host, 'true');
  const mine = (): string =>
    output('nft', '-s', 'list', 'ruleset').replace(/table inet other[\s\S]*?\n}\n/, '');
  // Without the interfaces of runs that are over, which are forgotten a moment later.
  const settled = (): Promise<string> => until(mine, (rules) => !rules.includes('"veth'));
  const before = await settled();
  execFileSync('nft', ['add', 'table', 'inet', 'other']);
  await inside(host, 'true');
  execFileSync('nft', ['delete', 'table', 'inet', 'other']);
  await inside(host, 'true');
  assert.equal(await settled(), before);
});

test('an address stays over stop, start and the end of the server, and goes with the container', async () => {
  await host.ok(['run', '-d', '--name', 'one', 'busybox', 'sleep', '1000']);
  await host.ok(['run', '-d', '--name', 'two', 'busybox', 'sleep', '1000']);
  const [one, two] = [await addressOf('one'), await addressOf('two')];
  assert.deepEqual([one.split('.').at(-1), two.split('.').at(-1)], ['2', '3']);
  await host.ok(['stop', '-t', '0', 'one']);
  await host.ok(['create', '--name', 'three', 'busybox', 'true']);
  assert.equal((await addressOf('three')).split('.').at(-1), '4');
  assert.equal(await addressOf('one'), one);
  await host.ok(['start', 'one']);
  assert.match(
    await host.ok(['exec', 'one', 'ip', '-o', 'addr', 'show', 'dev', 'eth0']),
    new RegExp(` ${one}/24 `),
  );
  await host.kill9();
  await host.start();
  assert.deepEqual([await addressOf('one'), await addressOf('two')], [one, two]);
  await host.ok(['rm', '-f', 'one']);
  await host.ok(['create', '--name', 'four', 'busybox', 'true']);
  assert.equal(await addressOf('four'), one);
  await host.ok(['rm', '-f', 'two', 'three', 'four']);
});

test('a start that fails, and a server that is killed in it, leave no interface', async () => {
  assert.equal((await tryInside(host, 'true', [], 'busybox')).code, 0);
  await refused(host, ['run', '--name', 'fails', 'busybox', '/nosuch'], /not found|no such file/, 127);
  await host.ok(['rm', 'fails']);
  for (const point of ['start.launched', 'start.commit', 'start.created']) {
    await host.stop();
    await host.start({ env: { MYDOCKER_FAILPOINTS: `${point}=exit` } });
    await host.cli(['run', '-d', '--name', 'dies', 'busybox', 'sleep', '1000']);
    await host.kill9();
    await host.start();
    assert.equal((await addresses()).length, 1, point);
    await host.ok(['rm', '-f', 'dies']);
    await until(listLinks, (links) => !links.some((name) => name.startsWith('veth')));
  }
});

test('networks are listed and shown with who stands in them', async () => {
  const { name, hostInterface } = await network();
  assert.match(name, /^mydocker-[0-9a-f]{6}$/);
  assert.equal(hostInterface, name);
  await host.ok(['run', '-d', '--name', 'web', 'busybox', 'sleep', '1000']);
  const { endpoints, endpointCount, subnets } = await network();
  assert.equal(endpointCount, 1);
  assert.deepEqual(
    endpoints.map(({ containerName, ipv4Address }) => [containerName, ipv4Address]),
    [['web', `${await addressOf('web')}/24`]],
  );
  const [row = ''] = (await host.ok(['networks'])).split('\n').slice(1);
  assert.deepEqual(row.split(/ {2,}/).slice(0, 5), [
    name,
    subnets[0]?.cidr,
    subnets[0]?.gateway,
    '1',
    'bridge',
  ]);
  const [container] = JSON.parse(await host.ok(['inspect', '--format', 'api', 'web']));
  assert.equal(container.config.network.mode, 'networks');
  assert.deepEqual(
    container.config.network.attachments.map((a: { network: string }) => a.network),
    [name],
  );
  const [{ hostInterface: veth, interfaceName, macAddress }] = container.endpoints;
  assert.ok(listLinks().includes(veth));
  assert.deepEqual([interfaceName, macAddress.slice(0, 6)], ['eth0', '02:42:']);
  assert.equal(await host.ok(['ps', '-q', '-f', 'network=bridge']), container.id.slice(0, 12));
  assert.equal(await host.ok(['ps', '--format', '{{.Networks}}']), name);
  assert.match(
    (await host.cli(['network', 'inspect', '--format', 'api', 'nosuch'])).stderr,
    /cannot find network nosuch: no such network/,
  );
  await host.ok(['rm', '-f', 'web']);
});

test('names are looked up where the host looks, or where one says', async () => {
  const script = 'cat /etc/resolv.conf';
  const text = await inside(host, script, [
    '--dns',
    '192.0.2.53',
    '--dns-search',
    'corp.example',
    '--dns-option',
    'ndots:3',
  ]);
  assert.equal(text, 'nameserver 192.0.2.53\nsearch corp.example\noptions ndots:3');
  assert.match(await inside(host, script), /^nameserver \d/);
  await refused(
    host,
    ['run', '--dns', 'nosuch', 'busybox', 'true'],
    /invalid dns server nosuch: it is not an IP address/,
  );
  await refused(host, ['run', '--dns-option', 'a\nb', 'busybox', 'true'], /invalid dns option/);
  const four = ['1', '2', '3', '4'].flatMap((n) => ['--dns', `192.0.2.${n}`]);
  await refused(host, ['run', ...four, 'busybox', 'true'], /more than 3/);
});

test('explain tells what is sent to the kernel, and keeps no address', async () => {
  const text = await host.ok(['run', '--explain', 'busybox', 'true']);
  assert.match(text, /RTM_NEWLINK \(create\) veth0{11} master mydocker-[0-9a-f]{6} kind veth/);
  assert.match(text, /RTM_NEWADDR \d+\.20\.\d+\.2\/24 .* dev eth0/);
  assert.match(text, /RTM_NEWROUTE default via/);
  assert.deepEqual(await addresses(), []);
});

test('a second server on the same host has a network of its own', async () => {
  await host.ok(['run', '-d', '--name', 'first', 'busybox', ...serve('first')]);
  const address = await addressOf('first');
  // And without the library it uses the program.
  const second = new Host({ serverEnv: { MYDOCKER_NFT: 'program' } });
  try {
    await second.start();
    await second.importFixture('busybox');
    const look = `ip -o addr show dev eth0 | awk '{print $4}'; ${ask(INTERNET_ADDRESS, WHO_PORT)}; echo; ${ask(address)}; echo $?`;
    const [own = '', seen, blocked] = (await inside(second, look)).split('\n');
    assert.notEqual(own.split('.').slice(0, 3).join('.'), address.split('.').slice(0, 3).join('.'));
    assert.equal(seen, HOST_ADDRESS);
    // The networks are apart.
    assert.equal(blocked, '1');
    assert.equal(await inside(host, ask(address)), 'first');
  } finally {
    await second.dispose();
  }
  await host.ok(['rm', '-f', 'first']);
});

test('200 containers at once have 200 addresses, and leave nothing', async () => {
  const names = Array.from({ length: 200 }, (_, n) => `many-${n}`);
  const queue = [...names];
  const worker = async (): Promise<void> => {
    for (let name = queue.pop(); name !== undefined; name = queue.pop()) {
      const config = {
        rootfs: { $case: 'image', value: 'busybox' },
        command: { values: ['sleep', '1000'] },
      } as const;
      await host.api.containers.createContainer({ name, config });
      await host.api.tasks.startTask({ container: name });
    }
  };
  await Promise.all(Array.from({ length: 16 }, worker));
  const found = await addresses();
  assert.equal(new Set(found).size, 200);
  const last = found.map((address) => Number(address.split('.').at(-1))).sort((a, b) => a - b);
  assert.deepEqual(
    last,
    Array.from({ length: 200 }, (_, n) => n + 2),
  );
  assert.equal(listLinks().filter((name) => name.startsWith('veth')).length, 200);
  // A few of them, from a few others.
  const one = found[100] ?? '';
  assert.equal(
    await host.ok(['exec', 'many-7', 'ping', '-c', '1', '-W', '2', one]).then(() => 'answered'),
    'answered',
  );
  // 53 addresses are left, then none.
  for (let n = 0; n < 53; n += 1)
    await host.api.containers.createContainer({
      name: `more-${n}`,
      config: { rootfs: { $case: 'image', value: 'busybox' }, command: { values: ['true'] } },
    });
  await refused(
    host,
    ['create', 'busybox', 'true'],
    /cannot join network .*: all addresses of .* are in use\nhint: remove/,
  );
  await host.ok(['create', '--name', 'none', '--network', 'none', 'busybox', 'true']);
  await host.ok(['rm', '-f', 'none', ...names, ...Array.from({ length: 53 }, (_, n) => `more-${n}`)]);
});
