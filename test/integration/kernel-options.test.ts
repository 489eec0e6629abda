/** What a container is given of the kernel: ulimits, parameters, devices, score, place in the cgroup tree. @vm */
import assert from 'node:assert/strict';
import { execFileSync, spawn } from 'node:child_process';
import { once } from 'node:events';
import { chmodSync, chownSync, existsSync, mkdirSync, readFileSync, rmdirSync, writeFileSync } from 'node:fs';
import { constants as osConstants } from 'node:os';
import { join } from 'node:path';
import { after, afterEach, before, test } from 'node:test';
import { cgroupFolders, readCgroupLayout } from '../../server/cgroup/layout.ts';
import { CgroupParents } from '../../server/cgroup/parent.ts';
import { removeCgroups } from '../harness/clean.ts';
import { type Host, startHost } from '../harness/host.ts';
import { cgroupMounts } from '../harness/leaks.ts';
import { assertClean, cgroupFile, IS_V2, inside, outputOf, refused, tryInside, until } from './ground.ts';

let host: Host;
before(async () => {
  host = await startHost({ images: ['busybox'] });
});
afterEach(() => assertClean(host));
after(() => host.dispose());

const create = (...options: string[]): string[] => ['create', ...options, 'busybox', 'true'];

test('ulimits, for the container and what is executed in it', async () => {
  const options = ['nofile=100:200', 'core=0', 'nproc=50', 'fsize=8192'].flatMap((each) => [
    '--ulimit',
    each,
  ]);
  await host.ok(['run', '-d', '--name', 'web', ...options, 'busybox', 'sleep', '1000']);
  for (const pid of ['1', 'self']) {
    const limits = await host.ok(['exec', 'web', 'cat', `/proc/${pid}/limits`]);
    assert.match(limits, /^Max open files +100 +200 /m);
    assert.match(limits, /^Max core file size +0 +0 /m);
    assert.match(limits, /^Max processes +50 +50 /m);
  }
  const write = await host.cli(['exec', 'web', 'dd', 'if=/dev/zero', 'of=/file', 'bs=1k', 'count=100']);
  assert.equal(write.code, 128 + osConstants.signals.SIGXFSZ);
  assert.equal(await host.ok(['exec', 'web', 'stat', '-c', '%s', '/file']), '8192');
  assert.equal(
    await host.ok([
      'inspect',
      '-f',
      '{{range .HostConfig.Ulimits}}{{.Name}}={{.Soft}}:{{.Hard}} {{end}}',
      'web',
    ]),
    'nofile=100:200 core=0:0 nproc=50:50 fsize=8192:8192 ',
  );
  await host.ok(['rm', '-f', 'web']);
  for (const [ulimit, why] of [
    ['nofile', /invalid value/],
    ['nofile=5:4', /soft limit is above the hard one/],
    ['nofiles=5', /no such limit/],
    ['nofile=-2', /invalid value/],
    ['nofile=-1:5', /soft limit is above/],
  ] as const)
    await refused(host, create('--ulimit', ulimit), why);
});

test('parameters of its own namespaces, and of no others', async () => {
  const before = readFileSync('/proc/sys/net/core/somaxconn', 'utf8');
  const script =
    'cd /proc/sys && cat net/core/somaxconn kernel/msgmax fs/mqueue/msg_max net/ipv4/conf/eth0/forwarding; ping -c 1 -W 1 127.0.0.1 >/dev/null; echo $?';
  const options = [
    'net.core.somaxconn=777',
    'kernel.msgmax=9000',
    'fs/mqueue/msg_max=11',
    'net.ipv4.conf.eth0.forwarding=0',
    'net.ipv4.icmp_echo_ignore_all=1',
  ];
  assert.equal(
    await inside(
      host,
      script,
      options.flatMap((each) => ['--sysctl', each]),
    ),
    '777\n9000\n11\n0\n1',
  );
  assert.equal(readFileSync('/proc/sys/net/core/somaxconn', 'utf8'), before);
  // Over a default one.
  assert.equal(
    await inside(host, 'cat /proc/sys/net/ipv4/ip_unprivileged_port_start', [
      '--sysctl',
      'net.ipv4.ip_unprivileged_port_start=500',
    ]),
    '500',
  );
  for (const [sysctl, why] of [
    ['kernel.core_pattern=x', /whole host/],
    ['kernel.shm_rmid_forced=1+kernel.core_pattern=|/x', /cannot start|whole host/],
    ['net/ipv4/../../kernel/core_pattern=x', /whole host/],
    ['net..core=1', /whole host/],
    ['net.core.nothing=1', /no such parameter/],
    ['net.core.somaxconn=1\nx', /not one line/],
    ['net.core.somaxconn', /invalid value/],
    ['vm.swappiness=1', /whole host/],
  ] as const)
    if (!sysctl.includes('+')) await refused(host, create('--sysctl', sysctl), why);
  await refused(
    host,
    create('--net', 'host', '--sysctl', 'net.core.somaxconn=1'),
    /namespace is not the container’s own/,
  );
  await refused(
    host,
    create('--ipc', 'host', '--sysctl', 'kernel.msgmax=1'),
    /namespace is not the container’s own/,
  );
  await refused(
    host,
    ['run', '--rm', '--sysctl', 'kernel.shm_rmid_forced=1+kernel.core_pattern=|/x', 'busybox', 'true'],
    /set sysctl kernel.shm_rmid_forced: EINVAL/,
  );
});

