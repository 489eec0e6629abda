import assert from 'node:assert/strict';
import { test } from 'node:test';
import {
  addressBytes,
  addressOf,
  contains,
  formatAddress,
  formatSubnet,
  linkLocalOf,
  lowestFree,
  macOf,
  overlap,
  parseAddress,
  parseSubnet,
  sizeOf,
} from '../../../server/network/ip.ts';
import { tableScript } from '../../../server/network/rules.ts';
import {
  chooseSubnet,
  DEFAULT_POOLS,
  localPool6,
  parseRoutes,
  parseRoutes6,
  type Route,
} from '../../../server/network/subnets.ts';
import { NETWORK } from '../spec/sample-plans.ts';

test('addresses are read and written', () => {
  for (const text of [
    ...['0.0.0.0', '10.20.30.1', '127.255.0.9', '255.255.255.255'],
    ...['::', '::1', 'fe80::', 'fd00:1::2', '2001:db8:0:1:1:1:1:1', '1:2:3:4:5:6:7:8', '1::4:0:0:7:8'],
  ])
    assert.equal(formatAddress(parseAddress(text)), text);
  for (const [text, plain] of [
    ['FD00:0001:0:0::2', 'fd00:1::2'],
    ['::ffff:192.0.2.1', '::ffff:c000:201'],
    ['1:0:0:2:0:0:0:3', '1:0:0:2::3'],
    ['0:0:1::', '0:0:1::'],
  ] as const)
    assert.equal(formatAddress(parseAddress(text)), plain);
  assert.deepEqual(parseAddress('255.255.255.255'), { family: 4, value: 2n ** 32n - 1n });
  assert.equal(parseAddress('ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff').value, 2n ** 128n - 1n);
  for (const text of ['10.20.30.1', 'fd00:1::2'])
    assert.equal(formatAddress(addressOf(addressBytes(parseAddress(text)))), text);
  for (const text of [
    '',
    '1.2.3',
    '1.2.3.4.5',
    '1.2.3.256',
    '1.2.3.-4',
    ' 1.2.3.4',
    '1.2.3.4\n',
    'a.b.c.d',
    'fe80::1%eth0',
    '1::2::3',
    '12345::',
  ])
    assert.throws(() => parseAddress(text), RangeError, text);
});

test('subnets lose the bits behind their prefix', () => {
  const cases = [
    ['10.20.30.77/24', '10.20.30.0/24', 256n],
    ['192.168.255.255/16', '192.168.0.0/16', 65_536n],
    ['255.255.255.255/32', '255.255.255.255/32', 1n],
    ['200.1.2.3/1', '128.0.0.0/1', 2n ** 31n],
    ['1.2.3.4/0', '0.0.0.0/0', 2n ** 32n],
    ['fd00:1::ffff/64', 'fd00:1::/64', 2n ** 64n],
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
    'fd00::/129',
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
    ['::/0', '0.0.0.0/0', false],
    ['fd00::/48', 'fd00:0:0:1::/64', true],
  ] as const;
  for (const [a, b, expected] of cases)
    assert.equal(overlap(parseSubnet(a), parseSubnet(b)), expected, `${a} ${b}`);
  assert.ok(contains(parseSubnet('10.20.30.0/24'), parseAddress('10.20.30.255')));
  assert.ok(!contains(parseSubnet('10.20.30.0/24'), parseAddress('10.20.31.0')));
});

test('the lowest free address is never the network, the gateway or the broadcast address', () => {
  for (const text of ['10.20.30.0/24', '192.168.1.64/28', '10.0.0.0/30', '255.255.255.248/29']) {
    const subnet = parseSubnet(text);
    const taken = new Set([subnet.base + 1n]);
    for (let next = lowestFree(subnet, taken); next !== undefined; next = lowestFree(subnet, taken))
      taken.add(next);
    // All but three have been given out, each once.
    assert.equal(BigInt(taken.size), sizeOf(subnet) - 2n);
    assert.ok(!taken.has(subnet.base) && !taken.has(subnet.base + sizeOf(subnet) - 1n));
    taken.delete(subnet.base + 2n);
    assert.equal(lowestFree(subnet, taken), subnet.base + 2n);
  }
  for (const text of ['10.0.0.0/31', '10.0.0.0/32'])
    assert.equal(lowestFree(parseSubnet(text), new Set()), undefined);
});

test('a range within a subnet is kept to, to the end of what numbers there are', () => {
  const all = (subnet: string, range: string, taken: readonly bigint[] = []): string[] => {
    const [whole, part] = [parseSubnet(subnet), parseSubnet(range)];
    const got = new Set(taken);
    const found: string[] = [];
    for (let next = lowestFree(whole, got, part); next !== undefined; next = lowestFree(whole, got, part)) {
      got.add(next);
      found.push(formatAddress({ family: whole.family, value: next }));
    }
    return found;
  };
  assert.deepEqual(all('10.0.0.0/24', '10.0.0.252/30'), ['10.0.0.252', '10.0.0.253', '10.0.0.254']);
  assert.deepEqual(all('10.0.0.0/24', '10.0.0.0/30'), ['10.0.0.1', '10.0.0.2', '10.0.0.3']);
  // All routers of an IPv6 network hear its first address; the last one is as good as any.
  assert.deepEqual(all('fd00::/126', 'fd00::/126'), ['fd00::1', 'fd00::2', 'fd00::3']);
  const top = parseSubnet('ffff:ffff:ffff:ffff::/64');
  const range = parseSubnet('ffff:ffff:ffff:ffff:ffff:ffff:ffff:fffe/127');
  assert.equal(lowestFree(top, new Set([range.base]), range), 2n ** 128n - 1n);
});

