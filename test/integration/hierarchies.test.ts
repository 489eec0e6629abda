/** Machines with other control groups than this one: fewer v1 controllers, none at all, and those of packets. */
import assert from 'node:assert/strict';
import { execFileSync, spawnSync } from 'node:child_process';
import { mkdtempSync, rmdirSync } from 'node:fs';
import { afterEach, test } from 'node:test';
import { testName } from '../harness/clean.ts';
import { type Host, startHost } from '../harness/host.ts';
import { cgroupMounts } from '../harness/leaks.ts';
import { api } from './deaths-ground.ts';
import { cgroupFile, IS_V2, inside, refused, tryInside, until } from './ground.ts';

const undo: (() => void)[] = [];
afterEach(() => {
  for (const step of undo.splice(0).reverse()) step();
});

const mount = (...args: string[]): void => void execFileSync('mount', args);

/** Takes hierarchies out of sight, in the mount namespace of this file alone. */
function hide(isHidden: (path: string) => boolean): void {
  for (const path of cgroupMounts().filter(isHidden)) {
    const [type, , options] = execFileSync('findmnt', ['-no', 'FSTYPE,SOURCE,FS-OPTIONS', path], {
      encoding: 'utf8',
    })
      .trim()
      .split(/\s+/);
    execFileSync('umount', [path]);
    const own = (options ?? '').split(',').filter((option) => !/^r[ow]$/.test(option));
    undo.push(() =>
      mount('-t', type ?? '', ...(own.length > 0 ? ['-o', own.join(',')] : []), 'cgroup', path),
    );
  }
}

/** A hierarchy of controllers that the machine has and uses nowhere. @returns whether it has them. */
function show(controllers: string): boolean {
  const path = mkdtempSync(`/tmp/${testName('hierarchy')}-`);
  undo.push(() => rmdirSync(path));
  if (spawnSync('mount', ['-t', 'cgroup', '-o', controllers, 'cgroup', path]).status !== 0) return false;
  undo.push(() => void execFileSync('umount', [path]));
  return true;
}

async function withHost(work: (host: Host) => Promise<void>): Promise<void> {
  const host = await startHost({ images: ['busybox'] });
  try {
    await work(host);
    await host.assertClean();
  } finally {
    await host.dispose();
  }
}

/** What works on every machine: a container with several processes, looked at, and gone with all of them. */
async function lifetime(host: Host): Promise<void> {
  await host.ok(['run', '-d', '--name', 'web', 'busybox', 'sh', '-c', 'sleep 1000 & sleep 1000']);
  assert.equal(await host.ok(['exec', 'web', 'echo', 'fine']), 'fine');
  assert.match(await host.ok(['top', 'web']), /sleep 1000[\s\S]*sleep 1000/);
  for await (const { stats } of api(host).tasks.watchTaskStats({ containers: ['web'], once: true }))
    assert.equal(stats.length, 1);
  await host.ok(['kill', 'web']);
  await host.ok(['rm', '-f', 'web']);
  // The host's disks stay closed.
  const open = "mknod /tmp/x b 7 3; (: </tmp/x) 2>&1 | grep -c 'not permitted'";
  assert.equal((await tryInside(host, open)).stdout, '1\n');
  assert.equal((await tryInside(host, open, ['--device-cgroup-rule', 'b 7:3 r'])).stdout, '0\n');
}

test('v1 without some controllers: what needs them is refused, all else works', { skip: IS_V2 }, async () => {
  hide((path) => /\/(?:blkio|pids|freezer|cpuset|unified)$/.test(path));
  await withHost(async (host) => {
    await lifetime(host);
    for (const [options, controller] of [
      [['--pids-limit', '9'], 'pids'],
      [['--cpuset-cpus', '0'], 'cpuset'],
      [['--blkio-weight', '300'], 'blkio'],
    ] as const)
      await refused(
        host,
        ['create', ...options, 'busybox', 'true'],
        new RegExp(
          `cannot set .*this machine has no ${controller} controller\\nhint: mount the v1 controller ${controller}`,
        ),
      );
    assert.equal(await inside(host, 'echo $?', ['-m', '64m', '--cpus', '0.5']), '0');
    await host.ok([
      'run',
      '-d',
      '--name',
      'web',
      '--pid',
      'host',
      'busybox',
      'sh',
      '-c',
      'sleep 1000 & sleep 1000',
    ]);
    await refused(
      host,
      ['pause', 'web'],
      /this machine has no freezer\nhint: mount the v1 controller freezer/,
    );
    // Nothing freezes it or knows its processes: it ends all the same, with those that the host would keep.
    await host.ok(['rm', '-f', 'web']);
  });
});