/** A node of the host's, at a place of the test's own. Whether the driver is there is another question than who may. */
function node(name: string, type: string, major: number, minor: number): string {
  const path = join(host.folder, name);
  execFileSync('mknod', [path, type, String(major), String(minor)]);
  chmodSync(path, 0o640);
  chownSync(path, 1234, 5678);
  return path;
}

const OPEN = '(: <"$0") 2>&1 | grep -c "not permitted"';

test('devices of the host, as on the host, and only with the access that was given', async () => {
  const block = node('block', 'b', 7, 3);
  const options = ['--device', `${block}:/dev/deep/x:r`];
  const script = `stat -c "%a %u %g %t %T %F" /dev/deep/x; sh -c '${OPEN}' /dev/deep/x;
    (: >/dev/deep/x) 2>&1 | grep -c "not permitted"`;
  assert.deepEqual((await tryInside(host, script, options)).stdout.split('\n'), [
    '640 1234 5678 7 3 block special file',
    '0',
    '1',
    '',
  ]);
  // An exec is under the same rules; a neighbour is not allowed what this one is.
  await host.ok(['run', '-d', '--name', 'web', ...options, 'busybox', 'sleep', '1000']);
  assert.equal((await host.cli(['exec', 'web', 'sh', '-c', OPEN, '/dev/deep/x'])).stdout, '0\n');
  assert.equal(
    (await host.cli(['exec', 'web', 'sh', '-c', `mknod /dev/y b 7 4; ${OPEN}`, '/dev/y'])).stdout,
    '1\n',
  );
  await host.ok(['rm', '-f', 'web']);
  // A rule alone allows; the node is the container's to make.
  for (const [rule, count] of [
    ['b 7:3 rm', '0'],
    ['b 7:* r', '0'],
    ['a *:* rwm', '0'],
    ['c 7:3 r', '1'],
    ['b 7:3 w', '1'],
  ] as const)
    assert.equal(
      (
        await tryInside(host, `mknod /dev/y b 7 3; set -- ; sh -c '${OPEN}' /dev/y`, [
          '--device-cgroup-rule',
          rule,
        ])
      ).stdout,
      `${count}\n`,
      rule,
    );
  // A folder is all that is in it.
  mkdirSync(join(host.folder, 'many'));
  node('many/a', 'c', 1, 3);
  node('many/b', 'c', 300, 70000);
  assert.equal(
    await inside(host, 'cd /dev/all && stat -c "%n %t %T" *', [
      '--device',
      `${join(host.folder, 'many')}:/dev/all`,
    ]),
    'a 1 3\nb 12c 11170',
  );
  for (const [device, why] of [
    ['/dev/nothing-here', /the host has no such device/],
    ['/etc/passwd:/dev/x', /the host has no such device/],
    ['dev/null', /invalid value/],
    ['/dev/null:/etc/passwd', /not below \/dev/],
    ['/dev/null:/dev/pts/0', /taken there/],
    ['/dev/null:/dev/../etc/x', /not below \/dev/],
    ['/dev/null:/dev/x:q', /invalid value/],
  ] as const)
    await refused(host, create('--device', device), why);
  await refused(host, create('--device-cgroup-rule', 'c 1:3'), /invalid value/);
});

