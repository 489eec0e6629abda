/**
 * What the world can see of the programs that run a container, and what the container can see of the world:
 * looked at from outside and from inside while real containers run. @vm
 */
import assert from 'node:assert/strict';
import {
  mkdirSync,
  readdirSync,
  readFileSync,
  readlinkSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { join } from 'node:path';
import { after, afterEach, before, test } from 'node:test';
import { OVERLAY_OPTIONS } from '../../server/snapshot/overlay.ts';
import { end, IS_SANITIZED, type Launched, type RunChoice, ShimGround, SLEEP, USER } from './shim-ground.ts';

/** SPECIFICATION.md: what an idle container may cost beside its own process. */
const PSS_MAX_KB = 200;

let ground: ShimGround;
before(async () => {
  ground = await ShimGround.make();
});
afterEach(async () => {
  ground.removeRuns();
  await ground.assertNothingLeft();
});
after(() => ground.dispose());

async function running(choice: RunChoice = SLEEP): Promise<Launched & { pid: number; shimPid: number }> {
  const launched = ground.start(choice);
  const { pid, shimPid } = await launched.connection.created;
  await launched.connection.started;
  return { ...launched, pid, shimPid };
}

const proc = (pid: number, name: string): string => readFileSync(`/proc/${pid}/${name}`, 'utf8');
const openFiles = (pid: number): string[] =>
  readdirSync(`/proc/${pid}/fd`)
    .sort((a, b) => Number(a) - Number(b))
    .map((fd) => `${fd} ${readlinkSync(`/proc/${pid}/fd/${fd}`).replace(/\[\d+\]/, '')}`);

test('zygote and shim have their titles, no environment, and run from memory', async () => {
  const container = await running();
  const zygotePid = ground.zygote.pid;
  assert.ok(zygotePid !== undefined);
  assert.equal(
    proc(container.shimPid, 'cmdline').replaceAll('\0', ' ').trim(),
    `mydocker-shim ${container.runFolder}`,
  );
  assert.equal(proc(zygotePid, 'cmdline').replaceAll('\0', ' ').trim(), `mydocker-zygote ${ground.state}`);
  assert.deepEqual(
    [proc(container.shimPid, 'comm'), proc(zygotePid, 'comm')],
    ['mydocker-shim\n', 'mydocker-zygote\n'],
  );
  for (const pid of [container.shimPid, zygotePid]) {
    assert.equal(proc(pid, 'environ'), '');
    assert.match(readlinkSync(`/proc/${pid}/exe`), /^\/memfd:mydocker-shim/);
    assert.equal(readlinkSync(`/proc/${pid}/cwd`), '/');
  }
  await end(container);
});

test('a running process has its three descriptors and no other', async () => {
  for (const [kind, choice, wanted] of [
    ['pipes', SLEEP, ['0 /dev/null', '1 pipe:', '2 pipe:']],
    [
      'open stdin',
      { config: { args: ['sleep', '1000'], openStdin: true } },
      ['0 pipe:', '1 pipe:', '2 pipe:'],
    ],
    [
      'a terminal',
      { config: { args: ['sleep', '1000'], terminal: true } },
      ['0 /dev/pts/0', '1 /dev/pts/0', '2 /dev/pts/0'],
    ],
  ] as const) {
    const container = await running(choice);
    assert.deepEqual(openFiles(container.pid), wanted, kind);
    const { connection, stdio } = await ground.exec(container, { args: ['sleep', '1000'], openStdin: true });
    const { pid } = await connection.created;
    await connection.started;
    assert.deepEqual(openFiles(pid), ['0 pipe:', '1 pipe:', '2 pipe:'], `additional process beside ${kind}`);
    await end({ connection });
    stdio.close();
    await end(container);
  }
});

test('a process that waits at the gate holds nothing of the host', async () => {
  for (const user of [{ uid: 0, gid: 0, groups: [0], home: '/root' }, USER]) {
    const launched = ground.launch({ ...SLEEP, user });
    const { pid } = await launched.connection.created;
    assert.deepEqual(openFiles(pid), [
      '0 /dev/null',
      '1 pipe:',
      '2 pipe:',
      '3 socket:',
      `4 ${launched.runFolder}/gate`,
    ]);
    assert.match(readlinkSync(`/proc/${pid}/exe`), /memfd/);
    assert.equal(readlinkSync(`/proc/${pid}/root`), '/');
    launched.connection.close();
    ground.removeRuns();
    await ground.assertNothingLeft();
  }
});

test('an idle shim is small', async (t) => {
  // Ten, because what they share is counted in parts.
  const containers = await Promise.all(Array.from({ length: 10 }, () => running()));
  const sizes = containers.map(({ shimPid }) =>
    Number(/^Pss: +(\d+) kB$/m.exec(proc(shimPid, 'smaps_rollup'))?.[1]),
  );
  const pss = sizes.reduce((sum, size) => sum + size, 0) / sizes.length;
  t.diagnostic(`an idle shim has ${pss} kB PSS`);
  for (const container of containers) await end(container);
  if (!IS_SANITIZED) assert.ok(pss > 0 && pss <= PSS_MAX_KB, `${pss} kB`);
});

test('namespaces are its own, also those of an additional process', async () => {
  const container = await running();
  const { connection, stdio } = await ground.exec(container, { args: ['sleep', '1000'] });
  await connection.started;
  const { pid } = await connection.created;
  for (const kind of ['mnt', 'pid', 'net', 'ipc', 'uts', 'cgroup']) {
    const theirs = readlinkSync(`/proc/${container.pid}/ns/${kind}`);
    assert.notEqual(theirs, readlinkSync(`/proc/self/ns/${kind}`), kind);
    assert.equal(readlinkSync(`/proc/${pid}/ns/${kind}`), theirs, kind);
  }
  await end({ connection });
  stdio.close();
  await end(container);
});

test('the container sees itself as process 1, at the root of its control groups, with its own name', async () => {
  const { stdout } = await ground.shell('echo $$; hostname; cat /proc/self/cgroup; cat /proc/1/comm; true');
  const [pid, hostname, ...rest] = stdout.trim().split('\n');
  assert.deepEqual([pid, hostname, rest.pop()], ['1', 'web', 'sh']);
  assert.ok(rest.length > 0);
  for (const line of rest) assert.match(line, /:\/$/);
});

test('the container cannot change what is not its own', async () => {
  const script = `
    for path in /proc/sys/kernel/hostname /proc/sysrq-trigger /sys/fs/cgroup/cgroup.procs /sys/fs/cgroup/memory/x; do
      (echo 1 >$path) 2>/dev/null && echo "wrote $path"
    done
    cat /proc/kcore 2>/dev/null | head -c 1
    mount -t tmpfs none /mnt 2>/dev/null && echo mounted
    mknod /dev/sda b 8 0 2>/dev/null && (head -c 1 /dev/sda) 2>/dev/null && echo "read a disk"
    hostname other 2>/dev/null && echo renamed
    grep -E '^(Cap|NoNew|Groups)' /proc/self/status`;
  const { stdout } = await ground.shell(script);
  assert.deepEqual(stdout.trim().split(/\s+/), [
    ...['Groups:', '0', 'CapInh:', '0000000000000000', 'CapPrm:', '00000000a80425fb'],
    ...['CapEff:', '00000000a80425fb', 'CapBnd:', '00000000a80425fb', 'CapAmb:', '0000000000000000'],
    ...['NoNewPrivs:', '0'],
  ]);
});

test('another user has its ids and groups, and no capabilities', async () => {
  const { stdout } = await ground.shell(
    'id -u; id -g; id -G; grep -E "^Cap(Prm|Eff|Inh|Amb)" /proc/self/status',
    {
      user: USER,
    },
  );
  assert.match(stdout, /^1000\n1000\n1000 50\n/);
  assert.equal([...stdout.matchAll(/0000000000000000/g)].length, 4);
});

test('an image that leads outside leads nowhere', async () => {
  const canary = join(ground.folder, 'canary');
  mkdirSync(canary);
  const evil = join(ground.folder, 'evil');
  const links = ['proc', 'dev', 'sys', 'etc', 'data', 'work'];
  for (const link of links) {
    rmSync(evil, { recursive: true, force: true });
    mkdirSync(join(evil, 'bin'), { recursive: true });
    writeFileSync(join(evil, 'bin/sh'), readFileSync(join(ground.rootfs, 'bin/busybox')), { mode: 0o755 });
    for (const other of links.filter((name) => name !== link)) mkdirSync(join(evil, other));
    symlinkSync(canary, join(evil, link));
    const { connection } = ground.start({
      rootfs: { kind: 'directory', path: evil },
      config: {
        args: ['sh', '-c', 'exit 0'],
        workingDir: '/work/deep',
        mounts: [{ source: canary, destination: '/data/in', readOnly: true }],
      },
    });
    await connection.exited.catch(() => undefined);
    connection.close();
    assert.deepEqual(readdirSync(canary), [], `/${link} led outside`);
    ground.removeRuns();
    await ground.assertNothingLeft(link);
  }
  rmSync(evil, { recursive: true });
});

test('a root made of 127 layers', async () => {
  const lowerDirs = Array.from({ length: 127 }, (_, i) => {
    const layer = join(ground.folder, 'layers', String(i), 'long-name'.repeat(10));
    mkdirSync(layer, { recursive: true });
    writeFileSync(join(layer, 'which'), `${i}\n`);
    writeFileSync(join(layer, `only-${i}`), '');
    return layer;
  });
  lowerDirs[126] = ground.rootfs;
  const [upperDir, workDir] = [join(ground.folder, 'upper'), join(ground.folder, 'work')];
  mkdirSync(upperDir);
  mkdirSync(workDir);
  const rootfs = { kind: 'overlay', lowerDirs, upperDir, workDir, options: OVERLAY_OPTIONS } as const;
  const { stdout } = await ground.shell('cat /which; ls -d /only-* | wc -l; echo kept >/kept', { rootfs });
  assert.equal(stdout, '0\n126\n');
  assert.equal(readFileSync(join(upperDir, 'kept'), 'utf8'), 'kept\n');
  const again = await ground.shell('cat /kept', { rootfs });
  assert.equal(again.stdout, 'kept\n');
});

test('a state folder whose path has more than 200 characters', async () => {
  const name = join(...Array.from({ length: 6 }, (_, i) => `${i}${'long'.repeat(9)}`));
  const deep = await ShimGround.make(name);
  try {
    assert.ok(deep.state.length > 220);
    const { code, stdout } = await deep.shell('echo works; exit 2');
    assert.deepEqual([code, stdout], [2, 'works\n']);
    const container = deep.start(SLEEP);
    const { shimPid } = await container.connection.created;
    await container.connection.started;
    assert.ok(proc(shimPid, 'cmdline').includes(container.runFolder), 'its title is cut');
    const { connection, stdio } = await deep.exec(container, { args: ['sh', '-c', 'exit 3'] });
    assert.equal((await connection.exited).exitStatus, 3);
    stdio.close();
    connection.close();
    await end(container);
    deep.removeRuns();
    await deep.assertNothingLeft();
  } finally {
    await deep.dispose();
  }
});

test('a root that is read-only is so, and what must be writable is', async () => {
  const script =
    '(echo x >/x) 2>/dev/null; for file in /dev/shm/x /etc/hosts /x; do [ -s $file ] && echo $file; done';
  const { stdout } = await ground.shell(`echo x >>/etc/hosts; echo x >/dev/shm/x; ${script}`, {
    config: { readOnlyRootfs: true },
  });
  assert.equal(stdout, '/dev/shm/x\n/etc/hosts\n');
});

test('limits hold', async () => {
  const { stdout } = await ground.shell(
    'cat /sys/fs/cgroup/memory/memory.limit_in_bytes /sys/fs/cgroup/memory.max 2>/dev/null; cat /sys/fs/cgroup/pids/pids.max /sys/fs/cgroup/pids.max 2>/dev/null; ulimit -n',
    { config: { resources: { memoryLimitBytes: 64n << 20n, pidsMax: 20n } } },
  );
  assert.deepEqual(stdout.trim().split('\n'), [String(64 << 20), '20', '1024']);
});