test('a hardware address is of one machine alone, and of its address', () => {
  assert.equal(macOf(parseAddress('10.20.30.2')), '02:42:0a:14:1e:02');
  assert.equal(macOf(parseAddress('255.0.128.1')), '02:42:ff:00:80:01');
  assert.equal(linkLocalOf('02:42:0a:14:1e:02'), 'fe80::42:aff:fe14:1e02');
  assert.equal(linkLocalOf('00:00:00:00:00:01'), 'fe80::200:ff:fe00:1');
});

const choose = (instance: string, isDefault: boolean, taken: readonly string[] = []): string | undefined =>
  chooseSubnet(
    DEFAULT_POOLS,
    4,
    { instance, isDefault },
    taken.map((text) => ({ subnet: parseSubnet(text), by: 'somebody' })),
  );

test('the first server has the known subnet, another one another, and none that is in use', () => {
  assert.equal(choose('00000000', true), '10.20.30.0/24');
  assert.equal(choose('00000022', false), '10.20.34.0/24');
  assert.equal(choose('00000022', false, ['10.20.34.64/26']), '10.20.35.0/24');
  assert.equal(choose('00000000', true, ['10.20.30.0/24']), '10.20.31.0/24');
  // That one is another server's.
  assert.equal(choose('0000001e', false), '10.20.31.0/24');
  // The machine's own network is 10.0.0.0/8.
  assert.equal(choose('00000000', true, ['10.0.0.0/8']), '172.30.0.0/24');
  assert.equal(choose('00000000', true, ['0.0.0.0/1', '128.0.0.0/1']), undefined);
  const many = new Set<string>();
  for (let n = 0; n < 300; n += 1) many.add(choose(n.toString(16).padStart(8, '0'), false) ?? '');
  assert.equal(many.size, 255);
  const own = localPool6('0123abcd');
  assert.match(own, /^fd[0-9a-f]{2}:[0-9a-f]{4}:[0-9a-f]{4}::\/48$/);
  const server = { instance: '00000000', isDefault: true };
  assert.equal(chooseSubnet([own], 6, server, []), formatSubnet({ ...parseSubnet(own), prefix: 64 }));
});

test('routes are read as the kernel shows them', () => {
  const text = [
    'Iface\tDestination\tGateway \tFlags\tRefCnt\tUse\tMetric\tMask\t\tMTU\tWindow\tIRTT',
    'eth0\t00000000\t0101A8C0\t0003\t0\t0\t0\t00000000\t0\t0\t0',
    'eth0\t0001A8C0\t00000000\t0001\t0\t0\t0\t00FFFFFF\t0\t0\t0',
    'tun0\t0000140A\t00000000\t0001\t0\t0\t0\t0000FFFF\t0\t0\t0',
    '',
  ].join('\n');
  const shown = ({ subnet, dev }: Route): string => `${formatSubnet(subnet)} ${dev}`;
  assert.deepEqual(parseRoutes(text).map(shown), ['192.168.1.0/24 eth0', '10.20.0.0/16 tun0']);
  const zeros = '0'.repeat(32);
  const text6 = [
    `fd000001${'0'.repeat(24)} 40 ${zeros} 00 ${zeros} 00000100 00000001 00000000 00000001     eth0`,
    `${zeros} 00 ${zeros} 00 ${zeros} ffffffff 00000001 00000000 00200200       lo`,
    '',
  ].join('\n');
  assert.deepEqual(parseRoutes6(text6).map(shown), ['fd00:1::/64 eth0']);
});

test('the rules name nothing but what is ours', () => {
  const lan = { ...NETWORK, bridge: 'md012345-abcdef', internal: true };
  const script = tableScript('0123abcd', [NETWORK, lan]);
  assert.match(script, /^table inet mydocker_0123abcd \{\}\ndelete table inet mydocker_0123abcd$/m);
  assert.doesNotMatch(script, /flush|policy drop/);
  assert.deepEqual(
    new Set([...script.matchAll(/"([^"]*)"/g)].map((m) => m[1])),
    new Set([NETWORK.bridge, lan.bridge]),
  );
  // As many rules as for one.
  const rules = (text: string): string[] => text.split('\n').filter((line) => /^ {4}(?!elements)/.test(line));
  assert.deepEqual(rules(script), rules(tableScript('0123abcd', [lan])));
  const open = rules(tableScript('0123abcd', [NETWORK]));
  assert.deepEqual(rules(tableScript('0123abcd', [NETWORK, { ...lan, internal: false }])), open);
  // What one without a way out has begun while there were no rules does not pass with the answers.
  const at = (all: readonly string[], part: string): number => all.findIndex((rule) => rule.includes(part));
  assert.ok(at(rules(script), 'oifname @internal drop') < at(rules(script), 'established,related accept'));
  assert.equal(at(open, '@internal drop'), -1);
});
