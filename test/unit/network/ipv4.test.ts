import assert from 'node:assert/strict';
import { test } from 'node:test';
import {
  contains,
  formatIpv4,
  formatSubnet,
  lowestFree,
  macOf,
  overlap,
  parseIpv4,
  parseSubnet,
  sizeOf,
} from '../../../server/network/ipv4.ts';
import { tableScript } from '../../../server/network/rules.ts';
import { chooseSubnet, parseRoutes } from '../../../server/network/subnets.ts';
import { NETWORK } from '../spec/sample-plans.ts';

test('addresses are read and written', () => {
  for (const text of ['0.0.0.0', '10.20.30.1', '127.255.0.9', '255.255.255.255'])
    assert.equal(formatIpv4(parseIpv4(text)), text);
  assert.equal(parseIpv4('255.255.255.255'), 2 ** 32 - 1);
  for (const text of [
    '',
    '1.2.3',
    '1.2.3.4.5',
    '1.2.3.256',
    '1.2.3.-4',
    ' 1.2.3.4',
    '1.2.3.4\n',
    'a.b.c.d',
    '::1',
  ])
    assert.throws(() => parseIpv4(text), RangeError, text);
});

test('subnets lose the bits behind their prefix', () => {
  const cases = [
    ['10.20.30.77/24', '10.20.30.0/24', 256],
    ['192.168.255.255/16', '192.168.0.0/16', 65_536],
    ['255.255.255.255/32', '255.255.255.255/32', 1],
    ['200.1.2.3/1', '128.0.0.0/1', 2 ** 31],
    ['1.2.3.4/0', '0.0.0.0/0', 2 ** 32],
  ] as const;
  for (const [text, plain, size] of cases) {
    assert.equal(formatSubnet(parseSubnet(text)), plain);
    assert.equal(sizeOf(parseSubnet(text)), size);
  }
  for (const text of [
    '10.0.0.0',
    '10.0.0.0/',
    '10.0.0.0/33',
    '10.0.0.0/-1',
    '10.0.0/8',
    '/8',
    '10.0.0.0/8/8',
  ])
    assert.throws(() => parseSubnet(text), RangeError, text);
});

test('what overlaps and what is inside', () => {
  const cases = [
    ['10.0.0.0/8', '10.20.30.0/24', true],
    ['10.20.30.0/24', '10.0.0.0/8', true],
    ['10.20.30.0/24', '10.20.31.0/24', false],
    ['10.20.30.0/25', '10.20.30.128/25', false],
    ['128.0.0.0/1', '10.0.0.0/8', false],
    ['0.0.0.0/0', '255.255.255.255/32', true],
  ] as const;
  for (const [a, b, expected] of cases)
    assert.equal(overlap(parseSubnet(a), parseSubnet(b)), expected, `${a} ${b}`);
  assert.ok(contains(parseSubnet('10.20.30.0/24'), parseIpv4('10.20.30.255')));
  assert.ok(!contains(parseSubnet('10.20.30.0/24'), parseIpv4('10.20.31.0')));
});

test('the lowest free address is never the network, the gateway or the broadcast address', () => {
  for (const text of ['10.20.30.0/24', '192.168.1.64/28', '10.0.0.0/30', '255.255.255.248/29']) {
    const subnet = parseSubnet(text);
    const gateway = subnet.base + 1;
    const taken = new Set([gateway]);
    for (let next = lowestFree(subnet, taken); next !== undefined; next = lowestFree(subnet, taken))
      taken.add(next);
    // All but three have been given out, each once.
    assert.equal(taken.size, sizeOf(subnet) - 2);
    assert.ok(!taken.has(subnet.base) && !taken.has(subnet.base + sizeOf(subnet) - 1));
    taken.delete(subnet.base + 2);
    assert.equal(lowestFree(subnet, taken), subnet.base + 2);
  }
  for (const text of ['10.0.0.0/31', '10.0.0.0/32'])
    assert.equal(lowestFree(parseSubnet(text), new Set()), undefined);
});

test('a hardware address is of one machine alone, and of its address', () => {
  assert.equal(macOf(parseIpv4('10.20.30.2')), '02:42:0a:14:1e:02');
  assert.equal(macOf(parseIpv4('255.0.128.1')), '02:42:ff:00:80:01');
});

test('the first server has the known subnet, another one another, and none that is in use', () => {
  assert.equal(chooseSubnet('00000000', true, []), '10.20.30.0/24');
  const other = chooseSubnet('00000003', false, []);
  assert.equal(other, '10.20.34.0/24');
  assert.equal(chooseSubnet('00000003', false, [parseSubnet('10.20.34.64/26')]), '10.20.35.0/24');
  assert.equal(chooseSubnet('00000000', true, [parseSubnet('10.20.30.0/24')]), '10.20.31.0/24');
  // The machine's own network is 10.0.0.0/8.
  assert.equal(chooseSubnet('00000000', true, [parseSubnet('10.0.0.0/8')]), '172.30.0.0/24');
  assert.equal(
    chooseSubnet('00000000', true, [parseSubnet('0.0.0.0/1'), parseSubnet('128.0.0.0/1')]),
    undefined,
  );
  const many = new Set<string>();
  for (let n = 0; n < 300; n += 1) many.add(chooseSubnet(n.toString(16).padStart(8, '0'), false, []) ?? '');
  assert.equal(many.size, 224);
});

test('routes are read as the kernel shows them', () => {
  const text = [
    'Iface\tDestination\tGateway \tFlags\tRefCnt\tUse\tMetric\tMask\t\tMTU\tWindow\tIRTT',
    'eth0\t00000000\t0101A8C0\t0003\t0\t0\t0\t00000000\t0\t0\t0',
    'eth0\t0001A8C0\t00000000\t0001\t0\t0\t0\t00FFFFFF\t0\t0\t0',
    'tun0\t0000140A\t00000000\t0001\t0\t0\t0\t0000FFFF\t0\t0\t0',
    '',
  ].join('\n');
  assert.deepEqual(parseRoutes(text).map(formatSubnet), ['192.168.1.0/24', '10.20.0.0/16']);
});

test('the rules name nothing but what is ours', () => {
  const script = tableScript('0123abcd', NETWORK);
  assert.match(script, /^table ip mydocker_0123abcd \{\}\ndelete table ip mydocker_0123abcd\n/);
  assert.doesNotMatch(script, /flush|policy drop|inet|ip6/);
  assert.deepEqual(
    [...script.matchAll(/"([^"]*)"/g)].map((m) => m[1]).filter((name) => name !== 'mydocker0'),
    [],
  );
});
