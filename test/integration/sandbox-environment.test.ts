/** What a process finds around itself, as whoever knows Docker expects it. @vm */
import assert from 'node:assert/strict';
import {
  mkdtempSync,
  readdirSync,
  readFileSync,
  readlinkSync,
  rmSync,
  statSync,
  writeFileSync,
} from 'node:fs';
import { join } from 'node:path';
import { after, afterEach, before, test } from 'node:test';
import { type Host, startHost } from '../harness/host.ts';
import { cgroupMounts } from '../harness/leaks.ts';
import { assertClean, inside, tryInside } from './ground.ts';

let host: Host;
before(async () => {
  const folder = mkdtempSync('/tmp/mydocker-careless-');
  host = await startHost({
    images: ['busybox'],
    serverEnv: {
      SECRET: 's3cr3t',
      LD_PRELOAD: '',
      NODE_OPTIONS: '',
      LANG: 'xx_XX',
      MYDOCKER_NODE: careless(folder),
    },
  });
  rmSync(folder, { recursive: true });
});
afterEach(() => assertClean(host));
after(() => host.dispose());

/** A Node as a careless administrator's shell would start it: with open files, ignored signals, groups, no umask. */
function careless(folder: string): string {
  const path = join(folder, 'node');
  const lines = [
    '#!/bin/sh',
    'umask 0',
    'exec 7</ 8</etc/shadow 9</proc',
    "trap '' HUP INT USR1 PIPE",
    'echo 321 >/proc/self/oom_score_adj',
    'ulimit -c 1000',
    `exec setpriv --groups 24,1234 ${process.execPath} "$@"`,
  ];
  writeFileSync(path, `${lines.join('\n')}\n`, { mode: 0o755 });
  return path;
}

/** Lines of /proc/self/mountinfo inside: mount point → file system and all options. */
async function mounts(options: readonly string[] = []): Promise<Map<string, string>> {
  const lines = (await inside(host, 'cat /proc/self/mountinfo', options)).split('\n');
  return new Map(
    lines.map((line): [string, string] => {
      const [left = '', right = ''] = line.split(' - ');
      const [type, , superOptions] = right.split(' ');
      return [left.split(' ')[4] ?? '', `${type} ${left.split(' ')[5]},${superOptions}`];
    }),
  );
}

test('the file systems of Docker, with its options', async () => {
  const all = await mounts();
  const has = (path: string, ...words: string[]): void => {
    const found = all.get(path) ?? '';
    for (const word of words) {
      assert.ok(new RegExp(`(^|[ ,])${word}($|[ ,])`).test(found), `${path}: ${found}: no ${word}`);
    }
  };
  has('/', 'overlay', 'rw');
  has('/proc', 'proc', 'rw', 'nosuid', 'nodev', 'noexec');
  has('/dev', 'tmpfs', 'rw', 'nosuid', 'size=65536k', 'mode=755');
  has('/dev/pts', 'devpts', 'nosuid', 'noexec', 'gid=5', 'mode=620', 'ptmxmode=666');
  has('/dev/shm', 'tmpfs', 'nosuid', 'nodev', 'noexec', 'size=65536k');
  has('/dev/mqueue', 'mqueue', 'nosuid', 'nodev', 'noexec');
  has('/sys', 'sysfs', 'ro', 'nosuid', 'nodev', 'noexec');
  has('/sys/fs/cgroup', cgroupMounts().length === 1 ? 'cgroup2' : 'tmpfs', 'ro', 'nosuid', 'nodev', 'noexec');
  for (const file of ['/etc/hosts', '/etc/hostname', '/etc/resolv.conf']) has(file, 'tmpfs', 'rw');
  assert.ok(!all.has('/dev/console'));
  // Nothing else: no mount of the host came along.
  const expected = /^\/($|proc|dev|sys|etc\/(hosts|hostname|resolv\.conf)$)/;
  assert.deepEqual(
    [...all.keys()].filter((path) => !expected.test(path)),
    [],
  );
});

test('no mount inside tells a path of the server', async () => {
  const text = await inside(host, 'cat /proc/self/mountinfo /proc/self/mounts /proc/1/mountinfo');
  assert.doesNotMatch(text, /mydocker/);
  assert.doesNotMatch(text, new RegExp(host.folder));
});

test('/dev has its nodes and links, and nothing else', async () => {
  const script = `cd /dev; for f in *; do
    if [ -L $f ]; then echo "$f -> $(readlink $f)"; else stat -c '%n %F %t:%T %a %u:%g' $f; fi; done`;
  const core = 'core -> /proc/kcore';
  assert.deepEqual((await inside(host, script)).split('\n'), [
    core,
    'fd -> /proc/self/fd',
    'full character special file 1:7 666 0:0',
    'mqueue directory 0:0 1777 0:0',
    'null character special file 1:3 666 0:0',
    'ptmx -> pts/ptmx',
    'pts directory 0:0 755 0:0',
    'random character special file 1:8 666 0:0',
    'shm directory 0:0 1777 0:0',
    'stderr -> /proc/self/fd/2',
    'stdin -> /proc/self/fd/0',
    'stdout -> /proc/self/fd/1',
    'tty character special file 5:0 666 0:0',
    'urandom character special file 1:9 666 0:0',
    'zero character special file 1:5 666 0:0',
  ]);
});

