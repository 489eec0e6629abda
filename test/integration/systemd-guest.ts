/**
 * What systemd.test.ts runs under systemd, and test/vm/systemd.test.ts where systemd is process 1 of a machine: the
 * server out of the unit that is shipped, and what systemd knows and has of its containers.
 *
 *   systemd-guest.ts IMAGE.tar
 */
import assert from 'node:assert/strict';
import { existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { cgroupFolders, readCgroupLayout } from '../../server/cgroup/layout.ts';
import { treeOf } from '../../server/cgroup/processes.ts';
import { PROJECT, run } from '../harness/cli.ts';
import { until } from './ground.ts';

const UNIT = '/run/systemd/system/mydockerd.service';
const layout = readCgroupLayout();
const isV2 = layout.kind === 'v2';
const [, , image = ''] = process.argv;
const root = mkdtempSync(join(tmpdir(), 'mydocker-guest-'));

async function ok(program: string, ...args: string[]): Promise<string> {
  const { code, stdout, stderr } = await run(program, args);
  assert.equal(code, 0, `${program} ${args.join(' ')}: ${stderr}`);
  return stdout.trim();
}
const systemctl = (...args: string[]): Promise<string> => ok('systemctl', ...args);
const mydocker = (...args: string[]): Promise<string> => ok(join(PROJECT, 'bin/mydocker'), ...args);
const start = (name: string, ...options: string[]): Promise<string> =>
  mydocker('run', '-d', '--name', name, '--network', 'none', ...options, 'busybox', 'sleep', '10000');
const property = (unit: string, name: string): Promise<string> =>
  systemctl('show', '--value', '-p', name, unit);
const scopes = async (): Promise<string[]> => {
  const lines = await systemctl('list-units', '--all', '--plain', '--no-legend', 'mydocker-*.scope');
  return lines.split('\n').flatMap((line) => line.split(' ')[0] || []);
};
const pidOf = (name: string): Promise<string> => mydocker('inspect', '-f', '{{.State.Pid}}', name);
const groupOf = (pid: string | number): string =>
  /^(?:0::|\d+:pids:)(.*)$/m.exec(readFileSync(`/proc/${pid}/cgroup`, 'utf8'))?.[1] ?? '';

/** The shipped unit with this project's program and a root of its own; no other unit is here. */
function install(...options: string[]): void {
  const shipped = readFileSync(join(PROJECT, 'packaging/mydockerd.service'), 'utf8');
  const program = `ExecStart=${join(PROJECT, 'bin/mydockerd')} --root ${root} --debug ${options.join(' ')}`;
  const alone = shipped
    .replace(/^(?:After|Wants)=.*\n/gm, '')
    .replace('[Unit]\n', '[Unit]\nDefaultDependencies=no\n')
    .replace(/^ExecStart=.*$/m, `${program}\nEnvironment="PATH=${process.env['PATH']}" HOME=/root`)
    .replace('[Service]\n', `[Service]\nStandardError=append:${root}/log\n`);
  assert.ok(shipped.includes('--cgroup-driver systemd'));
  writeFileSync(UNIT, alone);
}

/** What the kernel has for a container: of its unit, and of its own group below. */
function limits(scope: string): Record<string, string> {
  const files = isV2
    ? ['memory.max', 'cpu.weight', 'cpu.max', 'pids.max']
    : ['memory.limit_in_bytes', 'cpu.shares', 'cpu.cfs_quota_us', 'pids.max'];
  return Object.fromEntries(
    files.flatMap((file) =>
      ['', '/container'].map((below) => {
        const found = cgroupFolders(layout, `${scope}${below}/${file}`).find((path) => existsSync(path));
        return [`${file}${below}`, readFileSync(found ?? '', 'utf8').trim()];
      }),
    ),
  );
}

before(async () => {
  install('--cgroup-driver', 'systemd');
  await systemctl('daemon-reload');
  await systemctl('start', 'mydockerd');
  // Type=notify: it serves when the start is done.
  await mydocker('import', image, 'busybox');
});

after(async () => {
  await run('systemctl', ['stop', 'mydockerd']);
  rmSync(root, { recursive: true, force: true });
});

test('a container is a scope with its limits, and systemd does not take them back', async () => {
  const id = await start('web', '-m', '64m', '--cpus', '0.5', '--cpu-shares', '512', '--pids-limit', '20');
  const unit = `mydocker-${id}.scope`;
  assert.deepEqual(await scopes(), [unit]);
  const path = await property(unit, 'ControlGroup');
  assert.match(path, /^\/mydocker\.slice\/mydocker-[0-9a-f]{8}\.slice\/mydocker-[0-9a-f]{64}\.scope$/);
  assert.equal(await property(unit, isV2 ? 'MemoryMax' : 'MemoryLimit'), String(64 << 20));
  assert.equal(await property(unit, 'Delegate'), 'yes');
  assert.equal(await property(unit, 'CPUQuotaPerSecUSec'), '500ms');
  const before = limits(path);
  const [memory, weight, quota] = isV2
    ? ['memory.max', '20', '50000 100000']
    : ['memory.limit_in_bytes', '512', '50000'];
  assert.deepEqual(Object.values(before), [
    ...[String(64 << 20), String(64 << 20), weight, weight, quota, quota],
    ...['21', '20'],
  ]);
  await systemctl('daemon-reload');
  assert.deepEqual(limits(path), before);
  await mydocker('update', '-m', '128m', '--pids-limit', '30', '--cpus', '0.8', 'web');
  const changed = limits(path);
  assert.deepEqual([changed[memory ?? ''], changed['pids.max/container']], [String(128 << 20), '30']);
  await systemctl('daemon-reload');
  assert.deepEqual(limits(path), changed);
  await mydocker('update', '--cpus', '0.2', 'web');
  assert.equal(await property(unit, 'CPUQuotaPerSecUSec'), '200ms');
  // Still no device of the host.
  const { code } = await run(join(PROJECT, 'bin/mydocker'), [
    ...['exec', 'web', 'sh', '-c', 'mknod /tmp/kmsg c 1 11 && head -c 1 /tmp/kmsg'],
  ]);
  assert.notEqual(code, 0);
});

test('only the container is in its group, and it may be one process', async () => {
  const top = await mydocker('top', 'web');
  assert.equal(top.split('\n').length, 2, top);
  assert.equal(
    await mydocker('run', '--rm', '--network', 'none', '--pids-limit', '1', 'busybox', 'echo', 'one'),
    'one',
  );
});

test('who was killed for memory is told, each time', async () => {
  for (let round = 0; round < 2; round += 1) {
    const script = 'x=a; while :; do x=$x$x; done';
    const args = ['run', '--name', 'hog', '--network', 'none', '-m', '12m', 'busybox', 'sh', '-c', script];
    assert.equal((await run(join(PROJECT, 'bin/mydocker'), args)).code, 137);
    assert.match(await mydocker('inspect', 'hog'), /"OOMKilled": true/);
    await mydocker('rm', 'hog');
  }
});

test('the parent of a group is a slice', async () => {
  const id = await start('deep', '--cgroup-parent', 'guest-one.slice');
  assert.equal(
    await property(`mydocker-${id}.scope`, 'ControlGroup'),
    `/guest.slice/guest-one.slice/mydocker-${id}.scope`,
  );
  await mydocker('rm', '-f', 'deep');
  const refused = await run(join(PROJECT, 'bin/mydocker'), [
    'create',
    '--cgroup-parent',
    '/foo',
    'busybox',
    'true',
  ]);
  assert.equal(refused.code, 125);
  assert.match(refused.stderr, /invalid cgroup parent .*foo.*: it is not the name of a slice/);
});

test('containers outlive the server; it, the zygote and the shims are in its own group', async () => {
  const pid = await property('mydockerd', 'MainPID');
  for (const how of ['restart', 'kill']) {
    if (how === 'restart') await systemctl('restart', 'mydockerd');
    else await systemctl('kill', '-s', 'KILL', '--kill-who=main', 'mydockerd');
    await until(
      () => property('mydockerd', 'ActiveState'),
      (state) => state === 'active',
    );
    await until(
      () => run(join(PROJECT, 'bin/mydocker'), ['exec', 'web', 'echo', 'here']),
      ({ stdout }) => stdout === 'here\n',
    );
  }
  const now = await property('mydockerd', 'MainPID');
  assert.notEqual(now, pid);
  const own = groupOf(now);
  assert.equal(own, '/system.slice/mydockerd.service');
  const shim = /mydocker-shim/;
  const procs = cgroupFolders(layout, own).flatMap((folder) => {
    const file = `${folder}/cgroup.procs`;
    return existsSync(file) ? readFileSync(file, 'utf8').trim().split('\n') : [];
  });
  assert.ok(
    procs.some((one) => shim.test(readFileSync(`/proc/${one}/cmdline`, 'utf8'))),
    procs.join(' '),
  );
});

test('whoever dies in between, no unit stays that nobody knows', async () => {
  const known = await scopes();
  const dropIn = `${UNIT}.d`;
  for (const point of ['start.launch', 'start.created']) {
    mkdirSync(dropIn);
    writeFileSync(join(dropIn, 'fail.conf'), `[Service]\nEnvironment=MYDOCKER_FAILPOINTS=${point}=exit\n`);
    await systemctl('daemon-reload');
    await systemctl('restart', 'mydockerd');
    const args = ['run', '-d', '--name', 'dies', '--network', 'none', 'busybox', 'sleep', '10000'];
    assert.notEqual((await run(join(PROJECT, 'bin/mydocker'), args)).code, 0);
    rmSync(dropIn, { recursive: true });
    await systemctl('daemon-reload');
    await systemctl('restart', 'mydockerd');
    await mydocker('rm', '-f', 'dies');
    await until(scopes, (now) => now.length === known.length);
  }
  await start('lost');
  const shim = /\) \S+ (\d+)/.exec(readFileSync(`/proc/${await pidOf('lost')}/stat`, 'utf8'))?.[1];
  process.kill(Number(shim), 'SIGKILL');
  assert.equal(await mydocker('wait', 'lost'), '137');
  assert.deepEqual(await scopes(), known);
  await mydocker('rm', 'lost');
  // It closes its connections and forgets nothing.
  await systemctl('daemon-reexec');
  await mydocker('update', '-m', '96m', 'web');
  assert.equal(await property(known[0] ?? '', isV2 ? 'MemoryMax' : 'MemoryLimit'), String(96 << 20));
});

