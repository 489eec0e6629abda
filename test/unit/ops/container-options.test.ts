/** What comes of a client's options and an image's defaults: Docker's rules, as a table. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { ContainerConfig } from '../../../server/model/container.ts';
import { EMPTY_IMAGE_CONFIG, type ImageConfig } from '../../../server/model/image.ts';
import { type ContainerOptions, type Merged, mergeOptions } from '../../../server/ops/container-options.ts';

const ROOTFS = { kind: 'image', imageId: 'sha256:0', reference: 'x' } as const;
const PATH = 'PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin';

function merge(options: Partial<ContainerOptions>, image: Partial<ImageConfig> = {}): Merged {
  return mergeOptions(
    { rootfs: ROOTFS, command: ['sh'], ...options },
    {
      rootfs: ROOTFS,
      image: { ...EMPTY_IMAGE_CONFIG, ...image },
      hostname: 'made',
      namespaces: {},
      storageDriver: 'overlay',
    },
  );
}

const config = (options: Partial<ContainerOptions>, image: Partial<ImageConfig> = {}): ContainerConfig =>
  merge(options, image).config;

/** Without the command that `merge` gives by itself. */
function args(options: Omit<ContainerOptions, 'rootfs'>, image: Partial<ImageConfig>): readonly string[] {
  return mergeOptions(
    { rootfs: ROOTFS, ...options },
    {
      rootfs: ROOTFS,
      image: { ...EMPTY_IMAGE_CONFIG, ...image },
      hostname: 'made',
      namespaces: {},
      storageDriver: 'overlay',
    },
  ).config.args;
}

test('a command replaces the image’s, an entrypoint both', () => {
  const image = { entrypoint: ['entry'], command: ['cmd'] };
  assert.deepEqual(args({}, image), ['entry', 'cmd']);
  assert.deepEqual(args({ command: ['mine'] }, image), ['entry', 'mine']);
  assert.deepEqual(args({ command: [] }, image), ['entry']);
  assert.deepEqual(args({ entrypoint: ['other'] }, image), ['other']);
  assert.deepEqual(args({ entrypoint: ['other'], command: ['mine'] }, image), ['other', 'mine']);
  assert.deepEqual(args({ entrypoint: [], command: ['mine'] }, image), ['mine']);
  assert.deepEqual(args({ entrypoint: [''], command: ['mine'] }, image), ['mine']);
});

test('a container without a command is refused', () => {
  assert.throws(() => args({}, {}), { code: 'invalid-argument', reason: 'COMMAND_MISSING' });
  assert.throws(() => args({ entrypoint: [] }, { command: ['cmd'] }), { reason: 'COMMAND_MISSING' });
  assert.throws(() => args({ command: ['', 'x'] }, {}), { reason: 'COMMAND_MISSING' });
});

test('of an environment the last of a key wins, and a bare key removes the image’s', () => {
  const image = { env: ['A=1', 'B=2', 'A=3', 'nonsense', '=x'] };
  assert.deepEqual(config({}, image).env, [PATH, 'A=3', 'B=2']);
  assert.deepEqual(config({ env: ['B=4', 'C=', 'C=5'] }, image).env, [PATH, 'A=3', 'B=4', 'C=5']);
  assert.deepEqual(config({ env: ['A', 'D'] }, image).env, [PATH, 'B=2']);
  assert.deepEqual(config({ env: ['PATH=/x', 'E=a=b\nc'] }).env, ['PATH=/x', 'E=a=b\nc']);
  for (const entry of ['=x', '', 'A=\0', 'A\0=x'])
    assert.throws(() => config({ env: [entry] }), { reason: 'ENV_INVALID' }, JSON.stringify(entry));
});

test('each path that the image says is a volume gets one, unless something is mounted there', () => {
  const image = { volumes: ['/data/', '/data', '/log', '/a/../b'] };
  const { mounts, volumes = [] } = config(
    {
      mounts: [{ source: '/host', destination: '/log/', readOnly: true }],
      volumes: [{ destination: '/own/', readOnly: true, noCopy: true }],
    },
    image,
  );
  assert.deepEqual(mounts, [{ source: '/host', destination: '/log', readOnly: true }]);
  assert.deepEqual(
    volumes.map(({ destination, readOnly, noCopy }) => [destination, readOnly, noCopy]),
    [
      ['/own', true, true],
      ['/b', false, undefined],
      ['/data', false, undefined],
    ],
  );
  for (const { volume } of volumes) assert.match(volume, /^[0-9a-f]{64}$/);
  assert.equal(new Set(volumes.map(({ volume }) => volume)).size, 3);
  assert.equal(config({}).volumes, undefined);
});

test('what the image says holds where the client says nothing', () => {
  const image = {
    workingDir: '/srv',
    user: 'www',
    stopSignal: 'SIGQUIT',
    labels: { a: '1', 'mydocker.x': '2', mydocker: '3' },
  };
  const plain = config({}, image);
  assert.deepEqual([plain.workingDir, plain.user, plain.stopSignal], ['/srv', 'www', 3]);
  assert.deepEqual(plain.labels, { a: '1' });
  const given = config({ workingDir: '/x', user: '', stopSignal: 'KILL', labels: { a: '4', b: '' } }, image);
  assert.deepEqual([given.workingDir, given.user, given.stopSignal], ['/x', '', 9]);
  assert.deepEqual(given.labels, { a: '4', b: '' });
});

test('defaults are the server’s', () => {
  const { workingDir, hostname, network, stopSignal, stopTimeoutMs, terminal, autoRemove } = config({});
  assert.deepEqual(
    { workingDir, hostname, network, stopSignal, stopTimeoutMs, terminal, autoRemove },
    {
      ...{ workingDir: '/', hostname: 'made', network: 'networks', stopSignal: 15, stopTimeoutMs: 10_000 },
      ...{ terminal: false, autoRemove: false },
    },
  );
});

test('paths become absolute and plain', () => {
  assert.equal(config({ workingDir: '/a/../b/' }).workingDir, '/b');
  assert.equal(config({ workingDir: '/../..' }).workingDir, '/');
  assert.equal(config({}, { workingDir: 'a/' }).workingDir, '/a');
  const [mount] = config({ mounts: [{ source: '/a//b/', destination: '/x/./y/', readOnly: true }] }).mounts;
  assert.deepEqual(mount, { source: '/a/b', destination: '/x/y', readOnly: true });
});

test('a stop signal of the image that nobody knows is a warning, one of the client a refusal', () => {
  const { config: merged, warnings } = merge({}, { stopSignal: 'SIGNONE' });
  assert.equal(merged.stopSignal, 15);
  assert.match(warnings.join(), /SIGNONE is unknown/);
  assert.throws(() => merge({ stopSignal: 'SIG99' }), { reason: 'SIGNAL_INVALID' });
});