test('the devices work, for other users too', async () => {
  const script = `echo x >/dev/null && head -c 4 /dev/zero | od -An -tx1 && head -c 100 /dev/urandom | wc -c
    echo x >/dev/full; echo x >/dev/shm/f && cat /dev/shm/f; echo out >/dev/stdout; echo err >/dev/stderr`;
  for (const user of ['0', '1000']) {
    const { stdout, stderr } = await tryInside(host, script, ['-u', user]);
    assert.equal(stdout, ' 00 00 00 00\n100\nx\nout\n');
    assert.match(stderr, /No space left[\s\S]*err\n$/);
  }
});

test('/dev/shm holds 64 MB and no more', async () => {
  const { stdout } = await tryInside(
    host,
    'dd if=/dev/zero of=/dev/shm/x bs=1M count=70 2>/dev/null; stat -c %s /dev/shm/x',
  );
  assert.equal(Number(stdout), 64 << 20);
});

test('what a container can write beside its layer is bounded', async () => {
  for (const [file, most] of [
    ['/etc/hosts', 1 << 20],
    ['/dev/x', 65 << 20],
  ] as const) {
    const { stdout } = await tryInside(
      host,
      `dd if=/dev/zero bs=1M count=80 2>/dev/null >>${file}; stat -c %s ${file}`,
    );
    assert.ok(Number(stdout) <= most, `${file}: ${stdout}`);
  }
});

test('the files of /etc', async () => {
  const hosts = await inside(host, 'cat /etc/hosts', ['--hostname', 'web-1']);
  assert.match(hosts, /^127\.0\.0\.1\s+localhost$/m);
  assert.match(hosts, /^::1\s+localhost ip6-localhost ip6-loopback$/m);
  assert.match(hosts, /^\S+\s+web-1 [a-z_]+$/m);
  assert.equal(
    await inside(host, 'cat /etc/resolv.conf'),
    readFileSync('/etc/resolv.conf', 'utf8').trimEnd(),
  );
  assert.equal(await inside(host, 'readlink /etc/mtab'), '/proc/mounts');
  const modes = await inside(host, 'stat -c "%a %u" /etc/hosts /etc/hostname /etc/resolv.conf');
  assert.equal(modes, '644 0\n644 0\n644 0');
  // They are the container's to change.
  assert.equal(await inside(host, 'echo 10.0.0.1 x >>/etc/hosts; tail -n 1 /etc/hosts'), '10.0.0.1 x');
});

test('namespaces: all of its own', async () => {
  const kinds = ['mnt', 'pid', 'net', 'ipc', 'uts', 'cgroup'];
  const inner = (await inside(host, kinds.map((kind) => `readlink /proc/self/ns/${kind}`).join(';'))).split(
    '\n',
  );
  for (const [index, kind] of kinds.entries()) {
    assert.notEqual(inner[index], readlinkSync(`/proc/self/ns/${kind}`), kind);
  }
});

test('process 1 is the command, and nothing else is seen', async () => {
  assert.equal(
    await inside(host, 'cat /proc/1/comm; echo $$; set -- /proc/[0-9]*; echo $*'),
    'sh\n1\n/proc/1',
  );
  assert.equal(await host.ok(['run', '--rm', 'busybox', 'readlink', '/proc/self']), '1');
  assert.equal(
    await inside(host, 'ls -di /proc/1/root/. | cut -d" " -f1; ls -di /. | cut -d" " -f1').then(
      (text) => new Set(text.split('\n').map((line) => line.trim())).size,
    ),
    1,
  );
});

test('the cgroup namespace begins at the container’s group, shown read-only', async () => {
  const groups = (await inside(host, 'cat /proc/self/cgroup')).split('\n');
  assert.ok(groups.length > 0);
  for (const line of groups) assert.match(line, /^\d+:[^:]*:\/$/);
  const shown = await inside(
    host,
    'cd /sys/fs/cgroup; ls; cat */cgroup.procs cgroup.procs 2>/dev/null | sort -un | head -1',
  );
  assert.match(shown, /\n1$/);
  // Each hierarchy of v1 has its folder.
  if (cgroupMounts().length > 1) {
    for (const mount of cgroupMounts().filter((path) => !/unified|systemd/.test(path))) {
      assert.match(shown, new RegExp(`^${mount.split('/').at(-1)}$`, 'm'));
    }
  }
  for (const path of ['/sys/fs/cgroup/x', '/sys/fs/cgroup/memory/x', '/sys/x']) {
    assert.match((await tryInside(host, `mkdir ${path}`)).stderr, /Read-only|not permitted|No such/);
  }
});

