/**
 * Networks as objects: made, shown, removed, entered and left, on a host between an "internet" and another host: who
 * reaches whom, and what is left when a server dies in the middle. @vm
 */
import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { after, afterEach, before, test } from 'node:test';
import { NetworkMode } from '../../proto/gen/mydocker/v1/config.ts';
import type { Network } from '../../proto/gen/mydocker/v1/networks.ts';
import { type Host, startHost } from '../harness/host.ts';
import { listLinks } from '../harness/leaks.ts';
import {
  HOST_ADDRESS,
  INTERNET_ADDRESS,
  makeTopology,
  NEIGHBOUR_ADDRESS,
  type Topology,
  WHO_PORT,
} from '../harness/topology.ts';
import { assertCleanNetworks, inside, refused, tryInside, until } from './ground.ts';

let topology: Topology;
let host: Host;
before(async () => {
  topology = await makeTopology();
  host = await startHost({ images: ['busybox'] });
});
afterEach(() => assertCleanNetworks(host));
after(async () => {
  try {
    await host.dispose();
  } finally {
    // Else a host that never began would leave this file waiting for its surroundings.
    await topology.dispose();
  }
});

const FOREVER = ['busybox', 'sleep', '1000'];
const veths = (): string[] => listLinks().filter((name) => name.startsWith('veth'));
const bridges = (): string[] => listLinks().filter((name) => name.startsWith('md'));
const ips = (name: string): Promise<string> =>
  host.ok(['ps', '-f', `name=^${name}$`, '--format', '{{.IPs}}']);
const within = (name: string, script: string): Promise<string> => host.ok(['exec', name, 'sh', '-c', script]);
const answers = (address: string): string => `ping -c 1 -W 1 ${address} >/dev/null 2>&1; echo $?`;
const gone = (names: readonly string[]): boolean => names.length === 0;

/** Of a run each in a network of five addresses. */
const SMALL_ROUNDS = 20;

/** A machine that has no such port says so, which is an answer as well. */
const KNOCK = `
  const socket = require('node:net').connect(80, process.argv[1]);
  const say = (words) => { console.log(words); process.exit(0); };
  socket.on('connect', () => say('open')).on('error', (error) => say(error.code === 'ECONNREFUSED' ? 'closed' : 'no answer'));
  setTimeout(() => say('no answer'), 1000);`;

async function inspected(name: string): Promise<Network> {
  const [found] = JSON.parse(await host.ok(['network', 'inspect', '--format', 'api', name])) as Network[];
  assert.ok(found !== undefined);
  return found;
}

test('networks are made, listed, shown and removed, with what was asked for or what is free', async () => {
  const id = await host.ok(['network', 'create', '-s', '192.168.10.77/24', '-l', 'team=a', 'lan']);
  assert.match(id, /^[0-9a-f]{64}$/);
  await host.ok(['network', 'create', 'any']);
  await host.ok([
    ...['network', 'create', '-d', 'bridge', '-s', '172.31.0.0/16', '--gateway', '172.31.255.254'],
    ...['--ip-range', '172.31.9.0/24', '-s', 'fd00:77::/64', '--internal', '-o', 'mtu=1400', 'full'],
  ]);
  const rows = (await host.ok(['networks'])).split('\n');
  assert.match(rows[0] ?? '', /^NAME +IPNETS +GATEWAY +COUNTS +DRIVER +CREATED$/);
  const row = (name: string): string[] =>
    rows.find((line) => line.startsWith(`${name} `))?.split(/ {2,}/) ?? [];
  assert.deepEqual(row('lan').slice(0, 5), ['lan', '192.168.10.0/24', '192.168.10.1', '0', 'bridge']);
  assert.match(row('any')[1] ?? '', /^10\.20\.\d+\.0\/24$/);
  const full = await inspected('full');
  assert.deepEqual(
    [full.subnets, full.ipv6, full.internal, full.options],
    [
      [
        { cidr: '172.31.0.0/16', gateway: '172.31.255.254', ipRange: '172.31.9.0/24' },
        { cidr: 'fd00:77::/64', gateway: 'fd00:77::1', ipRange: '' },
      ],
      true,
      true,
      { mtu: '1400' },
    ],
  );
  assert.equal(await host.ok(['networks', '-q', '-f', 'label=team=a']), id.slice(0, 12));
  assert.equal(
    await host.ok(['network', 'ls', '-f', 'name=ful', '--format', '{{.Name}} {{.IPv6}}']),
    'full true',
  );
  // Nothing is made on the host before a container stands in it.
  assert.deepEqual(bridges(), []);
  assert.equal(await host.ok(['rmn', 'lan', 'any']), 'lan\nany');
  assert.equal(await host.ok(['network', 'prune', '-f']), 'Deleted Networks:\nfull\n');
});