test('which devices may be used changes while a container runs', async () => {
  const block = node('other', 'b', 7, 3);
  await host.ok(['run', '-d', '--name', 'web', '--device', `${block}:/dev/x:r`, 'busybox', 'sleep', '1000']);
  const denied = async (): Promise<string> =>
    (await host.cli(['exec', 'web', 'sh', '-c', `for d in x y; do sh -c '${OPEN}' /dev/$d; done`])).stdout;
  await host.ok(['exec', 'web', 'mknod', '/dev/y', 'b', '7', '4']);
  assert.equal(await denied(), '0\n1\n');
  const change = (...options: string[]): string[] => ['update', ...options, 'web'];
  await host.ok(change('--device-cgroup-rule', 'b 7:4 rm', '--pids-limit', '50'));
  assert.equal(await denied(), '0\n0\n');
  // What the device option gave can be taken away too, and nothing of it comes back with a new start.
  await host.ok(change('--device-cgroup-rule-rm', 'b 7:3 r', '--device-cgroup-rule', 'c 10:229 r'));
  assert.equal(await denied(), '1\n0\n');
  await host.restart();
  await host.ok(change('--device-cgroup-rule-rm', 'b 7:4 r'));
  assert.equal(await denied(), '1\n1\n');
  await host.ok(['restart', '-t', '0', 'web']);
  await host.ok(['exec', 'web', 'mknod', '/dev/y', 'b', '7', '4']);
  assert.equal(await denied(), '1\n1\n');
  // All or nothing.
  await refused(host, change('--device-cgroup-rule-rm', 'c 136:0 rw'), /an exception of c 136:\*/);
  await refused(
    host,
    change('--device-cgroup-rule', 'b 7:3 r', '--memory-reservation', '1k'),
    /memory reservation/,
  );
  assert.equal(await denied(), '1\n1\n');
  await host.ok(['rm', '-f', 'web']);
});

test('the score by which the kernel chooses whom to kill', async () => {
  await host.ok(['run', '-d', '--name', 'web', '--oom-score-adj', '500', 'busybox', 'sleep', '1000']);
  assert.equal(
    await host.ok(['exec', 'web', 'cat', '/proc/1/oom_score_adj', '/proc/self/oom_score_adj']),
    '500\n500',
  );
  await host.ok(['rm', '-f', 'web']);
  await refused(host, create('--oom-score-adj', '1001'), /-1000 to 1000/);
  const server = readFileSync(`/proc/${host.serverPid}/status`, 'utf8');
  const [, permitted = '0'] = /^CapPrm:\s*(\w+)/m.exec(server) ?? [];
  // CAP_SYS_RESOURCE
  const mayLower = (BigInt(`0x${permitted}`) >> 24n) & 1n;
  if (mayLower === 1n)
    assert.equal(await inside(host, 'cat /proc/self/oom_score_adj', ['--oom-score-adj', '-500']), '-500');
  else
    await refused(
      host,
      create('--oom-score-adj', '-1000'),
      /may not lower it\nhint: give the server CAP_SYS_RESOURCE/,
    );
});

test('a cgroup below another parent, made where it is missing and gone with the last container', async () => {
  const parent = `${host.cgroupParent}-other/deep`;
  const [first = ''] = cgroupMounts();
  const there = (path: string): boolean => existsSync(join(first, path));
  await host.ok([
    'run',
    '-d',
    '--name',
    'c1',
    '--cgroup-parent',
    parent,
    '-m',
    '64m',
    'busybox',
    'sleep',
    '1000',
  ]);
  await host.ok(['run', '-d', '--name', 'c2', '--cgroup-parent', parent, 'busybox', 'sleep', '1000']);
  const [{ run }] = JSON.parse(await host.ok(['inspect', '--format', 'api', 'c1']));
  assert.ok(run.cgroupPath.startsWith(`${parent}/`));
  assert.equal(await host.ok(['inspect', '-f', '{{.HostConfig.CgroupParent}}', 'c1']), parent);
  await host.ok(['rm', '-f', 'c1']);
  assert.ok(there(parent));
  // Another server knows what was made.
  await host.restart();
  await host.ok(['rm', '-f', 'c2']);
  assert.ok(!there(parent) && !there(`${host.cgroupParent}-other`));
  // A start that fails leaves none.
  const bad = ['run', '--rm', '--cgroup-parent', parent, 'busybox', '/nothing'];
  assert.equal((await host.cli(bad)).code, 127);
  assert.ok(!there(`${host.cgroupParent}-other`));
  // One that was there stays.
  for (const mount of cgroupMounts()) mkdirSync(join(mount, `${host.cgroupParent}-mine`));
  try {
    await host.ok(['run', '--rm', '--cgroup-parent', `${host.cgroupParent}-mine`, 'busybox', 'true']);
    assert.ok(there(`${host.cgroupParent}-mine`));
  } finally {
    for (const mount of cgroupMounts()) rmdirSync(join(mount, `${host.cgroupParent}-mine`));
  }
  for (const path of ['../x', '/a/../b/..', '/a/../..', '/', 'a b', '/.x', '/a\nb'])
    await refused(host, create('--cgroup-parent', path), /cgroup parent/);
});