test('the environment is the container’s alone', async () => {
  const env = await inside(host, 'cat /proc/1/environ | tr "\\000" "\\n"');
  assert.deepEqual(
    env
      .trim()
      .split('\n')
      .map((line) => line.split('=')[0])
      .sort(),
    ['HOME', 'HOSTNAME', 'PATH'],
  );
  assert.doesNotMatch(env, /s3cr3t/);
  assert.doesNotMatch(host.log, /s3cr3t/);
  await host.ok(['run', '-d', '--name', 'env', 'busybox', 'sleep', '1000']);
  assert.doesNotMatch(await host.ok(['exec', 'env', 'env']), /SECRET|MYDOCKER|NODE|LANG/);
  await host.ok(['rm', '-f', 'env']);
});

test('signals, mask, limits, priority and umask are as in a fresh login', async () => {
  const status = await inside(
    host,
    'cat /proc/1/status; umask; cat /proc/1/oom_score_adj; cat /proc/1/limits; cut -d" " -f19 /proc/1/stat',
  );
  assert.match(status, /^SigBlk:\s+0{16}$/m);
  assert.match(status, /^Seccomp:\s+0$/m);
  assert.match(status, /^NoNewPrivs:\s+0$/m);
  assert.match(status, /\n0022\n0\n/);
  assert.match(status, /^Max open files +1024 +\d+ /m);
  const hard = Number(/^Max open files +1024 +(\d+) /m.exec(status)?.[1]);
  assert.ok(hard >= 1024 && hard <= 524_288, String(hard));
  assert.match(status, /\n0$/);
  // The program itself, not a shell that would reset its signals.
  const own = await host.ok(['run', '--rm', 'busybox', 'cat', '/proc/self/status']);
  assert.match(own, /^SigIgn:\s+0{16}$/m);
});

test('no descriptor comes along', async () => {
  const { stdout } = await host.cli(['run', '--rm', 'busybox', 'ls', '-l', '/proc/self/fd']);
  const links = stdout
    .trim()
    .split('\n')
    .slice(1)
    .map((line) => line.split(' -> ')[1]);
  assert.equal(links.length, 4, stdout);
  assert.match(links[0] ?? '', /^\/dev\/null$/);
  for (const link of links.slice(1, 3)) assert.match(link ?? '', /^pipe:/);
  // Its own, of the folder that it lists.
  assert.match(links[3] ?? '', /^(\/proc\/1\/fd)?$/);
  await host.ok(['run', '-d', '--name', 'fds', 'busybox', 'sleep', '1000']);
  const [{ run }] = JSON.parse(await host.ok(['inspect', '--format', 'api', 'fds']));
  const fds = readdirSync(`/proc/${run.pid}/fd`).map((fd) => readlinkSync(`/proc/${run.pid}/fd/${fd}`));
  assert.deepEqual(
    fds.map((link) => link.replace(/\d+/, '')),
    ['/dev/null', 'pipe:[]', 'pipe:[]'],
  );
  assert.equal(await host.ok(['exec', 'fds', 'sh', '-c', 'ls /proc/self/fd | wc -l']), '4');
  await host.ok(['rm', '-f', 'fds']);
});

test('the file system: the image, its owners and modes, a root that can be written', async () => {
  const script = 'stat -c "%a %u:%g %n" / /root /tmp /etc/shadow; touch /x && ls -A / | tr "\\n" " "';
  assert.equal(
    await inside(host, script),
    '755 0:0 /\n700 0:0 /root\n1777 0:0 /tmp\n640 0:0 /etc/shadow\nbin dev etc home linuxrc proc root sbin sys tmp usr var x ',
  );
});

test('the server’s own files are closed to others, whatever its umask was', () => {
  assert.equal(statSync(host.socket).mode & 0o777, 0o660);
  for (const folder of [host.root, host.state, join(host.root, 'layers'), join(host.root, 'containers')]) {
    assert.equal(statSync(folder).mode & 0o077, 0, folder);
  }
});

test('groups of the server are nobody’s inside', async () => {
  assert.match(await inside(host, 'grep Groups /proc/self/status'), /^Groups:\t0 $/);
  await host.ok(['run', '-d', '--name', 'groups', 'busybox', 'sleep', '1000']);
  assert.match(
    await host.ok(['exec', '-u', '1000:1001', 'groups', 'grep', 'Groups', '/proc/self/status']),
    /^Groups:\t1001 $/,
  );
  await host.ok(['rm', '-f', 'groups']);
});
