/** Published ports as values: what meets, what is joined, what becomes of them in the maps, and who has them. */
import assert from 'node:assert/strict';
import { createServer } from 'node:net';
import { test } from 'node:test';
import { parseExpose, parsePublish } from '../../../client/parse/parse-port.ts';
import { addressesMeet, joinPorts, type PublishedPort, singlePorts } from '../../../server/model/port.ts';
import { isApart } from '../../../server/network/apart.ts';
import { elementsIn } from '../../../server/network/host-state.ts';
import { elementLines, portElements } from '../../../server/network/port-map.ts';
import { findPortOwner, socketsIn } from '../../../server/network/port-owner.ts';
import { checkPorts } from '../../../server/ops/check-ports.ts';
import { PortRegistry } from '../../../server/ops/port-registry.ts';
import { NETWORK } from '../spec/sample-plans.ts';

const port = (fields: Partial<PublishedPort> = {}): PublishedPort => ({
  ...{ protocol: 'tcp', hostIp: '', hostPort: 8080, containerPort: 80, count: 1 },
  ...fields,
});
const V4 = { address: '10.20.30.2', bridge: 'mydocker0' };
const V6 = { address: 'fd00::2', bridge: 'mydocker0' };

test('what is typed is Docker’s form', () => {
  const shown = (text: string): string[] =>
    parsePublish(text).map((p) => [p.hostIp, p.hostPort, p.containerPort, p.count, p.protocol].join(' '));
  assert.deepEqual(shown('8080:80'), [' 8080 80 1 1']);
  assert.deepEqual(shown('127.0.0.1:53:5353/udp'), ['127.0.0.1 53 5353 1 2']);
  assert.deepEqual(shown('[::1]:80:80/sctp'), ['::1 80 80 1 3']);
  assert.deepEqual(shown('127.0.0.1::80'), ['127.0.0.1 0 80 1 1']);
  assert.deepEqual(shown('8000-8002:9000-9002'), [' 8000 9000 3 1']);
  assert.deepEqual(shown('80-81'), [' 0 80 1 1', ' 0 81 1 1']);
  for (const bad of [
    '',
    ':',
    '80:',
    'x',
    '80:x',
    '1:2:3:4',
    '::1:80:80',
    '80/x',
    '0',
    '2-1',
    '65536',
    '1-2:3',
  ])
    assert.throws(() => parsePublish(bad), /invalid port/, bad);
  assert.deepEqual(parseExpose('7000-7001/udp'), { containerPort: 7000, count: 2, protocol: 2 });
});

test('ranges fall apart and come together', () => {
  const range = port({ count: 3 });
  const single = singlePorts([range]);
  assert.deepEqual(
    single.map(({ hostPort, containerPort }) => [hostPort, containerPort]),
    [
      [8080, 80],
      [8081, 81],
      [8082, 82],
    ],
  );
  assert.deepEqual(joinPorts(single), [range]);
  const picked = singlePorts([port({ hostPort: 0, count: 2 })]);
  assert.deepEqual(joinPorts(picked), picked);
});

test('ports that meet on an address are refused, others are not', () => {
  assert.ok(addressesMeet('', '::1'));
  assert.ok(addressesMeet('0.0.0.0', '127.0.0.1'));
  assert.ok(!addressesMeet('0.0.0.0', '::'));
  assert.ok(!addressesMeet('127.0.0.1', '127.0.0.2'));
  assert.equal(checkPorts([port(), port()]).length, 1);
  assert.equal(checkPorts([port({ hostIp: '127.0.0.1' }), port({ hostIp: '127.0.0.2' })]).length, 2);
  assert.equal(checkPorts([port(), port({ protocol: 'udp' })]).length, 2);
  assert.throws(() => checkPorts([port({ count: 5 }), port({ hostPort: 8084 })]), /two ports/);
  assert.equal(checkPorts([port({ hostIp: '0:0::1' })])[0]?.hostIp, '::1');
  for (const hostIp of [
    '::ffff:1.2.3.4',
    '224.0.0.1',
    'ff02::1',
    'fe80::1%eth0',
    '1.2.3',
    '"; flush ruleset; #',
  ])
    assert.throws(() => checkPorts([port({ hostIp })]), /invalid address/, hostIp);
  assert.throws(() => checkPorts([port({ containerPort: 65_535, count: 2 })]), /beyond 65535/);
  assert.throws(() => checkPorts([port({ count: 4_000_000_000 })]), /beyond 65535/);
});

