/** `inspect` and `version`: everything, as JSON. */
import assert from 'node:assert/strict';
import { existsSync, mkdirSync, rmSync } from 'node:fs';
import { release } from 'node:os';
import { join } from 'node:path';
import { after, afterEach, before, test } from 'node:test';
import { type Host, startHost } from '../harness/host.ts';
import { assertClean, refused } from './ground.ts';

let host: Host;
before(async () => {
  host = await startHost({ images: ['busybox'] });
});
afterEach(() => assertClean(host));
after(() => host.dispose());

test('inspect of a container shows what it was made with', async () => {
  const folder = join(host.folder, 'tmp/data');
  mkdirSync(folder);
  const options = [
    '-e',
    'A=1',
    '-w',
    '/work',
    '-u',
    'user',
    '--hostname',
    'web-1',
    '-v',
    `${folder}:/data:ro`,
  ];
  const limits = [
    '-m',
    '64m',
    '--cpu-shares',
    '512',
    '--cpus',
    '1.5',
    '--cpuset-cpus',
    '0',
    '--pids-limit',
    '50',
  ];
  const more = [
    '--read-only',
    '--label',
    'a=b',
    '--stop-signal',
    'INT',
    '--stop-timeout',
    '3',
    '--network',
    'none',
  ];
  const id = await host.ok([
    'create',
    '--name',
    'full',
    ...options,
    ...limits,
    ...more,
    'busybox',
    'sleep',
    '1000',
  ]);
  const [container] = JSON.parse(await host.ok(['inspect', '--format', 'api', 'full']));
  assert.equal(container.id, id);
  assert.equal(container.name, 'full');
  assert.equal(container.status, 'created');
  assert.match(container.createdAt, /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{9}Z$/);
  const { config } = container;
  assert.equal(config.image, 'busybox');
  assert.match(config.imageId, /^sha256:[0-9a-f]{64}$/);
  assert.deepEqual(config.args, ['sleep', '1000']);
  assert.ok(config.env.includes('A=1'));
  assert.deepEqual([config.workingDir, config.user, config.hostname], ['/work', 'user', 'web-1']);
  assert.equal(config.mounts[0].destination, '/data');
  assert.equal(config.mounts[0].readOnly, true);
  assert.equal(config.mounts[0].bind.source, folder);
  assert.equal(config.readOnlyRootfs, true);
  assert.equal(config.network.mode, 'none');
  assert.deepEqual(config.labels, { a: 'b' });
  assert.deepEqual([config.stopSignal, config.stopTimeoutMs], ['SIGINT', 3000]);
  const { memoryLimitBytes, cpuShares, nanoCpus, cpusetCpus, pidsMax } = config.resources;
  assert.deepEqual(
    [memoryLimitBytes, cpuShares, nanoCpus, cpusetCpus, pidsMax],
    [64 << 20, 512, 1_500_000_000, '0', 50],
  );
  await host.ok(['rm', 'full']);
  rmSync(folder, { recursive: true });
});

test('inspect follows a container through its life', async () => {
  await host.ok(['run', '-d', '--name', 'life', 'busybox', 'sleep', '1000']);
  const look = async () => JSON.parse(await host.ok(['inspect', '--format', 'api', 'life']))[0];
  const running = await look();
  assert.equal(running.status, 'running');
  assert.match(running.run.runId, /^[0-9a-f]{16}$/);
  assert.ok(running.run.pid > 0 && running.run.shimPid > 0);
  assert.match(running.run.cgroupPath, new RegExp(`^${host.cgroupParent}/${running.id}$`));
  assert.ok(existsSync(running.paths.upperDir));
  assert.ok(running.paths.lowerDirs.every((path: string) => existsSync(path)));
  assert.ok(existsSync(running.paths.logFile));
  await host.ok(['stop', '-t', '0', 'life']);
  const stopped = await look();
  assert.equal(stopped.status, 'stopped');
  assert.equal(stopped.run.pid, 0);
  assert.deepEqual([stopped.exit.exitStatus, stopped.exit.signal, stopped.exit.reason], [137, 9, 'exited']);
  assert.equal(stopped.exit.runId, running.run.runId);
  assert.ok(stopped.rev > running.rev);
  await host.ok(['rm', 'life']);
});