const UNIFIED = '/sys/fs/cgroup/unified';

test('cgroup2 without any controller', { skip: !cgroupMounts().includes(UNIFIED) }, async () => {
  hide((path) => path !== UNIFIED);
  // Below a group of its own, which has no controllers: those that no v1 hierarchy has stay with the machine.
  const own = mkdtempSync(`${UNIFIED}/${testName('cgroup2')}-`);
  undo.push(() => rmdirSync(own));
  mount('--bind', own, UNIFIED);
  undo.push(() => void execFileSync('umount', [UNIFIED]));
  await withHost(async (host) => {
    await lifetime(host);
    await refused(
      host,
      ['create', '-m', '64m', 'busybox', 'true'],
      /cannot set memory limit: .*no memory.max\nhint: /,
    );
    await host.ok(['run', '-d', '--name', 'web', 'busybox', 'sleep', '1000']);
    await host.ok(['pause', 'web']);
    await host.ok(['unpause', 'web']);
    await host.ok(['rm', '-f', 'web']);
  });
});

test('nothing that says which devices may be used: no container is made', { skip: IS_V2 }, async () => {
  hide((path) => !path.endsWith('/memory'));
  const rootfs = mkdtempSync(`/tmp/${testName('rootfs')}-`);
  undo.push(() => rmdirSync(rootfs));
  const host = await startHost();
  try {
    await refused(
      host,
      ['create', '--rootfs', rootfs, 'true'],
      /this machine has no devices controller.*\nhint: mount the v1 controller devices, or cgroup2/,
    );
  } finally {
    await host.dispose();
  }
});

/** Whether this runs in the machine's own network, as test/vm/cgroup-v1.test.ts does. */
const IS_FIRST = process.env['MYDOCKER_TEST_NETWORK'] === 'first';

test('packets with a class and a priority, huge pages', { skip: IS_V2 }, async (t) => {
  if (!show('net_cls') || !show('net_prio')) return t.diagnostic('not on this machine');
  // A machine may have it in cgroup2.
  const huge = show('hugetlb');
  await withHost(async (host) => {
    const rules = `table inet packets {
      chain out { type filter hook output priority 0; meta cgroup 1048577 counter; }
      chain in { type filter hook input priority 0; meta priority 0:5 counter; }
    }`;
    execFileSync('nft', ['-f', '-'], { input: rules });
    undo.push(() => void spawnSync('nft', ['delete', 'table', 'inet', 'packets']));
    host.remember();
    const options = [
      '--network',
      'host',
      '--net-classid',
      '0x100001',
      '--net-prio',
      'lo:5',
      ...(huge ? ['--hugepages-limit', '2MB:4m'] : []),
    ];
    await host.ok([
      'run',
      '-d',
      '--name',
      'web',
      ...options,
      'busybox',
      'sh',
      '-c',
      'ping -c 3 127.0.0.1; sleep 1000',
    ]);
    await host.ok(['exec', 'web', 'ping', '-c', '2', '127.0.0.1']);
    await inside(host, 'ping -c 1 127.0.0.1', ['--network', 'host']);
    const counted = (): number[] => {
      const told = execFileSync('nft', ['list', 'table', 'inet', 'packets'], { encoding: 'utf8' });
      return Array.from(told.matchAll(/packets (\d+)/g), ([, count]) => Number(count));
    };
    // Requests of this container alone; answers are the kernel's own. It gives priorities to packets of the machine's
    // own interfaces only (init_net in netprio_cgroup.c).
    const wanted = [5, IS_FIRST ? 5 : 0];
    await until(counted, (counts) => wanted.every((count, index) => (counts[index] ?? 0) >= count));
    assert.deepEqual(counted(), wanted);
    assert.match(await cgroupFile(host, 'web', 'net_prio.ifpriomap', ''), /^lo 5$/m);
    if (huge) assert.equal(await cgroupFile(host, 'web', 'hugetlb.2MB.limit_in_bytes', ''), String(4 << 20));
    await host.ok(['update', '--net-classid', '7', 'web']);
    assert.equal(await cgroupFile(host, 'web', 'net_cls.classid', ''), '7');
    await host.ok(['rm', '-f', 'web']);
  });
});
