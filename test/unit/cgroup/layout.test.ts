import assert from 'node:assert/strict';
import { test } from 'node:test';
import {
  cgroupFolders,
  cgroupMounts,
  hierarchyOf,
  parseCgroupLayout,
  readCgroupLayout,
} from '../../../server/cgroup/layout.ts';

const OTHERS = [
  '22 28 0:21 / /sys rw,nosuid,nodev,noexec,relatime shared:7 - sysfs sysfs rw',
  '28 1 8:1 / / rw,relatime shared:1 - ext4 /dev/sda1 rw,errors=remount-ro',
  '29 28 0:25 / /tmp/cgroup2\\040fake rw - tmpfs cgroup2 rw,memory',
  '30 28 0:26 / /tmp/odd rw - fuse.cgroup cgroup rw,cpu',
];

const V2 = [
  '31 22 0:27 / /sys/fs/cgroup rw,nosuid,nodev,noexec,relatime shared:9 - cgroup2 cgroup2 rw,nsdelegate,memory_recursiveprot',
];

const V1 = [
  '31 22 0:27 / /sys/fs/cgroup ro,nosuid,nodev,noexec shared:9 - tmpfs tmpfs ro,mode=755',
  '32 31 0:28 / /sys/fs/cgroup/systemd rw,nosuid shared:10 - cgroup cgroup rw,xattr,release_agent=/lib/x,name=systemd',
  '33 31 0:29 / /sys/fs/cgroup/cpu,cpuacct rw,nosuid shared:11 - cgroup cgroup rw,cpu,cpuacct',
  '34 31 0:30 / /sys/fs/cgroup/memory rw,nosuid shared:12 master:3 propagate_from:2 - cgroup cgroup rw,memory',
  '35 31 0:31 / /sys/fs/cgroup/net_cls,net_prio rw,nosuid shared:13 - cgroup cgroup rw,net_cls,net_prio',
  '36 31 0:32 / /sys/fs/cgroup/freezer rw,nosuid - cgroup cgroup rw,freezer',
];

test('v2 alone', () => {
  const layout = parseCgroupLayout([...OTHERS, ...V2].join('\n'));
  assert.deepEqual(layout, { kind: 'v2', unified: '/sys/fs/cgroup', hierarchies: [] });
  assert.equal(hierarchyOf(layout, 'memory'), undefined);
  assert.deepEqual(cgroupFolders(layout, '/a/b'), ['/sys/fs/cgroup/a/b']);
  assert.deepEqual(cgroupMounts(layout), []);
});

test('v1 alone, with controllers that share a hierarchy', () => {
  const layout = parseCgroupLayout([...OTHERS, ...V1].join('\n'));
  assert.equal(layout.kind, 'v1');
  assert.equal(layout.unified, undefined);
  assert.deepEqual(
    layout.hierarchies.map(({ path, controllers }) => [
      path.slice('/sys/fs/cgroup/'.length),
      controllers.join('+'),
    ]),
    [
      ['systemd', 'name=systemd'],
      ['cpu,cpuacct', 'cpu+cpuacct'],
      ['memory', 'memory'],
      ['net_cls,net_prio', 'net_cls+net_prio'],
      ['freezer', 'freezer'],
    ],
  );
  for (const controller of ['cpu', 'cpuacct'])
    assert.equal(hierarchyOf(layout, controller), '/sys/fs/cgroup/cpu,cpuacct');
  assert.equal(hierarchyOf(layout, 'pids'), undefined);
  assert.deepEqual(cgroupFolders(layout, '/x').at(2), '/sys/fs/cgroup/memory/x');
  assert.deepEqual(cgroupMounts(layout).slice(0, 2), [
    { name: 'systemd', option: 'name=systemd' },
    { name: 'cpu,cpuacct', option: 'cpu,cpuacct' },
  ]);
});

test('hybrid: both, the unified one last', () => {
  const layout = parseCgroupLayout(
    [...OTHERS, ...V1, '40 31 0:40 / /sys/fs/cgroup/unified rw shared:20 - cgroup2 cgroup2 rw'].join('\n'),
  );
  assert.equal(layout.kind, 'hybrid');
  assert.equal(layout.unified, '/sys/fs/cgroup/unified');
  assert.equal(layout.hierarchies.length, 5);
  assert.equal(cgroupFolders(layout, '/x').at(-1), '/sys/fs/cgroup/unified/x');
});

test('paths may hold spaces, and what else mountinfo escapes', () => {
  const layout = parseCgroupLayout(
    [
      '31 22 0:27 / /mnt/c\\040group\\011two\\134x\\012y rw - cgroup cgroup rw,memory',
      '32 22 0:28 / /mnt/u\\040v rw - cgroup2 cgroup2 rw',
    ].join('\n'),
  );
  assert.equal(hierarchyOf(layout, 'memory'), '/mnt/c group\ttwo\\x\ny');
  assert.equal(layout.unified, '/mnt/u v');
});

test('a hierarchy that is mounted twice is used where it was mounted first', () => {
  const layout = parseCgroupLayout(
    [
      '31 22 0:27 / /one rw - cgroup cgroup rw,memory',
      '32 22 0:27 / /two rw - cgroup cgroup rw,memory',
      '33 22 0:28 / /three rw - cgroup2 cgroup2 rw',
      '34 22 0:28 / /four rw - cgroup2 cgroup2 rw',
    ].join('\n'),
  );
  assert.deepEqual(
    layout.hierarchies.map(({ path }) => path),
    ['/one'],
  );
  assert.equal(layout.unified, '/three');
});

test('a machine without any is told what to mount', () => {
  for (const text of ['', OTHERS.join('\n'), 'junk\n - \n- cgroup'])
    assert.throws(() => parseCgroupLayout(text), /mount cgroup2/);
});

test('this machine has one', () => {
  const layout = readCgroupLayout();
  assert.ok(cgroupFolders(layout, '').length > 0);
});
