/** What an image says about its containers, field by field, and back. */
import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { encodeImageConfig } from '../../../server/image/image-config.ts';
import { parseImageConfig } from '../../../server/image/parse-image-config.ts';
import { parseTime } from '../../../server/image/parse-time.ts';
import { digestOf } from '../../../server/model/digest.ts';
import { EMPTY_IMAGE_CONFIG, type HealthCheck } from '../../../server/model/image.ts';

const DIFF_ID = digestOf('layer');
const parse = (document: object): ReturnType<typeof parseImageConfig> =>
  parseImageConfig(
    Buffer.from(JSON.stringify({ rootfs: { type: 'layers', diff_ids: [DIFF_ID] }, ...document })),
  );
const containers = (config: object): ReturnType<typeof parse>['config'] => parse({ config }).config;

test('every field is read, and what is not ours is left', () => {
  const read = parse({
    ...{ created: '2026-01-02T03:04:05.678901234Z', author: 'A <a@b>', architecture: 'arm64', variant: 'v8' },
    os: 'linux',
    container_config: { Cmd: ['wrong'] },
    config: {
      Entrypoint: ['/e', ''],
      Cmd: ['c'],
      Env: ['PATH=/bin', 'EMPTY='],
      WorkingDir: '/w',
      User: 'u:g',
      Volumes: { '/b': {}, '/a': {} },
      ExposedPorts: { '80/tcp': {}, '53/udp': {} },
      StopSignal: 'SIGQUIT',
      Labels: { a: 'b', __proto__x: 'y' },
      Shell: ['/bin/bash', '-c'],
      HostConfig: { Privileged: true },
      SecurityOpt: ['seccomp=unconfined'],
      Privileged: true,
    },
    history: [
      { created: '2026-01-01T00:00:00+01:00', created_by: 'a', comment: 'b' },
      { created_by: 'c', empty_layer: true },
    ],
  });
  assert.deepEqual(read, {
    builtAt: 1_767_323_045_678_901_234n,
    ...{ author: 'A <a@b>', architecture: 'arm64', variant: 'v8', os: 'linux', diffIds: [DIFF_ID] },
    config: {
      ...{ entrypoint: ['/e', ''], command: ['c'], env: ['PATH=/bin', 'EMPTY='] },
      ...{ workingDir: '/w', user: 'u:g', volumes: ['/a', '/b'], exposedPorts: ['53/udp', '80/tcp'] },
      ...{ stopSignal: 'SIGQUIT', labels: { a: 'b', __proto__x: 'y' }, shell: ['/bin/bash', '-c'] },
    },
    history: [
      { createdAt: 1_767_222_000_000_000_000n, createdBy: 'a', comment: 'b', emptyLayer: false },
      { createdBy: 'c', comment: '', emptyLayer: true },
    ],
  });
});

test('nothing said is nothing', () => {
  for (const config of [
    undefined,
    null,
    {},
    { Cmd: null, Env: null, Labels: null, Volumes: null, User: null },
  ])
    assert.deepEqual(parse({ config }).config, EMPTY_IMAGE_CONFIG);
});

test('keys that would reach a prototype are labels like others', () => {
  const bytes = Buffer.from(
    `{"config":{"Labels":{"__proto__":"a","constructor":"b"}},"__proto__":{"config":1},
    "rootfs":{"type":"layers","diff_ids":[]}}`,
  );
  const { labels } = parseImageConfig(bytes).config;
  assert.deepEqual(Object.entries(labels), [
    ['__proto__', 'a'],
    ['constructor', 'b'],
  ]);
  assert.equal(Object.getPrototypeOf(labels), Object.prototype);
  assert.equal(({} as Record<string, unknown>)['config'], undefined);
});

describe('a health check', () => {
  const none = { intervalMs: 0, timeoutMs: 0, retries: 0, startPeriodMs: 0, startIntervalMs: 0 };
  const cases: [check: object | null, expected: HealthCheck | undefined][] = [
    [null, undefined],
    [{}, undefined],
    [{ Test: [] }, undefined],
    [{ Test: ['NONE'] }, { disabled: true, args: [], ...none }],
    [{ Test: ['CMD', 'a', 'b'] }, { disabled: false, args: ['a', 'b'], ...none }],
    [{ Test: ['CMD-SHELL', 'a b'] }, { disabled: false, args: ['/bin/sh', '-c', 'a b'], ...none }],
    [
      {
        Test: ['CMD', 'a'],
        Interval: 1_500_000_000,
        Timeout: 1,
        Retries: 3,
        StartPeriod: 2e9,
        StartInterval: 5e9,
      },
      {
        ...{ disabled: false, args: ['a'], intervalMs: 1500, timeoutMs: 1, retries: 3 },
        ...{ startPeriodMs: 2000, startIntervalMs: 5000 },
      },
    ],
  ];
  for (const [check, expected] of cases)
    test(JSON.stringify(check), () => {
      assert.deepEqual(containers({ Healthcheck: check }).healthCheck, expected);
    });
});

test('what is written is read again', () => {
  const { diffIds, ...image } = parse({
    config: { Healthcheck: { Test: ['CMD', 'a'], Interval: 1e9 }, Cmd: ['x'], Labels: { a: 'b' } },
    history: [{ created: '2026-01-01T00:00:00.5Z', created_by: 'a' }],
  });
  assert.deepEqual(parseImageConfig(encodeImageConfig({ ...image, diffIds })), { ...image, diffIds });
});

test('times', () => {
  const cases: [text: string, ns: bigint | undefined][] = [
    ['1970-01-01T00:00:01Z', 1_000_000_000n],
    ['2023-11-14T22:13:20.000000001Z', 1_700_000_000_000_000_001n],
    ['0001-01-01T00:00:00Z', undefined],
    ['', undefined],
    ['yesterday', undefined],
    ['2023-13-14T22:13:20Z', undefined],
  ];
  for (const [text, ns] of cases) assert.equal(parseTime(text), ns, text);
});