test('below a parent that is limited: what is more is refused before anything is made, the rest can be changed', async () => {
  const mount = cgroupMounts().find((path) => existsSync(join(path, 'cpu.cfs_quota_us')));
  // On v2 a group may say more than the one above it; it only does not get it.
  if (mount === undefined) return;
  const parent = `${host.cgroupParent}-half`;
  const folder = join(mount, parent);
  mkdirSync(folder);
  try {
    writeFileSync(join(folder, 'cpu.cfs_quota_us'), '50000');
    await refused(
      host,
      create('--cgroup-parent', parent, '--cpus', '1'),
      /cannot set cpu limit: .*\nhint: .*a group above/,
    );
    assert.equal(await host.ok(['ps', '-aq']), '');
    const time = ['--cpu-period', '100000', '--cpu-quota', '50000'];
    await host.ok([
      'run',
      '-d',
      '--name',
      'half',
      '--cgroup-parent',
      parent,
      ...time,
      'busybox',
      'sleep',
      '1000',
    ]);
    for (const [period, quota] of [
      ['50000', '25000'],
      ['100000', '50000'],
    ] as const) {
      await host.ok(['update', '--cpu-period', period, '--cpu-quota', quota, 'half']);
      assert.equal(await cgroupFile(host, 'half', 'cpu.cfs_quota_us', ''), quota);
    }
    const { stderr } = await host.cli(['update', '--cpu-quota', '80000', 'half']);
    assert.match(stderr, /LIMIT_REFUSED|cannot set cpu limit/);
    assert.equal(await cgroupFile(host, 'half', 'cpu.cfs_quota_us', ''), '50000');
    await host.ok(['rm', '-f', 'half']);
  } finally {
    for (const path of cgroupMounts()) if (existsSync(join(path, parent))) rmdirSync(join(path, parent));
  }
});

test('the parent of all is made again where somebody has swept empty groups away', async () => {
  await host.ok(['run', '--rm', 'busybox', 'true']);
  removeCgroups(host.cgroupParent);
  await host.ok(['run', '--rm', '-m', '64m', 'busybox', 'true']);
  // In one hierarchy only, as systemd does on v1.
  const layout = readCgroupLayout();
  const path = `${host.cgroupParent}-swept`;
  const parents = new CgroupParents(layout, path, join(host.folder, 'parents.json'));
  for (const folder of cgroupFolders(layout, path)) {
    parents.prepare();
    rmdirSync(folder);
  }
  parents.prepare();
  for (const folder of cgroupFolders(layout, path)) rmdirSync(folder);
});

/** Removes a folder as soon as it is there and empty, as systemd does at times, and says so. */
const SWEEP = `
  const { rmdirSync } = require('node:fs');
  require('node:os').setPriority(-20);
  process.stdout.write('ready');
  for (const end = Date.now() + 20_000; Date.now() < end; ) {
    try {
      rmdirSync(process.argv[1]);
      process.stdout.write(' swept');
      break;
    } catch {}
  }`;

test('a group that is swept away before a process is in it is made again', { skip: IS_V2 }, async () => {
  // Below another parent, so that no launcher sits in the group already.
  const parent = `${host.cgroupParent}-busy`;
  const id = await host.ok([
    ...['create', '--name', 'web', '--cgroup-parent', parent, '-m', '64m', 'busybox', 'sleep', '1000'],
  ]);
  const path = join(cgroupMounts().at(-1) ?? '', parent, id);
  // It may come too late: the process was quicker.
  await until(
    async () => {
      const sweeper = spawn(process.execPath, ['-e', SWEEP, path], { stdio: ['ignore', 'pipe', 'inherit'] });
      const closed = once(sweeper, 'close');
      const said = outputOf(sweeper);
      await until(said, (text) => text !== '');
      await host.ok(['start', 'web']);
      sweeper.kill();
      await closed;
      assert.equal(await cgroupFile(host, 'web', 'memory.limit_in_bytes', 'memory.max'), String(64 << 20));
      await host.ok(['kill', 'web']);
      await host.ok(['wait', 'web']);
      return said();
    },
    (text) => text === 'ready swept',
  );
  // Whoever waits for it learns of its end, not of the first attempt.
  assert.equal(await host.ok(['inspect', '-f', '{{.State.ExitCode}}', 'web']), '137');
  await host.ok(['rm', 'web']);
});

test('the view of the cgroup tree', async () => {
  const path = await inside(host, 'grep -E ":(memory|):" /proc/self/cgroup | head -1', [
    '--cgroupns',
    'host',
  ]);
  assert.match(path, new RegExp(`${host.cgroupParent}/[0-9a-f]{64}$`));
  assert.match(await inside(host, 'grep -E ":(memory|):" /proc/self/cgroup | head -1'), /:\/$/);
  const writes =
    'for f in $(find /sys/fs/cgroup -name cgroup.procs | head -50); do (echo $$ >$f) 2>/dev/null && echo $f; done; echo done';
  assert.equal(await inside(host, writes, ['--cgroupns', 'host']), 'done');
  await refused(host, create('--cgroupns', 'other'), /host or private/);
});
