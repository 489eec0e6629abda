/** How a change of limits joins those that are there. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { changeResources } from '../../../server/model/resources.ts';

test('fields that are given change or go, the others stay', () => {
  const now = { memoryLimitBytes: 5n, pidsMax: 7n, cpuShares: 2 };
  assert.deepEqual(changeResources(now, { memoryLimitBytes: 6n, pidsMax: null }), {
    memoryLimitBytes: 6n,
    cpuShares: 2,
  });
  assert.deepEqual(changeResources(now, {}), now);
  assert.deepEqual(changeResources({}, { pidsMax: null }), {});
});

test('what excludes each other takes the place of the other, unless both are given', () => {
  assert.deepEqual(changeResources({ cpuPeriodUs: 1000, cpuQuotaUs: 1000n }, { nanoCpus: 5n }), {
    nanoCpus: 5n,
  });
  assert.deepEqual(changeResources({ nanoCpus: 5n }, { cpuQuotaUs: 1000n }), { cpuQuotaUs: 1000n });
  assert.deepEqual(changeResources({}, { nanoCpus: 5n, cpuQuotaUs: 6n }), { nanoCpus: 5n, cpuQuotaUs: 6n });
});

test('devices, sizes and names that are not given keep theirs', () => {
  assert.deepEqual(
    changeResources(
      {
        blkioThrottleDevices: [{ device: '8:0', readBytesPerSecond: 1n }],
        hugepageLimits: [{ pageSizeBytes: 1n, limitBytes: 1n }],
        unified: { 'memory.high': '1' },
      },
      {
        blkioThrottleDevices: [
          { device: '8:1', writeBytesPerSecond: 2n },
          { device: '8:0', readBytesPerSecond: undefined, writeBytesPerSecond: 3n },
        ],
        hugepageLimits: [{ pageSizeBytes: 2n, limitBytes: 2n }],
        unified: { 'memory.low': '2' },
      },
    ),
    {
      blkioThrottleDevices: [
        { device: '8:0', readBytesPerSecond: 1n, writeBytesPerSecond: 3n },
        { device: '8:1', writeBytesPerSecond: 2n },
      ],
      hugepageLimits: [
        { pageSizeBytes: 1n, limitBytes: 1n },
        { pageSizeBytes: 2n, limitBytes: 2n },
      ],
      unified: { 'memory.high': '1', 'memory.low': '2' },
    },
  );
});
