/** Counters of a group read from files as the kernel writes them, on v1 and v2. */
import assert from 'node:assert/strict';
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, test } from 'node:test';
import type { CgroupLayout } from '../../../server/cgroup/layout.ts';
import { oomKills, usageReader } from '../../../server/cgroup/usage.ts';

const folder = mkdtempSync(join(tmpdir(), 'usage-'));
after(() => rmSync(folder, { recursive: true }));

function group(name: string, files: Readonly<Record<string, string>>): void {
  mkdirSync(join(folder, name, 'c'), { recursive: true });
  for (const [file, text] of Object.entries(files)) writeFileSync(join(folder, name, 'c', file), text);
}

const PRESSURE =
  'some avg10=1.50 avg60=0.20 avg300=0.05 total=1234\nfull avg10=0.00 avg60=0.00 avg300=0.00 total=7\n';

test('on v2', () => {
  group('v2', {
    'cpu.stat':
      'usage_usec 30\nuser_usec 10\nsystem_usec 20\nnr_periods 5\nnr_throttled 2\nthrottled_usec 9\n',
    'memory.current': '1000\n',
    'memory.stat': 'anon 300\nfile 500\nkernel 5\ninactive_anon 1\ninactive_file 200\n',
    'memory.swap.current': '7\n',
    'memory.peak': '2000\n',
    'memory.events': 'low 0\nhigh 0\nmax 3\noom 1\noom_kill 4\noom_group_kill 0\n',
    'pids.current': '3\n',
    'io.stat':
      '254:0 rbytes=10 wbytes=20 rios=1 wios=2 dbytes=9 dios=9\n8:0 rbytes=1 wbytes=2 rios=3 wios=4\n',
    'cpu.pressure': PRESSURE,
    'memory.pressure': PRESSURE,
    'io.pressure': PRESSURE,
  });
  const layout: CgroupLayout = { kind: 'v2', unified: join(folder, 'v2'), hierarchies: [] };
  const usage = usageReader(layout).read('/c');
  assert.deepEqual(usage?.cpu, {
    ...{ userNs: 10_000, systemNs: 20_000 },
    ...{ periods: 5, throttledPeriods: 2, throttledNs: 9000 },
  });
  assert.deepEqual(usage?.memory, {
    ...{ charged: 1000, inactiveFile: 200, anonymous: 300, cache: 500 },
    ...{ swap: 7, peak: 2000, oomKills: 4 },
  });
  assert.deepEqual(usage?.io, { readBytes: 11, writtenBytes: 22, reads: 4, writes: 6 });
  assert.equal(usage?.pids, 3);
  assert.deepEqual(usage?.pressure?.memory.some, { avg10: 1.5, avg60: 0.2, avg300: 0.05, totalUs: 1234 });
  assert.equal(usage?.pressure?.io.full.totalUs, 7);
  assert.equal(oomKills({ layout, path: '/c' }), 4);
});

test('on v1, with controllers missing', () => {
  group('memory', {
    'memory.usage_in_bytes': '1000\n',
    'memory.max_usage_in_bytes': '2000\n',
    'memory.stat': 'cache 1\nrss 2\ntotal_cache 500\ntotal_rss 300\ntotal_inactive_file 200\ntotal_swap 7\n',
    'memory.oom_control': 'oom_kill_disable 0\nunder_oom 0\noom_kill 4\n',
  });
  group('blkio', {
    'blkio.throttle.io_service_bytes_recursive': '254:0 Read 10\n254:0 Write 20\n254:0 Total 30\nTotal 30\n',
    'blkio.throttle.io_serviced_recursive': '254:0 Read 1\n254:0 Write 2\n8:0 Read 5\n',
  });
  const hierarchies = ['memory', 'blkio'].map((name) => ({ path: join(folder, name), controllers: [name] }));
  const layout: CgroupLayout = { kind: 'v1', hierarchies };
  const usage = usageReader(layout).read('/c');
  assert.deepEqual(usage?.memory, {
    ...{ charged: 1000, inactiveFile: 200, anonymous: 300, cache: 500 },
    ...{ swap: 7, peak: 2000, oomKills: 4 },
  });
  assert.deepEqual(usage?.io, { readBytes: 10, writtenBytes: 20, reads: 6, writes: 2 });
  assert.deepEqual([usage?.pids, usage?.cpu.userNs, usage?.pressure], [0, 0, undefined]);
  assert.equal(oomKills({ layout, path: '/c' }), 4);
  assert.equal(usageReader(layout).read('/gone'), undefined);
});