test('what cannot be a network is refused, and by whom it is not free is said', async () => {
  await host.ok(['network', 'create', '-s', '192.168.10.0/24', 'lan']);
  const create = (...args: string[]): readonly string[] => ['network', 'create', ...args];
  const cases: readonly (readonly [readonly string[], RegExp])[] = [
    [create('lan'), /cannot create network lan: a network has this name/],
    [create('-s', '192.168.0.0/16', 'x'), /overlaps with network lan/],
    [create('-s', '203.0.113.128/25', 'x'), /overlaps with address 203\.0\.113\.2 of lan0/],
    [create('-s', '10.0.0.0/31', 'x'), /prefix is not between \/8 and \/30/],
    [create('-s', '0.0.0.0/0', 'x'), /prefix is not between/],
    [create('-s', '127.0.0.0/24', 'x'), /the loopback/],
    [create('-s', '239.0.0.0/24', 'x'), /groups/],
    [create('-s', '::ffff:10.0.0.0/112', 'x'), /IPv4 addresses/],
    [create('-s', '10.0.0.0', 'x'), /it is no address\/prefix/],
    [create('-s', '10.0.0.0/24', '--gateway', '10.0.1.1', 'x'), /gateway.*not in the subnet/],
    [create('-s', '10.0.0.0/24', '--gateway', '10.0.0.255', 'x'), /stands for the whole network/],
    [create('-s', '10.0.0.0/24', '--ip-range', '10.0.0.0/23', 'x'), /not a part of the subnet/],
    [create('-s', '10.0.0.0/24', '-s', '10.0.1.0/24', 'x'), /a network has one of IPv4/],
    [create('--gateway', '10.0.0.1', 'x'), /needs a --subnet of its family/],
    [create('-d', '../../bin/x', 'x'), /invalid network driver/],
    [create('-o', 'mtu=67', 'x'), /not between 68 and 65535/],
    [create('-o', 'x"; flush ruleset; #=1', 'x'), /a bridge has no such option/],
    [create('bridge'), /means something else/],
    [create('"; flush ruleset; #'), /invalid network name/],
    [create('a\nb'), /invalid network name/],
    [create('x'.repeat(129)), /longer than 128/],
    [['network', 'rm', 'default'], /it is the default network/],
    [['network', 'rm', 'nosuch'], /no such network/],
    [['run', '--network', 'lan', '--ip', '192.168.11.1', 'busybox', 'true'], /not in the network’s subnet/],
    [['run', '--network', 'lan', '--ip', '192.168.10.1', 'busybox', 'true'], /it is the network’s gateway/],
    [['run', '--network', 'lan', '--ip', '192.168.10.255', 'busybox', 'true'], /stands for the whole/],
    [['run', '--network', 'lan', '--ip6', 'fd00::9', 'busybox', 'true'], /the network has no IPv6/],
    [['run', '--network', 'lan', '--network', 'lan', 'busybox', 'true'], /stands in it already/],
    [['run', '--mac-address', '03:42:00:00:00:01', 'busybox', 'true'], /invalid MAC address/],
    [
      ['run', '--network', 'none', '--ip', '10.0.0.1', 'busybox', 'true'],
      /need a network of the container’s own/,
    ],
  ];
  for (const [args, message] of cases) {
    const { code, stderr } = await host.cli(args);
    assert.notEqual(code, 0, args.join(' '));
    assert.match(stderr, message, args.join(' '));
  }
  assert.equal(
    await host.ok(['networks', '--format', '{{.Name}}', '-f', 'dangling=true', '-f', 'name=lan']),
    'lan',
  );
});

