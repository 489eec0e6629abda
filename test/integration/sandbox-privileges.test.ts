/** What a process may do: capabilities, hidden and read-only paths, devices, identities. @vm */
import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { copyFileSync, existsSync, mkdirSync, readFileSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { after, afterEach, before, test } from 'node:test';
import { type Host, startHost } from '../harness/host.ts';
import {
  assertClean,
  IS_V2,
  importEntries,
  inside,
  PROBE,
  refused,
  tryInside,
  WITH_PROBE,
} from './ground.ts';

let host: Host;
before(async () => {
  host = await startHost({ images: ['busybox'] });
});
afterEach(() => assertClean(host));
after(() => host.dispose());

const CAPS = 'grep Cap /proc/self/status';
const caps = (effective: string, bounding = '00000000a80425fb'): string =>
  [
    'CapInh:\t0000000000000000',
    `CapPrm:\t${effective}`,
    `CapEff:\t${effective}`,
    `CapBnd:\t${bounding}`,
    'CapAmb:\t0000000000000000',
  ].join('\n');

test('Docker’s fourteen capabilities for root, none for others, the same in an exec', async () => {
  assert.equal(await inside(host, CAPS), caps('00000000a80425fb'));
  for (const user of ['1000', 'user', '1000:0'])
    assert.equal(await inside(host, CAPS, ['-u', user]), caps('0000000000000000'));
  await host.ok(['run', '-d', '--name', 'caps', 'busybox', 'sleep', '1000']);
  assert.equal(await host.ok(['exec', 'caps', 'sh', '-c', CAPS]), caps('00000000a80425fb'));
  assert.equal(await host.ok(['exec', '-u', '1000', 'caps', 'sh', '-c', CAPS]), caps('0000000000000000'));
  await host.ok(['rm', '-f', 'caps']);
});

test('--privileged: all that the server has, for what is executed in it too, and only where it was asked for', async () => {
  const all = /^CapPrm:\s*(\S+)$/m.exec(readFileSync(`/proc/${host.serverPid}/status`, 'utf8'))?.[1] ?? '';
  const group = IS_V2 ? '/sys/fs/cgroup' : '/sys/fs/cgroup/pids';
  const script = [
    CAPS,
    'echo here >/proc/sys/kernel/domainname && cat /proc/sys/kernel/domainname',
    `mkdir ${group}/below && rmdir ${group}/below && echo groups`,
    'mount -t tmpfs none /tmp && grep -c " /tmp tmpfs " /proc/mounts',
    // Nobody's device: who may open it is told that nothing is behind.
    'mknod /nobody c 250 250; cat /nobody 2>&1 | grep -o "No such device.*"',
    'grep -cE "^[^ ]+ /(proc|sys)/[^ ]+ [^ ]+ ro," /proc/mounts',
  ].join('\n');
  const nodes = 'find /dev -xdev -type b -o -xdev -type c | sort';
  const ofHost = (): string[] => execFileSync('sh', ['-c', nodes], { encoding: 'utf8' }).trim().split('\n');
  const before = ofHost();
  await host.ok(['run', '-d', '--privileged', '--name', 'caps', 'busybox', 'sleep', '1000']);
  const [status, rest] = [caps(all, all), ['here', 'groups', '1', 'No such device or address', '0']];
  assert.equal(
    (await host.cli(['exec', 'caps', 'sh', '-c', script])).stdout,
    [status, ...rest, ''].join('\n'),
  );
  assert.equal(
    await host.ok(['exec', '-u', '1000', 'caps', 'sh', '-c', CAPS]),
    caps('0000000000000000', all),
  );
  const inside = (await host.ok(['exec', 'caps', 'sh', '-c', nodes])).split('\n');
  // Somebody may have made or removed a disk meanwhile.
  const missing = ofHost().filter(
    (path) => before.includes(path) && !inside.includes(path) && !/^\/dev\/(console|ptmx)$/.test(path),
  );
  assert.deepEqual(missing, []);
  // It is recorded, and says so; a server that comes later knows.
  await host.restart();
  assert.equal(await host.ok(['inspect', '-f', '{{.HostConfig.Privileged}}', 'caps']), 'true');
  await host.ok(['restart', '-t', '0', 'caps']);
  assert.equal(await host.ok(['exec', 'caps', 'sh', '-c', CAPS]), status);
  await host.ok(['rm', '-f', 'caps']);
  const plan = await host.ok(['run', '--explain', '--privileged', 'busybox', 'true']);
  assert.doesNotMatch(plan, /masked|read-only/);
  assert.match(await host.ok(['run', '--explain', 'busybox', 'true']), /\(masked\)/);
});

test('what these capabilities forbid', async () => {
  const denied = [
    'mount -t tmpfs x /tmp',
    'mount -t cgroup -o rdma x /tmp',
    'mount -o remount,rw /sys',
    'mount -o bind / /tmp',
    'umount /proc/kcore',
    'hostname other',
    'ip link set lo down',
    'unshare -m true',
    'chroot /proc/1/root unshare -U true && unshare -UrmC mount -t cgroup -o rdma x /tmp',
    'swapoff -a; swapon /x',
    'adjtimex -q -f 0',
    'dmesg -c',
    'renice -n -5 1',
    'echo 1 >/proc/sys/kernel/core_pattern',
    'echo b >/proc/sysrq-trigger',
    'echo -17 >/proc/1/oom_score_adj; echo -1000 >/proc/self/oom_score_adj',
    'insmod /bin/busybox',
    'setpriv --inh-caps +sys_admin true',
  ];
  const script = denied.map((command, index) => `( ${command} ) >/dev/null 2>&1 && echo ALLOWED ${index}`);
  const { stdout } = await tryInside(host, `${script.join('\n')}\necho end`);
  assert.equal(stdout, 'end\n', denied[Number(/\d+/.exec(stdout)?.[0])]);
});

test('paths that are hidden: files are /dev/null, folders are empty and closed', async () => {
  const files = [
    'interrupts',
    'kcore',
    'keys',
    'latency_stats',
    'sched_debug',
    'timer_list',
    'timer_stats',
  ].map((name) => `/proc/${name}`);
  const folders = [
    '/proc/acpi',
    '/proc/asound',
    '/proc/scsi',
    '/sys/firmware',
    '/sys/devices/virtual/powercap',
  ];
  let seen = 0;
  const script = `for f in ${files.join(' ')}; do [ -e $f ] && stat -c '%n %t:%T' $f && wc -c <$f; done
    for d in ${folders.join(' ')}; do [ -d $d ] && echo "$d $(ls -A $d | wc -l)" && mkdir $d/x; done; true`;
  const { stdout, stderr } = await tryInside(host, script);
  for (const path of [...files, ...folders].filter((path) => existsSync(path))) {
    seen += 1;
    assert.match(stdout, new RegExp(`^${path} ${files.includes(path) ? '1:3\n0' : '0'}$`, 'm'), path);
    if (folders.includes(path)) assert.match(stderr, new RegExp(`'${path}/x': Read-only file system`));
  }
  assert.ok(seen >= 4, stdout);
});

test('paths that are read-only', async () => {
  for (const path of ['/proc/bus', '/proc/fs', '/proc/irq', '/proc/sys', '/proc/sysrq-trigger'].filter(
    (path) => existsSync(path),
  )) {
    const { stdout } = await tryInside(host, `grep " ${path} " /proc/self/mountinfo | grep -c " ro,"`);
    assert.equal(stdout, '1\n', path);
  }
  const writes = [
    '/proc/sys/kernel/core_pattern',
    '/proc/sys/vm/swappiness',
    '/proc/sys/net/ipv4/ip_forward',
    '/proc/sysrq-trigger',
  ];
  for (const path of writes.filter((path) => existsSync(path))) {
    const before = path.includes('trigger') ? '' : readFileSync(path, 'utf8');
    assert.match((await tryInside(host, `echo 1 >${path}`)).stderr, /Read-only file system/, path);
    assert.equal(path.includes('trigger') ? '' : readFileSync(path, 'utf8'), before);
  }
});

test('a device node can be made and not opened, but for the allowed ones', async () => {
  const probe = async (...nodes: readonly string[]): Promise<string[]> =>
    (await inside(host, nodes.map((node) => `/probe node ${node}`).join('\n'), WITH_PROBE)).split('\n');
  const denied = ['b 8 0', 'b 254 0', 'b 7 0', 'c 1 1', 'c 1 2', 'c 1 11', 'c 10 229', 'c 4 0', 'c 10 232'];
  assert.deepEqual(
    await probe(...denied),
    denied.map(() => 'EPERM'),
  );
  const allowed = ['c 1 3', 'c 1 5', 'c 1 7', 'c 1 8', 'c 1 9'];
  assert.deepEqual(
    await probe(...allowed),
    allowed.map(() => 'ok'),
  );
  // Allowed, though nobody may be behind it; reading it takes an interface.
  assert.match((await probe('c 10 200')).join(), /^(EBADFD|ENXIO|ENODEV|ENOENT|ok|EAGAIN)$/);
  const exec = async (): Promise<string> => host.ok(['exec', 'nodes', '/probe', 'node', 'b', '8', '0']);
  await host.ok(['run', '-d', '--name', 'nodes', ...WITH_PROBE, 'busybox', 'sleep', '1000']);
  assert.equal(await exec(), 'EPERM');
  await host.ok(['rm', '-f', 'nodes']);
});

test('a device node on a volume is no way to the host either', async () => {
  const folder = join(host.folder, 'tmp/nodes');
  mkdirSync(folder);
  assert.match(
    (await tryInside(host, 'mknod /v/disk b 8 0 && cat /v/disk', ['-v', `${folder}:/v`])).stderr,
    /Operation not permitted/,
  );
  rmSync(folder, { recursive: true });
});

test('groups are exactly those of the image and the option', async () => {
  const ids = (...options: string[]): Promise<string> =>
    host.ok(['run', '--rm', ...WITH_PROBE, ...options, 'busybox', '/probe', 'ids']);
  assert.equal(await ids(), '0 0 0 0 0 0 groups 0');
  assert.equal(await ids('-u', 'user'), '1000 1000 1000 1000 1000 1000 groups 50 1000');
  assert.equal(await ids('-u', '1000:1001'), '1000 1000 1000 1001 1001 1001 groups 1001');
  assert.equal(await ids('-u', '4242'), '4242 4242 4242 0 0 0 groups 0');
});

test('a setuid program works, and gains no more than the container has', async () => {
  await importEntries(host, 'setuid', [{ name: 'suid', mode: 0o4755, uid: 0, data: readFileSync(PROBE) }]);
  assert.equal(
    await host.ok(['run', '--rm', '-u', '1000', 'setuid', '/suid', 'ids']),
    '1000 0 0 0 0 0 groups 0'.replace('0 0 0 groups 0', '1000 1000 1000 groups 50 1000'),
  );
  await host.ok(['rmi', 'setuid']);
});

test('a number is never looked up as a name', async () => {
  const passwd = [
    'root:x:0:0::/root:/bin/sh',
    '1000:x:0:0::/:/bin/sh',
    '99999999999:x:0:0::/:/bin/sh',
    '2147483648:x:0:0::/:/bin/sh',
    'broken:x:abc:0::/:/bin/sh',
    'toolarge:x:4294967296:0::/:/bin/sh',
    '',
  ].join('\n');
  await importEntries(host, 'numbers', [{ name: 'etc/passwd', data: passwd }]);
  assert.equal(await host.ok(['run', '--rm', '-u', '1000', 'numbers', 'id', '-u']), '1000');
  for (const user of ['99999999999', '2147483648', '4294967296', 'broken', 'toolarge', '4294967295:0']) {
    await refused(host, ['run', '--rm', '-u', user, 'numbers', 'id', '-u'], /user/);
  }
  await host.ok(['run', '-d', '--name', 'nn', 'numbers', 'sleep', '1000']);
  assert.equal(await host.ok(['exec', '-u', '1000', 'nn', 'id', '-u']), '1000');
  await refused(host, ['exec', '-u', '99999999999', 'nn', 'id', '-u'], /user/);
  await host.ok(['rm', '-f', 'nn']);
  for (const user of ['2147483648', '99999999999']) {
    await importEntries(host, 'by-image', [{ name: 'etc/passwd', data: passwd }], [`USER ${user}`]);
    await refused(host, ['run', '--rm', 'by-image', 'id', '-u'], /user/);
    await host.ok(['rmi', 'by-image']);
  }
  await host.ok(['rmi', 'numbers']);
});

test('a user file that is no file neither hangs nor is read', async () => {
  const files = [
    { name: 'etc/passwd', type: '6' },
    { name: 'etc/passwd', type: '3', major: 1, minor: 5 },
    { name: 'etc/passwd', type: '2', link: '/proc/kmsg' },
    { name: 'etc/passwd/', mode: 0o755 },
    { name: 'etc/passwd', data: 'x'.repeat(11 << 20) },
    { name: 'etc/group', type: '6' },
  ];
  for (const file of files) {
    await importEntries(host, 'odd', [file]);
    const { code, stderr } = await host.cli(['run', '--rm', '-u', 'user', 'odd', 'true']);
    assert.ok(
      code === 125 && /passwd|group|cannot find user/.test(stderr),
      `${JSON.stringify({ ...file, data: '' })}: ${code} ${stderr}`,
    );
    await host.ok(['rmi', 'odd']);
  }
});

test('a process that the container made to look like ours is just a process', async () => {
  const folder = join(host.folder, 'tmp/own');
  mkdirSync(folder);
  copyFileSync(PROBE, join(folder, 'mydocker-shim'));
  await host.ok([
    'run',
    '-d',
    '--name',
    'fake',
    '-v',
    `${folder}:/v`,
    'busybox',
    '/v/mydocker-shim',
    'sleep',
  ]);
  await host.restart();
  assert.match(await host.ok(['ps']), /fake +busybox +running/);
  await host.ok(['rm', '-f', 'fake']);
  rmSync(folder, { recursive: true });
});
