/** What no container can be, found before it is made. */
import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import type { ContainerConfig } from '../../../server/model/container.ts';
import { checkConfig } from '../../../server/ops/check-config.ts';
import { hostCpus, parseCpuList } from '../../../server/ops/check-resources.ts';
import { container } from '../store/records.ts';

const HOST = { online: new Set([0, 1, 2, 3]) };
const MIB = 1n << 20n;

function check(change: Partial<ContainerConfig>): void {
  checkConfig({ ...container('x').config, resources: {}, labels: {}, ...change }, HOST, { capabilities: [] });
}

const mount = (source: string, destination: string): Partial<ContainerConfig> => ({
  mounts: [{ source, destination, readOnly: false }],
});

const REFUSED: readonly [why: RegExp, change: Partial<ContainerConfig>][] = [
  [/hostname .* longer than 64/, { hostname: 'x'.repeat(65) }],
  [/hostname/, { hostname: '-x' }],
  [/hostname/, { hostname: 'a\nb' }],
  [/hostname/, { hostname: '' }],
  [/working directory/, { workingDir: '/a\0b' }],
  [/working directory .* not absolute/, { workingDir: 'a' }],
  [/working directory .* too long/, { workingDir: `/${'x'.repeat(4095)}` }],
  [/rootfs directory .* own root/, { rootfs: { kind: 'directory', path: '/' } }],
  [/rootfs directory/, { rootfs: { kind: 'directory', path: 'x' } }],
  [/argument .* NUL/, { args: ['a', 'b\0c'] }],
  [/argument .* longer than 131071/, { args: ['x'.repeat(131_072)] }],
  [/larger than 2 MiB/, { env: Array.from({ length: 30 }, (_, i) => `${i}=${'x'.repeat(100_000)}`) }],
  [/mount source data: it is not an absolute path/, mount('data', '/data')],
  [/mount destination .* not absolute/, mount('/data', 'data')],
  [/root of the container/, mount('/data', '/')],
  [/kernel's own/, mount('/data', '/proc')],
  [/kernel's own/, mount('/data', '/proc/self')],
  [/kernel's own/, mount('/data', '/sys/fs/cgroup')],
  [/given twice/, { mounts: [mount('/a', '/x'), mount('/b', '/x')].flatMap((m) => m.mounts ?? []) }],
  [/memory limit .* 6 MiB/, { resources: { memoryLimitBytes: 6n * MIB - 1n } }],
  [/memory limit/, { resources: { memoryLimitBytes: 0n } }],
  [/cpu shares/, { resources: { cpuShares: 1 } }],
  [/cpu shares/, { resources: { cpuShares: 262_145 } }],
  [/cpu limit 4.5: the host has 4 CPUs/, { resources: { nanoCpus: 4_500_000_000n } }],
  [/cpu limit 0/, { resources: { nanoCpus: 0n } }],
  [/cpu limit/, { resources: { nanoCpus: 9_999_999n } }],
  [/cpu list .* no CPU 4/, { resources: { cpusetCpus: '0-4' } }],
  [/cpu list .* not a list/, { resources: { cpusetCpus: '0-' } }],
  [/cpu list .* not a list/, { resources: { cpusetCpus: '3-1' } }],
  [/cpu list .* not a list/, { resources: { cpusetCpus: '0-4294967295' } }],
  [/cpu list/, { resources: { cpusetCpus: '1,'.repeat(3000) } }],
  [/pids limit/, { resources: { pidsMax: 0n } }],
  [/stop timeout/, { stopTimeoutMs: -2 }],
  [/label/, { labels: { '': 'x' } }],
  [/labels .* larger/, { labels: { x: 'x'.repeat(300_000) } }],
];

describe('a configuration is refused', () => {
  for (const [why, change] of REFUSED) {
    test(`${why.source} ${JSON.stringify(change, (_, v) => (typeof v === 'bigint' ? String(v) : v)).slice(0, 60)}`, () => {
      assert.throws(() => check(change), { name: 'MydockerError', code: 'invalid-argument', message: why });
    });
  }
});

test('a configuration at its limits is taken', () => {
  check({
    hostname: `a${'-'.repeat(62)}b`,
    args: ['x'.repeat(131_071)],
    resources: {
      ...{
        memoryLimitBytes: 6n * MIB,
        cpuShares: 2,
        nanoCpus: 4_000_000_000n,
        cpusetCpus: '0-2,3',
        pidsMax: 1n,
      },
    },
    stopTimeoutMs: -1,
    ...mount('/', '/process'),
  });
});

test('a relative source is refused', () => {
  assert.throws(() => check(mount('data', '/data')), /it is not an absolute path/);
});

test('a cpu list is read as the kernel writes it, and never long', () => {
  assert.deepEqual(parseCpuList('0-2,4'), [0, 1, 2, 4]);
  assert.deepEqual(parseCpuList('1,1,0-1'), [1, 0]);
  const before = performance.now();
  assert.throws(() => parseCpuList(Array.from({ length: 400 }, () => '0-65535').join()), RangeError);
  assert.ok(performance.now() - before < 100);
  assert.ok(hostCpus().online.size >= 1);
});
