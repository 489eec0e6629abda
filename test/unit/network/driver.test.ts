/** What every driver of networks has to keep to, and what a network may be; nothing is made. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { parseNetworkName } from '../../../server/model/network-name.ts';
import { checkSubnet } from '../../../server/network/check-subnet.ts';
import { DRIVERS, driverOf } from '../../../server/network/driver.ts';
import { localAddresses } from '../../../server/network/observe.ts';
import { NETWORK } from '../spec/sample-plans.ts';

test('a driver makes and takes away what is its own, refuses what it does not know, and harms nothing twice', () => {
  for (const name of ['', ...DRIVERS]) {
    const driver = driverOf(name);
    assert.deepEqual(driver.validate({}), {});
    for (const options of [
      { nosuch: '1' },
      { spoofing: 'x' },
      { mtu: '67' },
      { mtu: '65536' },
      { mtu: '1400; x' },
      { mtu: '' },
    ])
      assert.throws(() => driver.validate(options), { reason: 'NETWORK_OPTION_INVALID' });
    assert.deepEqual(driver.validate({ mtu: '1400', spoofing: 'allow' }), { mtu: 1400, spoofing: true });
    assert.deepEqual(driver.validate({ spoofing: 'deny' }), {});
    const settings = driver.validate({ mtu: '1400' });
    const setup = driver.setup({ ...NETWORK, ...settings }, [7, 8]);
    const teardown = driver.teardown(NETWORK);
    // What is there already, or gone already, is no failure.
    assert.ok(
      setup.filter(({ about }) => /^(?:make|give)/.test(about)).every(({ existsOk }) => existsOk === true),
    );
    assert.ok(teardown.every(({ ignoreErrors }) => ignoreErrors === true));
    assert.equal(setup.filter(({ about }) => /interface [78] back/.test(about)).length, 2);
    assert.ok([...setup, ...teardown].every(({ about }) => about !== ''));
  }
  assert.throws(() => driverOf('../../bin/x'), { reason: 'NETWORK_DRIVER_UNKNOWN' });
});

test('a subnet is taken as it is meant', () => {
  const ask = (cidr: string, gateway = '', ipRange = ''): object => checkSubnet({ cidr, gateway, ipRange });
  assert.deepEqual(ask('10.1.2.3/24'), { subnet: '10.1.2.0/24', gateway: '10.1.2.1' });
  assert.deepEqual(ask('10.1.2.0/24', '10.1.2.254', '10.1.2.200/29'), {
    ...{ subnet: '10.1.2.0/24', gateway: '10.1.2.254', ipRange: '10.1.2.200/29' },
  });
  assert.deepEqual(ask('FD00:0::7/64'), { subnet: 'fd00::/64', gateway: 'fd00::1' });
  for (const cidr of [
    '10.0.0.0/7',
    '10.0.0.0/31',
    '127.1.0.0/16',
    '169.254.0.0/24',
    '240.0.0.0/8',
    'fd00::/127',
    'fe80::/64',
  ])
    assert.throws(() => ask(cidr), { reason: 'SUBNET_INVALID' }, cidr);
  for (const gateway of ['10.1.2.0', '10.1.2.255', '10.1.3.1', 'fd00::1', 'x'])
    assert.throws(() => ask('10.1.2.0/24', gateway), { reason: 'SUBNET_INVALID' }, gateway);
});

test('a name stands in nobody’s way', () => {
  for (const name of ['a', 'lan', 'Team_1.x-2', 'x'.repeat(128)]) assert.equal(parseNetworkName(name), name);
  for (const name of [
    '',
    '-a',
    '.',
    '..',
    'a/b',
    'host',
    'none',
    'bridge',
    'default',
    'a b',
    'ä',
    'f'.repeat(64),
    'f'.repeat(12),
  ])
    assert.throws(() => parseNetworkName(name), { reason: 'NETWORK_NAME_INVALID' }, name);
});

test('addresses of another namespace are read from its routes', () => {
  const trie = [
    'Main:',
    '  +-- 0.0.0.0/0 3 0 5',
    '     |-- 0.0.0.0',
    '        /0 universe UNICAST',
    '           |-- 10.20.30.2',
    '              /32 host LOCAL',
    '           |-- 10.20.30.255',
    '              /32 link BROADCAST',
  ];
  assert.deepEqual(localAddresses(trie), ['10.20.30.2']);
});
