/** Published ports, on a host between an "internet" and another host: who reaches a container, and who does not. @vm */
import assert from 'node:assert/strict';
import { execFileSync, spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, readFileSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:net';
import { after, afterEach, before, test } from 'node:test';
import { type Host, startHost } from '../harness/host.ts';
import {
  HOST_ADDRESS,
  HOST_NEXT_DOOR,
  makeTopology,
  NEIGHBOUR_ADDRESS,
  type Topology,
} from '../harness/topology.ts';
import { addressed, bytes, checksum, crc32c, FRAMES, heardOf, MARK } from './frames-ground.ts';
import { assertClean, refused, until } from './ground.ts';
import {
  ask,
  pidOf,
  publishedElements,
  type Question,
  runIn,
  serveIn,
  serveSecret,
} from './publish-ground.ts';

let topology: Topology;
let host: Host;
before(async () => {
  topology = await makeTopology();
  host = await startHost({ images: ['busybox'] });
});
afterEach(() => assertClean(host));
after(async () => {
  await host.dispose();
  await topology.dispose();
});

const nft = (...args: string[]): string => execFileSync('nft', args, { encoding: 'utf8' });
const SLEEP = ['busybox', 'sleep', '1000'];
const addressOf = (name: string): Promise<string> =>
  host.ok(['ps', '-f', `name=${name}`, '--format', '{{.IPs}}']);

/** How a packet that comes back from a container by the host's own address was sent. */
const NETFILTER = '/proc/sys/net/bridge/bridge-nf-call-iptables';

test('a published port is reached from everywhere, and the service sees who calls', async () => {
  await host.ok(['run', '-d', '--name', 'web', '-p', '8080:80', '-p', '8053:53/udp', ...SLEEP]);
  await host.ok(['run', '-d', '--name', 'other', ...SLEEP]);
  const [web, other] = [await pidOf(host, 'web'), await pidOf(host, 'other')];
  const service = await serveIn(web);
  const own = await addressOf('other');
  const gateway = own.replace(/\d+$/, '1');
  const both = (address: string): Question[] => [
    ['tcp', address, 8080],
    ['udp', address, 8053],
  ];
  const twice = (text: string): string[] => [text, text];
  assert.deepEqual(ask(topology.neighbour.pid, ...both(HOST_NEXT_DOOR)), twice(NEIGHBOUR_ADDRESS));
  assert.deepEqual(ask(topology.internet.pid, ...both(HOST_ADDRESS)), twice('192.0.2.1'));
  assert.deepEqual(ask(0, ...both(HOST_ADDRESS), ...both('127.0.0.1'), ...both('::1')), [
    ...twice(HOST_ADDRESS),
    ...twice(gateway),
    ...twice(gateway),
  ]);
  // From containers by the host's address, whether or not the host filters what is bridged.
  for (const filtered of existsSync(NETFILTER) ? ['1', '0'] : []) {
    writeFileSync(NETFILTER, filtered);
    const seen = twice(filtered === '1' ? own : gateway);
    assert.deepEqual(ask(other, ...both(HOST_ADDRESS), ...both(gateway)), [...seen, ...seen]);
  }
  // A container reaches itself that way, too.
  assert.deepEqual(ask(web, ...both(HOST_ADDRESS)), twice(gateway));
  assert.equal(await host.ok(['port', 'web']), '80/tcp -> 0.0.0.0:8080\n53/udp -> 0.0.0.0:8053');
  assert.equal(await host.ok(['port', 'web', '53/udp']), '0.0.0.0:8053');
  assert.equal(await host.ok(['ps', '-f', 'publish=8053', '--format', '{{.Names}}']), 'web');
  assert.equal(await host.ok(['ps', '-q', '-f', 'publish=80']), '');
  assert.equal(
    await host.ok(['ps', '-f', 'name=web', '--format', '{{.HostPorts}}']),
    '8080->80, 8053->53/udp',
  );
  const bindings = await host.ok(['inspect', '-f', '{{json .NetworkSettings.Ports}}', 'web']);
  assert.deepEqual(JSON.parse(bindings)['80/tcp'], [{ HostIp: '', HostPort: '8080' }]);
  await service.end();
  await host.ok(['rm', '-f', 'web', 'other']);
  assert.deepEqual(publishedElements(), []);
});

test('what is published on 127.0.0.1, or not at all, is out of reach for others', async () => {
  await host.ok([
    'run',
    '-d',
    '--name',
    'web',
    '-p',
    '127.0.0.1:8081:80',
    '-p',
    `${HOST_ADDRESS}:8082:80`,
    '-p',
    '8083:80',
    ...SLEEP,
  ]);
  await host.ok(['run', '-d', '--name', 'other', ...SLEEP]);
  const [web, other] = [await pidOf(host, 'web'), await pidOf(host, 'other')];
  const service = await serveIn(web);
  const address = await addressOf('web');
  const gateway = address.replace(/\d+$/, '1');
  const secret = await serveSecret();
  assert.deepEqual(
    ask(0, ['tcp', '127.0.0.1', 8081], ['tcp', HOST_ADDRESS, 8081], ['tcp', '127.0.0.1', 8082]),
    [gateway, 'ECONNREFUSED', 'ECONNREFUSED'],
  );
  topology.internet.run('ip', 'route', 'replace', '203.0.113.0/24', 'via', HOST_ADDRESS);
  const questions: Question[] = [
    ['tcp', HOST_NEXT_DOOR, 8081],
    ['tcp', HOST_NEXT_DOOR, 8082],
    ['tcp', HOST_ADDRESS, 8082],
    // Straight to the container, and to what is merely on its way through the host.
    ['tcp', address, 80],
    ['tcp', '192.0.2.1', 8083],
  ];
  assert.deepEqual(ask(topology.neighbour.pid, ...questions), [
    'ECONNREFUSED',
    'ECONNREFUSED',
    NEIGHBOUR_ADDRESS,
    'nothing',
    'ECONNREFUSED',
  ]);
  // Packets to 127.0.0.1 that come from elsewhere.
  for (const [pid, device, via] of [
    [other, 'eth0', gateway],
    [topology.neighbour.pid, 'up0', HOST_NEXT_DOOR],
  ] as const) {
    const there = 'echo 1 >/proc/sys/net/ipv4/conf/all/route_localnet; ip addr del 127.0.0.1/8 dev lo';
    runIn(pid, 'sh', '-c', `${there}; ip route add 127.0.0.1 via ${via} dev ${device}`);
    const answers = ask(pid, ['tcp', '127.0.0.1', 8081], ['tcp', '127.0.0.1', secret.port]);
    runIn(pid, 'sh', '-c', 'ip route del 127.0.0.1; ip addr add 127.0.0.1/8 dev lo');
    assert.deepEqual(answers, ['nothing', 'nothing'], device);
  }
  await secret.end();
  await service.end();
  await host.ok(['rm', '-f', 'web', 'other']);
  const [bridge = ''] = (await host.ok(['networks', '--format', '{{.Name}}'])).split('\n');
  assert.equal(readFileSync(`/proc/sys/net/ipv4/conf/${bridge}/route_localnet`, 'utf8'), '0\n');
});

test('a port that somebody has is refused, and whoever has it is named', async (t) => {
  const mine = createServer();
  t.after(() => mine.close());
  await new Promise<void>((resolve) => mine.listen(8090, '127.0.0.1', resolve));
  const process = new RegExp(`process ${globalThis.process.pid} \\(.+\\) of the host has it`);
  await refused(host, ['run', '--name', 'late', '-p', '8090:80', ...SLEEP], process);
  await host.ok(['rm', 'late']);
  await refused(host, ['run', '--rm', '-p', '198.18.0.1:8090:80', ...SLEEP], /the host has no such address/);
  const started = await Promise.all(
    ['one', 'two'].map((name) => host.cli(['run', '-d', '--name', name, '-p', '8091-8092:80-81', ...SLEEP])),
  );
  const [won = '', lost = ''] = started[0]?.code === 0 ? ['one', 'two'] : ['two', 'one'];
  assert.deepEqual(started.map(({ code }) => code).sort(), [0, 125], JSON.stringify(started));
  assert.match(
    started.map(({ stderr }) => stderr).join(''),
    new RegExp(`port 8091/tcp: container ${won} has it`),
  );
  await host.ok([
    'run',
    '-d',
    '--name',
    'more',
    '-p',
    '8091:80/udp',
    '-P',
    '--expose',
    '7000-7001',
    ...SLEEP,
  ]);
  const picked = (await host.ok(['port', 'more'])).split('\n');
  assert.deepEqual(
    picked.map((line) => line.replace(/:\d{5}$/, ':N')),
    ['80/udp -> 0.0.0.0:8091', '7000/tcp -> 0.0.0.0:N', '7001/tcp -> 0.0.0.0:N'],
  );
  // They are the same after a restart, and after a server that comes again.
  await host.ok(['restart', '-t', '0', 'more']);
  assert.deepEqual((await host.ok(['port', 'more'])).split('\n'), picked);
  const elements = publishedElements();
  assert.equal(elements.length, 5);
  await host.kill9();
  await host.ok(['--version']);
  await host.start();
  assert.deepEqual(publishedElements(), elements);
  assert.deepEqual((await host.ok(['port', 'more'])).split('\n'), picked);
  await refused(host, ['start', lost], new RegExp(`container ${won} has it`));
  await host.ok(['rm', '-f', won]);
  await host.ok(['start', lost]);
  await host.ok(['rm', '-f', lost, 'more']);
  assert.deepEqual(publishedElements(), []);
  for (const [option, why] of [
    ['80-70:80-70', /ends before it begins/],
    ['8000-8001:80', /different lengths/],
    ['70000:80', /ports end at 65535/],
    ['8080:80/icmp', /tcp, udp or sctp/],
    ['x:80', /is no port/],
    ['1.2.3:8080:80', /not an IP address/],
    ['1-2000:1-2000', /more than 1024/],
  ] as const)
    await refused(host, ['create', '-p', option, 'busybox', 'true'], why);
  await refused(
    host,
    ['create', '-p', '8080:80', '-p', '8080:81', 'busybox', 'true'],
    /two ports of the container/,
  );
  await refused(
    host,
    ['create', '--network', 'none', '-p', '8080:80', 'busybox', 'true'],
    /it has no network/,
  );
});

test('a server that dies in the middle of it leaves no port', async () => {
  for (const point of ['start.launch', 'start.launched', 'start.created', 'exit.seen']) {
    await host.stop();
    await host.start({ env: { MYDOCKER_FAILPOINTS: `${point}=exit` } });
    await host.cli(['run', '-d', '--name', 'dies', '-p', '8095:80', 'busybox', 'true']);
    await host.kill9();
    await host.start();
    await until(publishedElements, (elements) => elements.length === 0);
    await host.ok(['rm', '-f', 'dies']);
    await host.ok(['run', '--rm', '-p', '8095:80', 'busybox', 'true']);
  }
});

test('ports are published and not any more while a container runs', async () => {
  await host.ok(['run', '-d', '--name', 'live', '-p', '8080:80', ...SLEEP]);
  const service = await serveIn(await pidOf(host, 'live'));
  const neighbour = topology.neighbour.pid;
  await host.ok(['update', '--publish-add', '8081:81', '--publish-add', '8053:53/udp', 'live']);
  assert.equal(
    await host.ok(['port', 'live']),
    '80/tcp -> 0.0.0.0:8080\n81/tcp -> 0.0.0.0:8081\n53/udp -> 0.0.0.0:8053',
  );
  // A caller's own port stays the same, as of a resolver that goes on asking.
  const questions: Question[] = [
    ['tcp', HOST_NEXT_DOOR, 8081],
    ['udp', HOST_NEXT_DOOR, 8053, 40_053],
  ];
  assert.deepEqual(ask(neighbour, ...questions), [NEIGHBOUR_ADDRESS, NEIGHBOUR_ADDRESS]);
  await refused(
    host,
    ['update', '--publish-add', '8082:82', '--publish-add', '8081:80', 'live'],
    /two ports/,
  );
  await host.ok(['update', '--publish-rm', '81', '--publish-rm', '8053:53/udp', 'live']);
  assert.deepEqual(ask(neighbour, ...questions), ['ECONNREFUSED', 'ECONNREFUSED']);
  await refused(host, ['update', '--publish-rm', '81', 'live'], /port 81\/tcp is not published/);
  // What was refused while nobody listened is heard as soon as somebody does.
  await host.ok(['update', '--publish-add', '8053:53/udp', 'live']);
  assert.deepEqual(ask(neighbour, ...questions), ['ECONNREFUSED', NEIGHBOUR_ADDRESS]);
  await service.end();
  await host.ok(['restart', '-t', '0', 'live']);
  assert.equal(await host.ok(['port', 'live']), '80/tcp -> 0.0.0.0:8080\n53/udp -> 0.0.0.0:8053');
  await host.ok(['stop', '-t', '0', 'live']);
  await host.ok(['update', '--publish-rm', '8080:80', '--publish-add', '8084:80', 'live']);
  await host.ok(['start', 'live']);
  assert.equal(await host.ok(['port', 'live']), '53/udp -> 0.0.0.0:8053\n80/tcp -> 0.0.0.0:8084');
  await host.ok(['rm', '-f', 'live']);
});

test('rules that somebody takes away come back, and what of others drops packets is said', async () => {
  await host.ok(['run', '-d', '--name', 'stays', '-p', '8080:80', ...SLEEP]);
  const service = await serveIn(await pidOf(host, 'stays'));
  const elements = publishedElements();
  const table = (/table inet (\S+)/.exec(nft('list', 'tables')) ?? [])[1] ?? '';
  for (const damage of [
    ['flush', 'ruleset'],
    ['delete', 'chain', 'inet', table, 'guard'],
    ['delete', 'table', 'bridge', table],
    ['delete', 'element', 'inet', table, 'any4', '{ tcp . 8080 }'],
  ]) {
    nft(...damage);
    await until(
      () => nft('list', 'ruleset'),
      (rules) =>
        rules.includes('chain guard') &&
        rules.includes('chain gateways') &&
        publishedElements().join() === elements.join(),
    );
  }
  assert.deepEqual(ask(topology.neighbour.pid, ['tcp', HOST_NEXT_DOOR, 8080]), [NEIGHBOUR_ADDRESS]);
  assert.equal(await host.ok(['network', 'reload']), '');
  writeFileSync('/proc/sys/net/ipv4/ip_forward', '0');
  assert.match(await host.ok(['network', 'reload']), /did not forward packets/);
  nft('add', 'table', 'ip', 'filter');
  nft('add', 'chain', 'ip', 'filter', 'FORWARD', '{ type filter hook forward priority 0; policy drop; }');
  const said = /chain FORWARD of table ip filter drops .*: iptables -I FORWARD -i (\S+) -j ACCEPT/;
  const { stderr } = await host.cli(['create', '--name', 'warned', '-p', '8085:80', ...SLEEP]);
  assert.match(stderr, said);
  const [, bridge = ''] = said.exec(await host.ok(['network', 'reload'])) ?? [];
  assert.deepEqual(ask(topology.neighbour.pid, ['tcp', HOST_NEXT_DOOR, 8080]), ['nothing']);
  for (const side of ['iifname', 'oifname'])
    nft('insert', 'rule', 'ip', 'filter', 'FORWARD', side, bridge, 'accept');
  assert.equal(await host.ok(['network', 'reload']), '');
  assert.deepEqual(ask(topology.neighbour.pid, ['tcp', HOST_NEXT_DOOR, 8080]), [NEIGHBOUR_ADDRESS]);
  nft('delete', 'table', 'ip', 'filter');
  await service.end();
  await host.ok(['rm', '-f', 'stays', 'warned']);
});

test('over IPv6 the caller’s address is kept, too, and a port leads to where the container stands', async () => {
  const [here, there] = ['2001:db8:1::2', '2001:db8:1::3'];
  execFileSync('ip', ['addr', 'add', `${here}/64`, 'dev', 'lan0', 'nodad']);
  runIn(topology.neighbour.pid, 'ip', 'addr', 'add', `${there}/64`, 'dev', 'up0', 'nodad');
  await host.ok(['network', 'create', '--ipv6', 'six']);
  await host.ok(['network', 'create', '--internal', 'inner']);
  await host.ok([
    'run',
    '-d',
    '--name',
    'both',
    '--network',
    'inner',
    '-p',
    '8080:80',
    '-p',
    '8053:53/udp',
    ...SLEEP,
  ]);
  const service = await serveIn(await pidOf(host, 'both'));
  const questions: Question[] = [
    ['tcp', here, 8080],
    ['udp', here, 8053, 40_053],
    ['tcp', HOST_NEXT_DOOR, 8080],
  ];
  // A network without a way out has no way in.
  assert.deepEqual(publishedElements(), []);
  await host.ok(['network', 'connect', 'six', 'both']);
  assert.equal(publishedElements().length, 4);
  assert.deepEqual(ask(topology.neighbour.pid, ...questions), [there, there, NEIGHBOUR_ADDRESS]);
  assert.deepEqual(ask(0, ['tcp', here, 8080], ['udp', here, 8053]), [here, here]);
  const bridge = await host.ok(['network', 'inspect', '-f', '{{(index .IPAM.Config 0).Gateway}}', 'six']);
  assert.deepEqual(ask(0, ['tcp', '::1', 8080], ['tcp', '127.0.0.1', 8080]), [bridge, bridge]);
  await host.ok(['network', 'disconnect', 'six', 'both']);
  assert.deepEqual(publishedElements(), []);
  await host.ok(['network', 'connect', 'default', 'both']);
  // IPv6 to a container that has IPv4 alone is passed on.
  const [gateway] = ask(0, ['tcp', '127.0.0.1', 8080]);
  const passed: Question[] = [
    ['tcp', here, 8080],
    ['udp', here, 8053],
    ['udp', here, 8053, 40_053],
  ];
  assert.deepEqual(ask(topology.neighbour.pid, ...passed), [gateway, gateway, gateway]);
  await service.end();
  await host.ok(['rm', '-f', 'both']);
  await host.ok(['network', 'rm', 'six', 'inner']);
  execFileSync('ip', ['addr', 'del', `${here}/64`, 'dev', 'lan0']);
});

test('a network without a way out has none through the server, which passes on to who has IPv4 alone', async () => {
  await host.ok(['network', 'create', '--ipv6', '--internal', 'inner']);
  await host.ok(['network', 'create', '--ipv6', 'open']);
  await host.ok(['run', '-d', '--name', 'four', '-p', '8080:80', '-p', '8053:53/udp', ...SLEEP]);
  const service = await serveIn(await pidOf(host, 'four'));
  const answersIn = async (network: string): Promise<string[]> => {
    await host.ok(['run', '-d', '--name', network, '--network', network, ...SLEEP]);
    const [found] = JSON.parse(await host.ok(['network', 'inspect', '--format', 'api', network]));
    const { hostInterface, subnets } = found as {
      hostInterface: string;
      subnets: { gateway: string }[];
    };
    const [four = '', six = ''] = subnets.map(({ gateway }) => gateway);
    const near = /inet6 (fe80[^/]+)/.exec(
      execFileSync('ip', ['-6', 'addr', 'show', 'dev', hostInterface], { encoding: 'utf8' }),
    )?.[1];
    const ways = [four, six, `${near}%eth0`];
    const questions = ways.flatMap((way): Question[] => [
      ['tcp', way, 8080],
      ['udp', way, 8053],
    ]);
    return ask(await pidOf(host, network), ...questions);
  };
  // The kernel does not answer what it drops, the server turns callers of TCP away.
  const none = ['nothing', 'nothing', 'ECONNRESET', 'nothing', 'ECONNRESET', 'nothing'];
  assert.deepEqual(await answersIn('inner'), none);
  for (const answer of await answersIn('open')) assert.match(answer, /^10\./);
  await service.end();
  await host.ok(['rm', '-f', 'four', 'inner', 'open']);
  await host.ok(['network', 'rm', 'inner', 'open']);
});

/** The beginning of a conversation from the host next door: an INIT with a parameter that nobody knows. */
function sctpInit(to: string): Buffer {
  const macIn = (shown: string): Buffer => bytes(/link\/ether (\S+)/.exec(shown)?.[1] ?? '');
  const own = execFileSync('ip', ['-o', 'link', 'show', 'lan0'], { encoding: 'utf8' });
  const from = runIn(topology.neighbour.pid, 'ip', '-o', 'link', 'show', 'up0');
  const chunk = Buffer.concat([
    bytes('0100 0028 11111111 0000ffff 0001 0001 00000001'),
    bytes('c0fe 0014'),
    Buffer.from(`${MARK}Z`),
  ]);
  const message = Buffer.concat([bytes('9cc4 1fc4 00000000 00000000'), chunk]);
  crc32c(message).copy(message, 8);
  const head = Buffer.concat([
    bytes('4500 0048 0000 4000 4084 0000'),
    addressed(NEIGHBOUR_ADDRESS),
    addressed(to),
  ]);
  head.writeUInt16BE(checksum(head), 10);
  return Buffer.concat([macIn(own), macIn(from), bytes('0800'), head, message]);
}

test('a published port of SCTP leads to the container, by packets and where the kernel speaks it', async () => {
  await host.ok(['run', '-d', '--name', 'web', '-p', '8132:132/sctp', ...SLEEP]);
  assert.deepEqual(publishedElements(), [`sctp . 8132 : ${await addressOf('web')} . 132`]);
  const web = await pidOf(host, 'web');
  const near = { pid: topology.neighbour.pid, interface: 'up0' };
  assert.equal(await heardOf(near, web, [sctpInit(HOST_NEXT_DOOR)]), 'Z');
  const service = spawn('nsenter', ['-t', String(web), '-n', FRAMES, 'serve', '132']);
  const [first] = await once(service.stdout, 'data');
  // A kernel without SCTP says so to whoever would use it inside; nothing of the port's is missing.
  if (String(first).trim() === 'ready') {
    const { code, output } = topology.neighbour.run(FRAMES, 'call', HOST_NEXT_DOOR, '8132');
    assert.deepEqual([code, output], [0, NEIGHBOUR_ADDRESS]);
  } else assert.match(String(first), /^E(?:PROTO|SOCKT)NOSUPPORT$/m);
  service.kill();
  await host.ok(['update', '--publish-rm', '8132:132/sctp', 'web']);
  assert.deepEqual(publishedElements(), []);
  await host.ok(['rm', '-f', 'web']);
});