test('inspect in Docker’s form, by template and with the ancestors’ fields', async () => {
  await host.ok([
    ...['run', '-d', '--name', 'form', '-l', 'x=y', '-e', 'A=1', '-v', '/data', '-v', '/tmp:/host:ro'],
    ...['busybox', 'sleep', '1000'],
  ]);
  const ask = (format: string, name = 'form'): Promise<string> => host.ok(['inspect', '-f', format, name]);
  assert.equal(await ask('{{.State.Running}} {{.Name}} {{index .Config.Labels "x"}}'), 'true /form y');
  const pid = Number(await ask('{{.State.Pid}}'));
  assert.ok(process.kill(pid, 0));
  assert.match(await ask('{{.NetworkSettings.IPAddress}}'), /^10\.20\.\d+\.2$/);
  const mounts = (await ask('{{range .Mounts}}{{println .Type .Source .Destination .RW}}{{end}}')).split(
    '\n',
  );
  assert.match(mounts[0] ?? '', /^volume .*\/volumes\/[0-9a-f]{64}\/data \/data true$/);
  assert.equal(mounts[1], 'bind /tmp /host false');
  assert.ok(existsSync((mounts[0] ?? '').split(' ')[1] ?? ''));
  assert.match(await ask('{{json .Config.Env}}'), /"A=1"/);
  const [found] = JSON.parse(await host.ok(['inspect', 'form']));
  assert.deepEqual([found.State.Status, found.Path, found.Args], ['running', 'sleep', ['1000']]);
  const [old] = JSON.parse(await host.ok(['inspect', '--format', 'ancestors', 'form']));
  assert.deepEqual([old.Uuid, old.Status, old.Commands], [found.Id, 'running', ['sleep', '1000']]);
  assert.equal(await ask('{{index .RepoTags 0}} {{.Os}}', 'busybox'), 'busybox:latest linux');
  assert.match(await ask('{{range .Containers}}{{.Name}}{{end}}', 'default'), /^form$/);
  await refused(host, ['inspect', '-f', '{{.Nosuch}}', 'form'], /no field \.Nosuch\nhint: known: \.Id, /);
  await refused(host, ['inspect', '-f', 'wide', 'form'], /unknown format "wide"/);
  await refused(host, ['container', 'inspect', '-f', '{{.Id}}', 'busybox'], /no such container/);
  await host.ok(['rm', '-f', '-v', 'form']);
});

test('inspect of several prints what there is and tells what there is not', async () => {
  await host.ok(['create', '--name', 'i1', 'busybox', 'true']);
  const { code, stdout, stderr } = await host.cli(['inspect', '--format', 'api', 'i1', 'nosuch', 'busybox']);
  assert.equal(code, 125);
  assert.deepEqual(JSON.parse(stdout).length, 2);
  assert.match(stderr, /cannot find nosuch: no such container, network, image or volume/);
  await refused(host, ['inspect'], /too few arguments/);
  const missing = await host.cli(['inspect', '--type', 'image', 'i1']);
  assert.deepEqual([missing.code, missing.stdout], [125, '[]\n']);
  await host.ok(['rm', 'i1']);
});

test('version tells client and server', async () => {
  const text = await host.ok(['version']);
  assert.match(text, /^Client[\s\S]*Version: +\d+\.\d+\.\d+[\s\S]*Server[\s\S]*Version: +\d+\.\d+\.\d+/);
  assert.ok(text.includes(release()));
  assert.match(await host.ok(['--version']), /^mydocker version \d+\.\d+\.\d+$/);
  assert.match(await host.ok(['info']), /Cgroups: +(v1|v2|hybrid)/);
});

test('info and version take templates with Docker’s fields', async () => {
  assert.match(
    await host.ok(['version', '--format', '{{.Server.Version}} {{.Client.Version}}']),
    /^(\S+) \1$/,
  );
  assert.equal(JSON.parse(await host.ok(['version', '-f', 'json'])).Server.Os, 'linux');
  const shown = await host.ok([
    'info',
    '-f',
    '{{.Driver}} {{.DockerRootDir}} {{.Images}} {{.KernelVersion}}',
  ]);
  assert.equal(shown, `overlay ${host.root} 1 ${release()}`);
  assert.match(
    await host.ok(['info', '--format', '{{.CgroupVersion}} {{.NCPU}} {{.OSType}}']),
    /^[12] \d+ linux$/,
  );
  await refused(host, ['info', '-f', '{{.Nosuch}}'], /no field \.Nosuch/);
  await refused(host, ['version', '-f', 'wide'], /unknown format "wide"/);
});

test('a client without a server says so and what to do', async () => {
  const away = { env: { MYDOCKER_HOST: `unix://${host.folder}/tmp/nothing.sock` } };
  const { code, stderr } = await host.cli(['ps'], away);
  assert.equal(code, 125);
  assert.match(stderr, /nothing\.sock[\s\S]*hint: /);
  const version = await host.cli(['version'], away);
  assert.equal(version.code, 125);
  assert.match(version.stdout, /^Client/);
  const bad = await host.cli(['--host', 'ftp://x', 'ps']);
  assert.equal(bad.code, 125);
});

test('help is there for the program and for each command', async () => {
  const help = await host.ok(['--help']);
  const commands = [...help.matchAll(/^ {3}([a-z]+(?: [a-z]+)?) {2,}\S/gm)].map(([, name]) => name ?? '');
  assert.ok(commands.length > 25, commands.join());
  for (const name of ['run', 'exec', 'logs', 'image inspect']) {
    assert.match(await host.ok([...name.split(' '), '--help']), new RegExp(`USAGE:\\n +mydocker ${name} `));
  }
  assert.equal(await host.ok(['help']), help);
});
