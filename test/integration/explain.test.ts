/** `--explain`: what a start does, step by step, without doing it. */
import assert from 'node:assert/strict';
import { existsSync } from 'node:fs';
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

const SECTIONS = ['server', 'parent-before', 'parent-after', 'child', 'after-exit'];

test('run --explain prints every section and runs nothing', async () => {
  const folder = join(host.folder, 'tmp/never-made');
  const options = [
    '--explain',
    '--name',
    'never',
    '-v',
    `${folder}:/data:ro`,
    '-m',
    '64m',
    '-u',
    '1000',
    '-w',
    '/work',
    '--hostname',
    'web-1',
  ];
  const text = await host.ok(['run', ...options, 'busybox', 'sh', '-c', 'touch /was-run']);
  let at = -1;
  for (const section of SECTIONS) {
    const next = `\n${text}`.indexOf(`\n${section}: `);
    assert.ok(next > at, section);
    at = next;
  }
  for (const step of [
    'pivot',
    'overlay',
    '/data',
    'web-1',
    '/work',
    'execute sh',
    'memory.limit_in_bytes|memory.max',
    '/proc',
    'capabilities',
    'setuid|1000',
    'user 1000 is 1000:1000',
    `make the folder ${folder}, to be mounted at /data`,
    'write down that it starts',
  ]) {
    assert.match(text, new RegExp(step), step);
  }
  assert.match(text, /plan format \d+, \d+ bytes$/);
  assert.ok(!existsSync(folder));
  assert.equal(await host.ok(['ps', '-q']), '');
});

test('the order of the steps is the one that matters', async () => {
  const text = await host.ok(['run', '--explain', 'busybox', 'true']);
  const child = text.slice(text.indexOf('\nchild: '), text.indexOf('\nafter-exit: '));
  const order = [
    ...[
      'cut mount propagation',
      'mount / (overlay)',
      'mount /proc',
      'mount /dev',
      'mount /sys',
      'set hostname',
    ],
    ...['meet the shim', 'make the cgroup namespace', 'make the root filesystem /', 'begin a session'],
    ...[
      'bounding set',
      'set groups',
      'become group',
      'become user',
      'set capabilities',
      'start gate',
      'execute true',
    ],
  ];
  let at = -1;
  for (const step of order) {
    const next = child.indexOf(step, at + 1);
    assert.ok(next > at, `${step} does not follow:\n${child}`);
    at = next;
  }
});

test('values of the environment are not shown unless asked for', async () => {
  const options = ['run', '--explain', '-e', 'PASSWORD=s3cr3t'];
  const text = await host.ok([...options, 'busybox', 'true']);
  assert.match(text, /PASSWORD/);
  assert.doesNotMatch(text, /s3cr3t/);
  assert.match(await host.ok([...options, '--show-env', 'busybox', 'true']), /s3cr3t/);
});

test('explain of a container that is there', async () => {
  await host.ok(['run', '-d', '--name', 'shown', 'busybox', 'sleep', '1000']);
  assert.match(await host.ok(['explain', 'shown']), /execute sleep/);
  await host.ok(['rm', '-f', 'shown']);
  await refused(host, ['explain', 'shown'], /no such container/);
});

test('explain of an exec shows its plan and runs nothing', async () => {
  await host.ok(['run', '-d', '--name', 'shown', 'busybox', 'sleep', '1000']);
  const text = await host.ok(['explain', 'shown', 'touch', '/was-run']);
  let at = -1;
  for (const step of [
    'look whether the container runs',
    'make the pipe of stdout',
    "join the container's namespaces",
    'drop capabilities',
    'become user 0',
    'set capabilities',
    'be born in the pid namespace',
    'execute touch',
  ]) {
    const next = text.indexOf(step, at + 1);
    assert.ok(next > at, `${step} does not follow:\n${text}`);
    at = next;
  }
  assert.equal((await host.cli(['exec', 'shown', 'ls', '/was-run'])).code, 1);
  const exec = { container: 'shown', process: { args: ['env'], env: ['PASSWORD=s3cr3t'], user: '1000:33' } };
  const subject = { $case: 'exec', value: exec } as const;
  const hidden = await host.api.containers.explainContainer({ subject });
  assert.doesNotMatch(JSON.stringify(hidden), /s3cr3t/);
  assert.deepEqual(JSON.parse(hidden.ociSpecJson).process.user, { uid: 1000, gid: 33, additionalGids: [33] });
  const shown = await host.api.containers.explainContainer({ subject, showValues: true });
  assert.match(shown.ociSpecJson, /PASSWORD=s3cr3t/);
  await host.ok(['stop', '-t', '0', 'shown']);
  await refused(host, ['explain', 'shown', 'ls'], /cannot execute in container shown: it is stopped/);
  await host.ok(['rm', 'shown']);
});

test('explain refuses what a start would refuse', async () => {
  await refused(host, ['run', '--explain', 'nosuch', 'true'], /no such image/);
  await refused(host, ['run', '--explain', '-u', 'nobody2', 'busybox', 'true'], /cannot find user/);
  await refused(host, ['run', '--explain', '--cpuset-cpus', '99', 'busybox', 'true'], /cpu list/);
});

test('the API gives the operations, the OCI spec and the size', async () => {
  const config = { rootfs: { $case: 'image', value: 'busybox' }, command: { values: ['true'] } } as const;
  const answer = await host.api.containers.explainContainer({
    subject: { $case: 'create', value: { config } },
  });
  assert.equal(answer.sections.length, 4);
  assert.ok(answer.sections.every(({ operations }) => operations.every(({ name }) => name !== '')));
  assert.ok(answer.sizeBytes > 1000 && answer.formatVersion > 0);
  const spec = JSON.parse(answer.ociSpecJson);
  assert.deepEqual(spec.process.args, ['true']);
  assert.match(spec.ociVersion, /^1\./);
});

test('a failed start names the step that explain shows', async () => {
  const { stderr } = await refused(
    host,
    ['run', '--rm', '-w', '/etc/passwd/x', 'busybox', 'true'],
    /cannot start container \w+: /,
  );
  const step = /cannot start container \w+: (.*): E/.exec(stderr)?.[1] ?? '';
  assert.ok(step !== '', stderr);
  const text = await host.ok(['run', '--explain', '-w', '/etc/passwd/x', 'busybox', 'true']);
  assert.ok(text.includes('/etc/passwd/x') || text.includes(step), step);
});
