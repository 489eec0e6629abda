/** Parameters of the kernel: whose they are, and the one file that a name can mean. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { RLIM_INFINITY, rlimitsOf, withUlimits } from '../../../server/spec/rlimits.ts';
import { isOfInterface, sysctlNamespace, sysctlPath } from '../../../server/spec/sysctls.ts';

test('whose a parameter is', () => {
  for (const name of ['net.core.somaxconn', 'net/ipv4/ip_forward', 'net.ipv4.conf.eth0/100.forwarding'])
    assert.equal(sysctlNamespace(name), 'network', name);
  for (const name of ['kernel.msgmax', 'kernel/sem', 'fs.mqueue.msg_max'])
    assert.equal(sysctlNamespace(name), 'ipc', name);
  for (const name of [
    ...['kernel.core_pattern', 'vm.swappiness', 'net', 'net.core', 'fs.mqueue', 'fs.file-max', ''],
    ...[
      'net/../kernel/core_pattern',
      'net/ipv4/..',
      'net..x.y',
      'net.a b.c',
      'net/a\n/b',
      '/net/core/x',
      '.net.a.b',
    ],
    ...['net/ipv4/./x', 'kernel.msgmax.', 'kernel.msg*'],
  ])
    assert.equal(sysctlNamespace(name), undefined, name);
});

test('the file of a parameter; an interface may have dots in its name', () => {
  assert.equal(sysctlPath('net.ipv4.ip_forward'), '/proc/sys/net/ipv4/ip_forward');
  assert.equal(sysctlPath('net/ipv4/conf/eth0.100/x'), '/proc/sys/net/ipv4/conf/eth0.100/x');
  assert.equal(sysctlPath('net.ipv4.conf.eth0/100.x'), '/proc/sys/net/ipv4/conf/eth0.100/x');
  assert.ok(isOfInterface('net.ipv6.conf.eth0.disable_ipv6') && isOfInterface('net/ipv4/neigh/eth1/x'));
  for (const name of ['net.ipv4.conf.all.forwarding', 'net.ipv4.conf.default.x', 'net.ipv4.ip_forward'])
    assert.ok(!isOfInterface(name), name);
});

test('ulimits take the place of usual ones, the last of a name counts, and -1 is none', () => {
  const usual = [{ type: 'NOFILE', soft: 1n, hard: 2n }];
  assert.deepEqual(withUlimits(usual), usual);
  assert.deepEqual(
    withUlimits(usual, [
      { name: 'core', soft: 0n, hard: -1n },
      { name: 'nofile', soft: 5n, hard: 6n },
      { name: 'nofile', soft: 7n, hard: 8n },
    ]),
    [
      { type: 'NOFILE', soft: 7n, hard: 8n },
      { type: 'CORE', soft: 0n, hard: RLIM_INFINITY },
    ],
  );
  const limits =
    'Limit   Soft  Hard  Units\nMax open files            20000                30000                files     \n';
  assert.deepEqual(rlimitsOf(limits), [{ type: 'NOFILE', soft: 20_000n, hard: 30_000n }]);
});
