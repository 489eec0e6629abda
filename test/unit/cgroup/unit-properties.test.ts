import assert from 'node:assert/strict';
import { test } from 'node:test';
import { parseCgroupLayout } from '../../../server/cgroup/layout.ts';
import { limitWrites, type Machine } from '../../../server/cgroup/limits.ts';
import { limitProperties, listBits, scopeProperties } from '../../../server/cgroup/unit-properties.ts';
import type { Resources } from '../../../server/model/resources.ts';
import { UNLIMITED, type UnitProperty } from '../../../server/model/unit.ts';

const v1 = ['cpu', 'cpuset', 'memory', 'pids', 'blkio'].map(
  (name) => `1 1 0:1 / /sys/fs/cgroup/${name} rw - cgroup cgroup rw,${name}\n`,
);
const unified = '1 1 0:1 / /sys/fs/cgroup/unified rw - cgroup2 cgroup2 rw\n';
const LAYOUTS = {
  v1: parseCgroupLayout(v1.join('')),
  v2: parseCgroupLayout(unified),
  hybrid: parseCgroupLayout(v1.join('') + unified),
};
const EVERYTHING: Machine = { has: (file) => !file.includes('bfq'), read: () => '0-3' };
const short = (properties: readonly UnitProperty[]): unknown[] =>
  properties.map(({ name, signature, value }) => [name, signature, value]);
const of = (kind: keyof typeof LAYOUTS, resources: Resources): unknown[] =>
  short(
    limitProperties(
      limitWrites({ layout: LAYOUTS[kind], path: '/a.slice/mydocker-1.scope' }, resources, EVERYTHING),
      kind === 'v2',
    ),
  );

const USUAL: Resources = {
  memoryLimitBytes: 64n << 20n,
  memorySwapLimitBytes: 96n << 20n,
  memoryReservationBytes: 32n << 20n,
  cpuShares: 512,
  nanoCpus: 1_500_000_000n,
  cpusetCpus: '0-2,9',
  cpusetMems: '0',
  pidsMax: 100n,
};

test('limits on v2 are properties', () => {
  assert.deepEqual(of('v2', USUAL), [
    ['MemoryMax', 't', 64n << 20n],
    ['MemorySwapMax', 't', 32n << 20n],
    ['MemoryLow', 't', 32n << 20n],
    ['CPUWeight', 't', 20n],
    ['CPUQuotaPerSecUSec', 't', 1_500_000n],
    ['CPUQuotaPeriodUSec', 't', 100_000n],
    ['AllowedCPUs', 'ay', [0b111, 0b10]],
    ['AllowedMemoryNodes', 'ay', [1]],
    // One more than the container has: what keeps the unit.
    ['TasksMax', 't', 101n],
  ]);
});

test('limits on v1 are those that systemd knows there', () => {
  for (const kind of ['v1', 'hybrid'] as const)
    assert.deepEqual(
      of(kind, {
        memoryLimitBytes: 1n << 30n,
        cpuShares: 512,
        cpuQuotaUs: 25_000n,
        cpusetCpus: '0',
        pidsMax: -1n,
      }),
      [
        ['MemoryLimit', 't', 1n << 30n],
        ['CPUShares', 't', 512n],
        ['CPUQuotaPerSecUSec', 't', 250_000n],
        ['CPUQuotaPeriodUSec', 't', 100_000n],
        ['TasksMax', 't', UNLIMITED],
      ],
    );
});

test('rates and weights of devices are lists, one for each property', () => {
  assert.deepEqual(
    of('v2', {
      blkioWeight: 500,
      blkioThrottleDevices: [
        { device: '8:0', readBytesPerSecond: 1000n, writeOperationsPerSecond: 5n },
        { device: '8:16', readBytesPerSecond: 0n },
      ],
    }),
    [
      ['IOWeight', 't', 4950n],
      [
        'IOReadBandwidthMax',
        'a(st)',
        [
          ['/dev/block/8:0', 1000n],
          ['/dev/block/8:16', UNLIMITED],
        ],
      ],
      ['IOWriteIOPSMax', 'a(st)', [['/dev/block/8:0', 5n]]],
    ],
  );
  assert.deepEqual(of('v1', { blkioThrottleDevices: [{ device: '8:0', writeBytesPerSecond: 7n }] }), [
    ['BlockIOWriteBandwidth', 'a(st)', [['/dev/block/8:0', 7n]]],
  ]);
});

test('a share of a CPU is rounded up to what systemd can keep, and no limit stays none', () => {
  assert.deepEqual(of('v2', { nanoCpus: 125_000_000n })[0], ['CPUQuotaPerSecUSec', 't', 130_000n]);
  assert.deepEqual(of('v2', { cpuQuotaUs: -1n })[0], ['CPUQuotaPerSecUSec', 't', UNLIMITED]);
});

test('what a client writes into files itself is told as well, as far as there is a property', () => {
  const unified = { 'memory.high': '1000', 'cpu.weight': '7', 'io.bfq.weight': '200', 'misc.max': 'x 1' };
  const writes = Object.entries(unified).map(([name, value]) => ({
    ...{ file: `/sys/fs/cgroup/a/${name}`, value, option: 'file', optional: false },
  }));
  assert.deepEqual(short(limitProperties(writes, true)), [
    ['MemoryHigh', 't', 1000n],
    ['CPUWeight', 't', 7n],
    // systemd makes 200 of it again.
    ['IOWeight', 't', 1200n],
  ]);
});

test('lists of CPUs are bits', () => {
  assert.deepEqual(listBits('0'), [1]);
  assert.deepEqual(listBits('3,8-10'), [8, 7]);
  assert.deepEqual(listBits('\n'), []);
});

test('a scope has a process, its slice and no limit of its own', () => {
  const properties = new Map(scopeProperties('abc', 'machine.slice', 42, true).map((p) => [p.name, p.value]));
  assert.deepEqual(properties.get('PIDs'), [42]);
  assert.equal(properties.get('Slice'), 'machine.slice');
  assert.equal(properties.get('Delegate'), true);
  assert.equal(properties.get('TasksMax'), UNLIMITED);
});