test('a unit that is stopped ends its container, and one that ends leaves no unit and no group', async () => {
  const [unit = ''] = await scopes();
  await mydocker('run', '-d', '--name', 'other', '--network', 'none', '--init', 'busybox', 'sleep', '10000');
  const [, second = unit] = (await scopes()).sort((a) => (a === unit ? -1 : 1));
  await systemctl('stop', second);
  assert.equal(await mydocker('wait', 'other'), '143');
  await mydocker('start', 'other');
  await mydocker('rm', '-f', 'web', 'other');
  assert.deepEqual(await scopes(), []);
  const left = cgroupFolders(layout, '')
    .flatMap(treeOf)
    .filter((path) => path.endsWith('.scope') && path.includes('mydocker-'));
  assert.deepEqual(left, []);
});

test('a server without containers takes its slice along', async () => {
  await systemctl('stop', 'mydockerd');
  const units = await systemctl('list-units', '--plain', '--no-legend', 'mydocker-*.slice');
  assert.equal(units, '');
});

test('in a delegated group of its own the server makes room for its containers', {
  skip: !isV2,
}, async () => {
  install('--cgroup-parent', '/system.slice/mydockerd.service');
  await systemctl('daemon-reload');
  await systemctl('start', 'mydockerd');
  const id = await start('web', '-m', '64m');
  assert.equal(groupOf(await property('mydockerd', 'MainPID')), '/system.slice/mydockerd.service/mydockerd');
  const folder = `${layout.unified}/system.slice/mydockerd.service/${id}`;
  assert.equal(readFileSync(`${folder}/memory.max`, 'utf8').trim(), String(64 << 20));
  await mydocker('rm', '-f', 'web');
});
