/** What the client does of its own around `create` and `run`: files, conflicts, what is kept for later. */
import assert from 'node:assert/strict';
import { existsSync, mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { after, afterEach, before, beforeEach, test } from 'node:test';
import { type Host, startHost } from '../harness/host.ts';
import { assertClean, inside, refused, until } from './ground.ts';

let host: Host;
let folder = '';
before(async () => {
  host = await startHost({ images: ['busybox'] });
});
beforeEach(() => {
  folder = join(host.folder, 'files');
  mkdirSync(folder);
});
afterEach(async () => {
  rmSync(folder, { recursive: true });
  await assertClean(host);
});
after(() => host.dispose());

test('--env-file and --label-file', async () => {
  const file = join(folder, 'list');
  writeFileSync(file, '\uFEFFA=1\r\n# no\nHERE\nNOWHERE\nB="x y" # kept\n');
  const out = await host.ok(['run', '--rm', '--env-file', file, '-e', 'A=2', 'busybox', 'env'], {
    env: { HERE: 'of the client' },
  });
  assert.match(out, /^A=2$/m);
  assert.match(out, /^HERE=of the client$/m);
  assert.match(out, /^B="x y" # kept$/m);
  assert.doesNotMatch(out, /NOWHERE/);
  const id = await host.ok(['create', '--label-file', file, '--label', 'A=3', 'busybox', 'true']);
  const { container } = await host.api.containers.getContainer({ container: id });
  assert.deepEqual(container?.config?.labels, { A: '3', HERE: '', NOWHERE: '', B: '"x y" # kept' });
  await host.ok(['rm', id]);
  // It is the container's and not the client's own.
  writeFileSync(file, 'NODE_OPTIONS=--no-such-option\nMYDOCKER_HOST=unix:///nowhere\n');
  const options = await host.ok(['run', '--rm', '--env-file', file, 'busybox', 'env']);
  assert.match(options, /^NODE_OPTIONS=--no-such-option$/m);
  writeFileSync(file, 'A=1\nB C=1\n');
  for (const option of ['--env-file', '--label-file'])
    await refused(host, ['run', option, file, 'busybox', 'true'], /list, line 2: the name "B C" has a blank/);
  await refused(
    host,
    ['run', '--env-file', join(folder, 'none'), 'busybox', 'true'],
    /cannot read .*none: ENOENT/,
  );
});

test('--cidfile is there with the id, or not at all', async () => {
  const file = join(folder, 'cid');
  await host.ok(['run', '--name', 'box', '--cidfile', file, 'busybox', 'true']);
  const { container } = await host.api.containers.getContainer({ container: 'box' });
  assert.equal(readFileSync(file, 'utf8'), container?.id);
  await refused(
    host,
    ['create', '--name', 'other', '--cidfile', file, 'busybox', 'true'],
    /cid exists already/,
  );
  assert.equal(readFileSync(file, 'utf8'), container?.id);
  await refused(host, ['create', '--cidfile', `${file}2`, 'nosuch', 'true'], /no such image/);
  await refused(host, ['create', '--name', 'box', '--cidfile', `${file}2`, 'busybox', 'true'], /box/);
  assert.ok(!existsSync(`${file}2`));
  await refused(
    host,
    ['create', '--cidfile', join(folder, 'no/cid'), 'busybox', 'true'],
    /cannot make .*ENOENT/,
  );
  assert.match(await host.ok(['create', '--explain', '--cidfile', `${file}3`, 'busybox', 'true']), /exec/);
  assert.ok(!existsSync(`${file}3`));
  await host.ok(['rm', 'box']);
});

test('--pull never fetches nothing', async () => {
  await refused(host, ['run', '--pull', 'sometimes', 'busybox', 'true'], /sometimes/);
  const { stderr } = await refused(host, ['run', '--pull', 'never', 'nosuch', 'true'], /no such image/);
  assert.doesNotMatch(stderr, /pull/);
  assert.equal(await inside(host, 'echo here', ['--pull', 'never']), 'here');
  // There is no registry that could be asked.
  await refused(
    host,
    ['run', '--pull=missing', 'nosuch', 'true'],
    /no such image here: nosuch; pulling it\n.*cannot pull/,
  );
  await refused(host, ['run', '--pull', 'always', 'busybox', 'true'], /cannot pull image/);
});

test('--restart is checked, kept and told, with a warning that it is not acted upon', async () => {
  for (const [policy, shown] of [
    ['no', 'no 0'],
    ['on-failure', 'on-failure 0'],
    ['on-failure:5', 'on-failure 5'],
    ['always', 'always 0'],
    ['unless-stopped', 'unless-stopped 0'],
  ] as const) {
    const { code, stderr } = await host.cli([
      'create',
      '--name',
      'box',
      '--restart',
      policy,
      'busybox',
      'true',
    ]);
    assert.equal(code, 0, stderr);
    assert.equal(/warning: .*does not act on it/.test(stderr), policy !== 'no', stderr);
    const format = '{{.HostConfig.RestartPolicy.Name}} {{.HostConfig.RestartPolicy.MaximumRetryCount}}';
    assert.equal(await host.ok(['inspect', '-f', format, 'box']), shown);
    await host.ok(['rm', 'box']);
  }
  await refused(
    host,
    ['run', '--restart', 'sometimes', 'busybox', 'true'],
    /invalid restart policy "sometimes"/,
  );
  await refused(host, ['run', '--restart', 'always:3', 'busybox', 'true'], /only on-failure has a number/);
  await refused(
    host,
    ['run', '--rm', '--restart', 'always', 'busybox', 'true'],
    /--rm and --restart exclude/,
  );
  assert.equal(await inside(host, 'echo fine', ['--restart', 'no']), 'fine');
});

test('options as --x=y and --x y, flags as --x=false, and nothing behind the image', async () => {
  assert.equal(await inside(host, 'hostname', ['--hostname=a1']), 'a1');
  assert.equal(await inside(host, 'hostname', ['-h', 'a2']), 'a2');
  assert.equal(await inside(host, 'hostname', ['-ha3']), 'a3');
  assert.equal(await inside(host, 'echo $A', ['--env=A=b=c']), 'b=c');
  assert.equal(
    await host.ok(['run', '--rm=true', '--tty=false', '-i=false', 'busybox', 'echo', '--rm', '-h']),
    '--rm -h',
  );
  assert.equal(await host.ok(['run', '--rm', 'busybox', 'echo', '--', '-x']), '-- -x');
  await host.ok(['run', '--rm=0', '--name', 'kept', 'busybox', 'true']);
  await host.ok(['rm', 'kept']);
  await refused(host, ['run', '--rm=maybe', 'busybox', 'true'], /--rm is true or false, not "maybe"/);
  await refused(host, ['run', '--name'], /--name needs a value/);
  await refused(
    host,
    ['run', '--nmae', 'x', 'busybox', 'true'],
    /unknown option --nmae[\s\S]*did you mean --name/,
  );
});

test('what cannot go together is refused before anything is made', async () => {
  for (const [options, said] of [
    [['-d', '-a', 'stdout'], /-d and -a exclude each other/],
    [['--image', 'busybox', '--rootfs', '/x'], /exclude each other/],
    [['--uts', 'host', '--hostname', 'x'], /exclude each other/],
    [['--network', 'none', '--network', 'host'], /stand alone/],
    [['-it'], /not a TTY/],
    [['-a', 'stdlog'], /stdlog/],
    [['--detach-keys', 'ctrl-'], /ctrl-/],
    [['--cpus', '1', '--cpu', '50'], /exclude each other/],
    [['--stop-signal', 'NOPE'], /NOPE/],
    [['-m', '1k'], /6 MiB/],
  ] as const)
    await refused(host, ['run', ...options, 'busybox', 'true'], said);
  assert.equal(await host.ok(['ps', '-q']), '');
});

test('-a chooses streams, the log has them all', async () => {
  const command = ['busybox', 'sh', '-c', 'echo out; echo err >&2; cat'];
  const run = (...options: string[]): ReturnType<Host['cli']> =>
    host.cli(['run', '--name', 'box', ...options, ...command], { stdin: 'in\n' });
  for (const [options, stdout, stderr] of [
    [['-a', 'stdout'], 'out\n', ''],
    [['-a', 'STDERR'], '', 'err\n'],
    [['-i', '-a', 'stdin', '-a', 'stdout'], 'out\nin\n', ''],
    [['-i', '-a', 'stdin', '-a', 'stdout', '-a', 'stderr'], 'out\nin\n', 'err\n'],
  ] as const) {
    const result = await run(...options);
    assert.deepEqual([result.code, result.stdout, result.stderr], [0, stdout, stderr], options.join(' '));
    assert.match((await host.cli(['logs', 'box'])).stdout, /out/);
    await host.ok(['rm', 'box']);
  }
});

test('--sig-proxy=false leaves the container alone', async () => {
  const client = host.spawn(['run', '--name', 'box', '--sig-proxy=false', 'busybox', 'sleep', '1000']);
  // Not before: a start whose client leaves is given up.
  await until(
    () => host.ok(['ps', '-q', '--filter', 'status=running']),
    (ids) => ids !== '',
  );
  client.kill('SIGTERM');
  await new Promise((resolve) => client.once('exit', resolve));
  assert.match(await host.ok(['ps', '-r']), /box/);
  await host.ok(['rm', '-f', 'box']);
});