test('a container stands in several networks, with the addresses, names and interfaces that it asks for', async () => {
  await host.ok(['network', 'create', '--ipv6', 'front']);
  await host.ok(['network', 'create', '-s', '192.168.10.0/24', 'back']);
  await host.ok(['network', 'create', '--internal', '-s', '192.168.20.0/24', '--ipv6', 'inner']);
  await host.ok([
    ...['run', '-d', '--name', 'web', '--network', 'inner', '--network', 'front', '--ip', '192.168.20.40'],
    ...[
      '--network',
      'back,ip=192.168.10.9,mac-address=02:00:00:00:00:09,alias=db',
      '--network-alias',
      'www',
      ...FOREVER,
    ],
  ]);
  const look = `for i in 0 1 2; do ip -o addr show dev eth$i scope global | awk '{print $4}' | sort | tr '\\n' ' '; done
    cat /sys/class/net/eth2/address; ip route | grep -c default; ip -6 route | grep -c default
    ip route | awk '/default/{print $3}'; cat /proc/sys/net/ipv6/conf/eth1/accept_ra /proc/sys/net/ipv6/conf/eth2/disable_ipv6
    grep -c web /etc/hosts`;
  const seen = await within('web', look);
  const front = await inspected('front');
  const [v4 = '', v6 = ''] = front.subnets.map(({ cidr }) => cidr.replace(/(?:\.0|::)\//, '$&'));
  const inner6 = (await inspected('inner')).subnets[1]?.cidr ?? '';
  const lines = seen.split('\n');
  assert.equal(
    lines[0],
    [
      ...['192.168.20.40/24', inner6.replace('::/', '::2/')],
      ...[v4.replace('.0/', '.2/'), v6.replace('::/', '::2/')],
      '192.168.10.9/24 02:00:00:00:00:09',
    ].join(' '),
  );
  // The way out is the first one that leads anywhere; no router is believed; IPv6 is where it was asked for.
  assert.deepEqual(lines.slice(1), ['1', '1', front.subnets[0]?.gateway, '0', '1', '5']);
  assert.equal(await within('web', `nc -w 2 ${INTERNET_ADDRESS} ${WHO_PORT} </dev/null`), HOST_ADDRESS);
  const [{ config, endpoints }] = JSON.parse(await host.ok(['inspect', '--format', 'api', 'web']));
  assert.deepEqual(
    endpoints.map((one: { interfaceName: string; aliases: string[] }) => [one.interfaceName, one.aliases]),
    [
      ['eth0', ['www']],
      ['eth1', []],
      ['eth2', ['db']],
    ],
  );
  // What was asked for, and no more, is what another create would ask for.
  assert.deepEqual(
    config.network.attachments.map((one: { ipv4Address: string; macAddress: string }) => [
      one.ipv4Address,
      one.macAddress,
    ]),
    [
      ['192.168.20.40', ''],
      ['', ''],
      ['192.168.10.9', '02:00:00:00:00:09'],
    ],
  );
  await refused(host, ['network', 'rm', 'front'], /1 container stands in it: web/);
  await refused(
    host,
    ['run', '--network', 'back', '--ip', '192.168.10.9', 'busybox', 'true'],
    /192.168.10.9 is in use/,
  );
  // All of it survives a stop, a start and the end of the server.
  await host.ok(['stop', '-t', '0', 'web']);
  await host.kill9();
  await host.start();
  await host.ok(['start', 'web']);
  assert.equal(await within('web', look), seen);
  assert.equal(veths().length, 3);
  await host.ok(['rm', '-f', 'web']);
  await until(veths, gone);
  await host.ok(['rmn', 'front', 'back', 'inner']);
  assert.deepEqual(bridges(), []);
});

test('networks are apart, one without a way out has none, and members of one reach each other', async () => {
  await host.ok(['network', 'create', '--ipv6', 'front']);
  await host.ok(['network', 'create', '--ipv6', '--internal', 'inner']);
  for (const [name, network] of [
    ['f1', 'front'],
    ['f2', 'front'],
    ['i1', 'inner'],
    ['i2', 'inner'],
  ] as const)
    await host.ok(['run', '-d', '--name', name, '--network', network, ...FOREVER]);
  const all = await Promise.all(
    ['f1', 'f2', 'i1', 'i2'].map(async (name) => (await ips(name)).split(/,\s*/)),
  );
  const [f1, f2, i1, i2] = all;
  // Side by side: no answer takes a second.
  const ask = async (from: string, to: readonly string[] = []): Promise<string> =>
    (await Promise.all(to.map((address) => within(from, answers(address))))).join('\n');
  assert.equal(await ask('f1', f2), '0\n0');
  assert.equal(await ask('i1', i2), '0\n0');
  // Also for who sets a route of his own, which takes a capability that containers lack.
  const { run } = JSON.parse(await host.ok(['inspect', '--format', 'api', 'i1']))[0];
  const gateway = (await inspected('inner')).subnets[0]?.gateway ?? '';
  execFileSync('nsenter', ['-t', String(run.pid), '-n', 'ip', 'route', 'add', 'default', 'via', gateway]);
  assert.deepEqual(await Promise.all([ask('i1', [...(f1 ?? []), INTERNET_ADDRESS]), ask('f1', i1)]), [
    '1\n1\n1',
    '1\n1',
  ]);
  // The host reaches all of them, the one next door none.
  const addresses = all.flat();
  const fromHost = await inside(host, addresses.map(answers).join('; '), ['--network', 'host']);
  assert.equal(fromHost, addresses.map(() => '0').join('\n'));
  for (const address of [f1?.[0] ?? '', i1?.[0] ?? '']) {
    const { code, output } = topology.neighbour.run(process.execPath, '-e', KNOCK, address);
    assert.deepEqual([code, output], [0, 'no answer'], address);
  }
  assert.equal(await within('f1', answers(NEIGHBOUR_ADDRESS)), '0');
  await host.ok(['rm', '-f', 'f1', 'f2', 'i1', 'i2']);
  await until(veths, gone);
});

test('a container enters and leaves networks, running, stopped and created', async () => {
  await host.ok(['network', 'create', '--ipv6', 'a']);
  await host.ok(['network', 'create', '-s', '192.168.30.0/29', 'b']);
  await host.ok(['run', '-d', '--name', 'web', '--network', 'a', ...FOREVER]);
  await host.ok(['network', 'connect', '--ip', '192.168.30.5', '--alias', 'db', 'b', 'web']);
  const look = `ls /sys/class/net | tr '\\n' ' '; ip route | awk '/default/{print $3}'; ip -6 route | grep -c default`;
  const [gatewayA, gatewayB] = [(await inspected('a')).subnets[0]?.gateway, '192.168.30.1'];
  assert.equal(await within('web', look), `eth0 eth1 lo ${gatewayA}\n1`);
  assert.equal(await within('web', answers(gatewayB)), '0');
  const hosts = `grep -c '192.168.30.5.*web' /etc/hosts; true`;
  assert.equal(await within('web', hosts), '1');
  await refused(host, ['network', 'connect', 'b', 'web'], /the container stands in it already/);
  // The way out goes over to the next network that has one.
  await host.ok(['network', 'disconnect', 'a', 'web']);
  assert.equal(
    await within('web', look).catch(() => within('web', `${look}; true`)),
    `eth1 lo ${gatewayB}\n0`,
  );
  assert.equal(await within('web', `nc -w 2 ${INTERNET_ADDRESS} ${WHO_PORT} </dev/null`), HOST_ADDRESS);
  await host.ok(['network', 'connect', 'a', 'web']);
  assert.equal(await within('web', look), `eth0 eth1 lo ${gatewayB}\n1`);
  await refused(host, ['network', 'disconnect', 'default', 'web'], /it does not stand in network/);
  // Of all, then stopped, then of another one; what was chosen while it did not run is there when it does.
  await host.ok(['network', 'disconnect', 'b', 'web']);
  assert.equal(await within('web', hosts), '0');
  await host.ok(['network', 'disconnect', 'a', 'web']);
  assert.equal(await within('web', 'ls /sys/class/net'), 'lo');
  await host.ok(['restart', '-t', '0', 'web']).catch(async () => {
    await host.ok(['stop', '-t', '0', 'web']);
    await host.ok(['start', 'web']);
  });
  assert.equal(await within('web', 'ls /sys/class/net'), 'lo');
  await host.ok(['stop', '-t', '0', 'web']);
  await host.ok(['network', 'connect', '--ip', '192.168.30.6', 'b', 'web']);
  await host.ok(['create', '--name', 'other', '--network', 'none', ...FOREVER]);
  await refused(host, ['network', 'connect', 'b', 'other'], /its network is none/);
  await host.ok(['start', 'web']);
  assert.match(await within('web', 'ip -o addr show dev eth0'), / 192\.168\.30\.6\/29 /);
  // What a network has no more is not given, to a running one neither.
  for (let n = 0; n < 4; n += 1) await host.ok(['create', '--name', `x${n}`, '--network', 'b', ...FOREVER]);
  await refused(host, ['run', '--network', 'b', ...FOREVER], /all addresses of 192.168.30.0\/29 are in use/);
  await host.ok(['rm', '-f', 'web', 'other', 'x0', 'x1', 'x2', 'x3']);
  await until(veths, gone);
});

test('whenever the server dies, a container has the interfaces that its record names, and no others', async () => {
  await host.ok(['network', 'create', 'a']);
  await host.ok(['run', '-d', '--name', 'web', ...FOREVER]);
  const interfaces = async (): Promise<string> => await within('web', 'echo $(ls /sys/class/net)');
  // The server that takes over is the one that dies next: until then nothing asks for what it dies of.
  const points = ['connect.put', 'connect.plugged', 'disconnect.unplugged', 'disconnect.put'];
  const removals = ['network.create', 'network.remove', 'network.forgotten'];
  const dieNext = (after: string): { env?: Record<string, string> } => {
    const all = [...points, ...removals];
    const next = all[all.indexOf(after) + 1];
    return next === undefined ? {} : { env: { MYDOCKER_FAILPOINTS: `${next}=exit` } };
  };
  await host.stop();
  await host.start(dieNext(''));
  for (const point of points) {
    const verb = point.split('.')[0] ?? '';
    assert.notEqual((await host.cli(['network', verb, 'a', 'web'])).code, 0, point);
    await host.kill9();
    await host.start(dieNext(point));
    const { endpoints } = JSON.parse(await host.ok(['inspect', '--format', 'api', 'web']))[0];
    // A record that is written stays, one that is not is as if nobody had asked.
    const isIn = point !== 'disconnect.put';
    assert.equal(endpoints.length, isIn ? 2 : 1, point);
    assert.equal(await interfaces(), isIn ? 'eth0 eth1 lo' : 'eth0 lo', point);
    await until(veths, (names) => names.length === (isIn ? 2 : 1));
    if (point === 'connect.put') await host.ok(['network', 'disconnect', 'a', 'web']);
  }
  await host.ok(['rm', '-f', 'web']);
  for (const point of removals) {
    await inside(host, 'true', ['--network', 'a']);
    const ask = point === 'network.create' ? ['create', 'b'] : ['rm', 'a'];
    assert.notEqual((await host.cli(['network', ...ask])).code, 0, point);
    await host.kill9();
    await host.start(dieNext(point));
    // It is there still, and works.
    assert.ok((await host.ok(['networks', '--format', '{{.Name}}'])).split('\n').includes('a'), point);
    assert.equal((await tryInside(host, 'ip route | grep -q default', ['--network', 'a'])).code, 0, point);
    assert.equal(bridges().length, 1);
  }
  await host.ok(['network', 'rm', 'a']);
  assert.deepEqual(bridges(), []);
});

test('explain tells what is there, and what somebody took away', async () => {
  await host.ok(['network', 'create', '--ipv6', 'a']);
  await host.ok(['run', '-d', '--name', 'web', '--network', 'a', '-p', '8080:80', ...FOREVER]);
  const whole = await host.ok(['network', 'explain', 'web']);
  const { subnets, hostInterface } = await inspected('a');
  const gateway = subnets[0]?.gateway ?? '';
  for (const part of [
    'eth0 address 02:42:',
    `its interface in network a; the other end is ${veths()[0]} on the host, in the bridge ${hostInterface}`,
    `default via ${gateway}`,
    `default via ${subnets[1]?.gateway}`,
    'net.ipv4.ip_forward = 1',
    'port 8080/tcp',
    `${gateway}:53`,
  ])
    assert.ok(whole.includes(part), `${part}\n${whole}`);
  assert.doesNotMatch(whole, /MISSING/);
  const { run } = JSON.parse(await host.ok(['inspect', '--format', 'api', 'web']))[0];
  execFileSync('nsenter', ['-t', String(run.pid), '-n', 'ip', 'route', 'delete', 'default']);
  const { code, stdout } = await host.cli(['network', 'explain', 'web']);
  assert.equal(code, 1);
  assert.match(stdout, new RegExp(`default via ${gateway} +MISSING`));
  await host.ok(['rm', '-f', 'web']);
  await until(veths, gone);
  assert.match(await host.ok(['network', 'explain', 'a']), /nobody stands in it/);
  await refused(host, ['network', 'explain', 'nosuch'], /no such container/);
});

test('a /29 has room for five at once, and for any number one after the other', async () => {
  await host.ok(['network', 'create', '-s', '192.168.40.0/29', 'small']);
  const { containers, tasks } = host.api;
  const network = { mode: NetworkMode.NETWORKS, attachments: [{ network: 'small' }] };
  const rootfs = { $case: 'image', value: 'busybox' } as const;
  const one = async (name: string, command: string[]): Promise<void> => {
    await containers.createContainer({ name, config: { rootfs, command: { values: command }, network } });
    // One that is removed before it was ever started gives its address back as well.
    if (!name.endsWith('3')) await tasks.startTask({ container: name });
    await containers.removeContainer({ container: name, force: true });
  };
  const worker = async (_: unknown, n: number): Promise<void> => {
    for (let round = 0; round < SMALL_ROUNDS; round += 1)
      await one(`s${n}-${round}`, round % 2 ? ['true'] : ['sleep', '1000']);
  };
  await Promise.all(Array.from({ length: 5 }, worker));
  assert.equal((await inspected('small')).endpointCount, 0);
  for (let n = 0; n < 5; n += 1)
    await host.ok(['create', '--name', `x${n}`, '--network', 'small', ...FOREVER]);
  await refused(
    host,
    ['create', '--network', 'small', ...FOREVER],
    /all addresses of 192.168.40.0\/29 are in use/,
  );
  await host.ok(['rm', 'x0', 'x1', 'x2', 'x3', 'x4']);
  await until(veths, gone);
});

test('200 containers of one network enter and leave another one under traffic, and nothing is left', async () => {
  await host.ok(['network', 'create', '-s', '10.99.0.0/16', 'wide']);
  await host.ok(['network', 'create', '-s', '10.98.0.0/16', 'other']);
  const { containers, tasks, networks } = host.api;
  const names = Array.from({ length: 200 }, (_, n) => `many-${n}`);
  const all = async (work: (name: string) => Promise<unknown>): Promise<void> => {
    const queue = [...names];
    const worker = async (): Promise<void> => {
      for (let name = queue.pop(); name !== undefined; name = queue.pop()) await work(name);
    };
    await Promise.all(Array.from({ length: 8 }, worker));
  };
  await all(async (name) => {
    const network = { mode: NetworkMode.NETWORKS, attachments: [{ network: 'wide' }] };
    const rootfs = { $case: 'image', value: 'busybox' } as const;
    const command = { values: ['sleep', '1000'] };
    await containers.createContainer({ name, config: { rootfs, command, network } });
    await tasks.startTask({ container: name });
  });
  const peer = await ips('many-0');
  const traffic = host.ok(['exec', 'many-1', 'ping', '-c', '600', '-i', '0.02', '-q', peer]);
  await all((container) => networks.connectNetwork({ container, attachment: { network: 'other' } }));
  const { endpoints } = await inspected('other');
  assert.equal(new Set(endpoints.map(({ ipv4Address }) => ipv4Address)).size, 200);
  assert.equal(veths().length, 400);
  assert.equal(await within('many-7', answers(endpoints[150]?.ipv4Address.split('/')[0] ?? '')), '0');
  await all((container) => networks.disconnectNetwork({ container, network: 'other' }));
  // Their network did not notice.
  assert.match(await traffic, / 0% packet loss/);
  await until(veths, (left) => left.length === 200);
  assert.equal((await inspected('other')).endpointCount, 0);
  await all((container) => containers.removeContainer({ container, force: true }));
  await until(veths, gone);
});
