/** From the options of limits and of the kernel to what create and update send. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { parseArguments } from '../../../client/grammar/parse-arguments.ts';
import { RESOURCE_OPTIONS } from '../../../client/grammar/resource-options.ts';
import {
  parseDevice,
  parseDeviceRule,
  parseSysctls,
  parseUlimit,
} from '../../../client/parse/parse-kernel.ts';
import { type ResourceFields, resourceFields } from '../../../client/resources.ts';
import { UsageError } from '../../../client/usage-error.ts';

const fields = (line: string): ResourceFields | undefined =>
  resourceFields(
    parseArguments(RESOURCE_OPTIONS, line.split(' ').filter(Boolean), { interspersed: true }).options,
  );

test('both spellings of each limit are one', () => {
  for (const [one, other] of [
    ['-m 64m', '-mem 65536k'],
    ['--memory 1g', '--memory-limit 1024m'],
    ['--memory-soft-limit 1m', '--memory-reservation 1048576'],
    ['--memory-swap-limit -1', '--memory-swap -1'],
    ['--kernel-memory-limit 1m', '--kernel-memory 1m'],
    ['--cpu-cfs-period 5000 --cpu-cfs-quota 1000', '--cpu-period 5000 --cpu-quota 1000'],
    ['-cpushare 5', '-c 5'],
    ['-cpu 150', '--cpus 1.5'],
    ['-cpuset 0-1', '--cpuset-cpus 0-1'],
    ['--pids-max 0', '--pids-limit -1'],
    ['--net-classid 0x10', '--net-classid 16'],
  ] as const)
    assert.deepEqual(fields(one), fields(other), one);
});

test('what is not given is not sent, and 0 is the default where it is no value', () => {
  assert.equal(fields(''), undefined);
  assert.equal(
    fields('--cpu-shares 0 --memory-reservation 0 --memory-swap 0 --cpus 0 --blkio-weight 0'),
    undefined,
  );
  assert.deepEqual(fields('--memory-swappiness 0'), { memorySwappiness: 0 });
  assert.equal(fields('--memory-swappiness -1'), undefined);
  assert.deepEqual(fields('--oom-kill-disable=false'), { oomKillDisable: false });
});

test('devices: a line for each, whatever is said of it', () => {
  assert.deepEqual(fields('--device-read-bps 8:0:1m --device-write-iops 8:0:5 --device-read-bps /dev/x:2k'), {
    blkioThrottleDevices: [
      { device: '8:0', readBytesPerSecond: 1_048_576n, writeOperationsPerSecond: 5n },
      { device: '/dev/x', readBytesPerSecond: 2048n },
    ],
  });
  assert.deepEqual(fields('--blkio-weight-device /dev/x:300 --hugepages-limit 2MB:-1 --net-prio eth0:3'), {
    blkioWeightDevices: [{ device: '/dev/x', weight: 300, leafWeight: 0 }],
    hugepageLimits: [{ pageSizeBytes: 2_097_152n, limitBytes: -1n }],
    netPriorities: { eth0: 3 },
  });
  for (const line of [
    '--device-read-bps 8',
    '--device-read-bps 8:0:',
    '--device-read-bps 8:0:-1',
    '--net-prio eth0',
  ])
    assert.throws(() => fields(line), UsageError, line);
});

test('ulimits, parameters, devices and their rules', () => {
  assert.deepEqual(parseUlimit('nofile=1:2'), { name: 'nofile', soft: 1n, hard: 2n });
  assert.deepEqual(parseUlimit('core=unlimited'), { name: 'core', soft: -1n, hard: -1n });
  for (const text of ['nofile', 'nofile=', 'nofile=x', '=1', 'NOFILE=1', 'nofile=1:2:3', 'nofile=-2'])
    assert.throws(() => parseUlimit(text), UsageError, text);
  assert.deepEqual(parseSysctls(['a.b=c=d', 'e=']), { 'a.b': 'c=d', e: '' });
  assert.throws(() => parseSysctls(['=x']), UsageError);
  assert.deepEqual(parseDevice('/dev/a:/dev/b:rw'), {
    hostPath: '/dev/a',
    containerPath: '/dev/b',
    access: 'rw',
  });
  assert.deepEqual(parseDevice('/dev/a:r'), { hostPath: '/dev/a', containerPath: '', access: 'r' });
  assert.deepEqual(parseDeviceRule('c 10:* rm'), { allow: true, type: 1, major: 10, access: 'rm' });
  assert.deepEqual(parseDeviceRule('a *:* rwm'), { allow: true, type: 0, access: 'rwm' });
  for (const text of ['c 10 r', 'd 1:1 r', 'c 1:1', 'c 1:1 x', 'c a:1 r'])
    assert.throws(() => parseDeviceRule(text), UsageError, text);
});