test('a port is an element for each family that it has', () => {
  const lines = (ports: PublishedPort[]): string[] =>
    elementLines('add', 't', portElements(ports, { ipv4: V4, ipv6: V6 }))
      .trim()
      .split('\n');
  assert.deepEqual(lines([port(), port({ hostPort: 53, protocol: 'udp' })]), [
    'add element inet t any4 { tcp . 8080 : 10.20.30.2 . 80, udp . 53 : 10.20.30.2 . 80 }',
    'add element inet t any6 { tcp . 8080 : fd00::2 . 80, udp . 53 : fd00::2 . 80 }',
  ]);
  assert.deepEqual(lines([port({ hostIp: '192.0.2.2' })]), [
    'add element inet t at4 { 192.0.2.2 . tcp . 8080 : 10.20.30.2 . 80 }',
  ]);
  assert.deepEqual(lines([port({ hostIp: '::' })]), [
    'add element inet t any6 { tcp . 8080 : fd00::2 . 80 }',
  ]);
  assert.deepEqual(portElements([port({ hostIp: '::1' })], { ipv6: V6 }), []);
});

test('elements are read out of what nft prints', () => {
  const listing =
    'table inet t {\n\tset networks {\n\t\ttype ifname\n\t\telements = { "b",\n\t\t\t     "a" }\n\t}\n\n\tmap any4 {\n\t\ttype x : y\n\t}\n}\n';
  assert.deepEqual(elementsIn(listing), { networks: ['"a"', '"b"'], any4: [] });
});

test('whoever has a port is found', async (t) => {
  const table = [
    '  sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout inode',
    '   0: 0100007F:1F90 00000000:0000 0A 00000000:00000000 00:00000000 00000000     0        0 11 1 x 100 0 0 10 0',
    '   1: 0200007F:1F90 00000000:0000 01 00000000:00000000 00:00000000 00000000     0        0 12 1 x 100 0 0 10 0',
    '   2: 00000000000000000000000000000000:1F91 0:0000 0A 0:0 00:0 0     0        0 13 1 x 100 0 0 10 0',
  ].join('\n');
  assert.deepEqual(socketsIn(table, 'tcp', '', 8080), ['11']);
  assert.deepEqual(socketsIn(table, 'tcp', '127.0.0.2', 8080), []);
  assert.deepEqual(socketsIn(table, 'tcp', '192.0.2.1', 8081), ['13']);
  const server = createServer();
  t.after(() => server.close());
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const address = server.address();
  const number = typeof address === 'object' ? (address?.port ?? 0) : 0;
  assert.equal(findPortOwner('tcp', '', number)?.pid, process.pid);
  const registry = new PortRegistry();
  await assert.rejects(
    registry.reserve({ id: 'x', name: 'web' }, [port({ hostIp: '127.0.0.1', hostPort: number })]),
    { code: 'already-exists', reason: 'PORT_IN_USE' },
  );
  // It keeps nothing of it.
  server.close();
  await new Promise((resolve) => server.once('close', resolve));
  using taken = await registry.reserve({ id: 'y', name: 'db' }, [
    port({ hostIp: '127.0.0.1', hostPort: number }),
  ]);
  assert.equal(taken.ports.length, 1);
  await assert.rejects(registry.reserve({ id: 'x', name: 'web' }, [port({ hostIp: '', hostPort: number })]), {
    message: `cannot publish port ${number}/tcp: container db has it`,
  });
});

test('who calls from a network without a way out is known by address or link', () => {
  const ipv6 = { subnet: 'fd00:1::/64', gateway: 'fd00:1::1' };
  const inner = { ...NETWORK, ipv6, internal: true, bridge: 'md012345-abcdef' };
  const open = { ...NETWORK, subnet: '10.20.31.0/24', bridge: 'md012345-fedcba' };
  for (const [address, apart] of [
    ['fd00:1::5', true],
    ['fe80::42:aff:fe14:1e02%md012345-abcdef', true],
    ['10.20.30.7', true],
    ['::ffff:10.20.30.7', true],
    ['fd00:2::5', false],
    ['fe80::42:aff:fe14:1e02%md012345-fedcba', false],
    ['fe80::1%lan0', false],
    ['::ffff:10.20.31.7', false],
    ['::1', false],
    ['', false],
  ] as const)
    assert.equal(isApart([open, inner], address), apart, address);
});
