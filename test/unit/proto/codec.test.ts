/**
 * The generated codecs keep what the contract promises: 64-bit numbers and nanoseconds whole, "not given"
 * apart from "empty", bytes without a copy; and the CLI can load them without grpc-js.
 */
import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { test } from 'node:test';
import { ContainerConfig, NetworkMode } from '../../../proto/gen/mydocker/v1/config.ts';
import { CreateContainerRequest, ListContainersResponse } from '../../../proto/gen/mydocker/v1/containers.ts';
import { AttachTaskRequest, AttachTaskResponse } from '../../../proto/gen/mydocker/v1/tasks.ts';
import { Exit, ExitReason, TaskStatus } from '../../../proto/gen/mydocker/v1/types.ts';

test('codec keeps an exit with a time in nanoseconds', () => {
  const exit = Exit.fromPartial({
    runId: '0123456789abcdef',
    exitStatus: 137,
    signal: 9,
    oomKilled: true,
    exitedAt: { seconds: 1_795_000_000n, nanos: 123_456_789 },
    reason: ExitReason.EXITED,
  });
  assert.deepEqual(Exit.decode(Exit.encode(exit).finish()), exit);
});

test('codec tells "not given" from "empty" and from a value', () => {
  const config = ContainerConfig.fromPartial({
    rootfs: { $case: 'image', value: 'busybox' },
    entrypoint: { values: [] },
    workingDir: '',
    network: { mode: NetworkMode.NONE },
    resources: { memoryLimitBytes: -1n, pidsMax: 2n ** 53n + 1n },
    labels: { a: '1', b: '' },
  });
  const request = CreateContainerRequest.fromPartial({ requestId: 'r', name: 'web', config });
  const back = CreateContainerRequest.decode(CreateContainerRequest.encode(request).finish()).config;
  assert.deepEqual(back, config);
  assert.deepEqual(back?.entrypoint, { values: [] });
  assert.equal(back?.command, undefined);
  assert.equal(back?.workingDir, '');
  assert.equal(back?.user, undefined);
  assert.equal(back?.resources?.memoryLimitBytes, -1n);
  assert.equal(back?.resources?.pidsMax, 9_007_199_254_740_993n);
  assert.equal(back?.resources?.nanoCpus, undefined);
});

test('codec carries each frame of an attachment', () => {
  const frames: AttachTaskRequest['frame'][] = [
    { $case: 'stdin', value: Uint8Array.of(0, 255, 10) },
    { $case: 'closeStdin', value: {} },
    { $case: 'resize', value: { columns: 132, rows: 43 } },
    { $case: 'detach', value: {} },
  ];
  for (const frame of frames) {
    assert.deepEqual(AttachTaskRequest.decode(AttachTaskRequest.encode({ frame }).finish()).frame, frame);
  }
});

test('codec gives output bytes as a view of the message', () => {
  const wire = AttachTaskResponse.encode({
    frame: { $case: 'stdout', value: new Uint8Array(1 << 20).fill(65) },
  }).finish();
  const { frame } = AttachTaskResponse.decode(wire);
  assert.equal(frame?.$case, 'stdout');
  assert.ok(
    frame?.$case === 'stdout' && frame.value.length === 1 << 20 && frame.value.buffer === wire.buffer,
  );
});

test('codec passes a page of 100 containers', () => {
  const page = ListContainersResponse.fromPartial({
    containers: Array.from({ length: 100 }, (_, index) => ({
      id: index.toString(16).padStart(64, '0'),
      name: `c${index}`,
      status: TaskStatus.RUNNING,
      args: ['sh', '-c', 'true'],
    })),
  });
  assert.deepEqual(ListContainersResponse.decode(ListContainersResponse.encode(page).finish()), page);
});

test('codec refuses a message that is cut off', () => {
  const wire = Exit.encode(Exit.fromPartial({ runId: '0123456789abcdef' })).finish();
  assert.throws(() => Exit.decode(wire.subarray(0, wire.length - 1)));
});

test('codec files load without grpc-js', () => {
  const script = `
    const { registerHooks } = await import('node:module');
    let loaded = 0;
    registerHooks({ load(url, context, next) {
      if (/grpc-js|protobufjs|proto-loader/.test(url)) throw new Error('loads ' + url);
      loaded += 1;
      return next(url, context);
    } });
    for (const name of ['images', 'containers', 'tasks', 'networks', 'events', 'system'])
      await import('./proto/gen/mydocker/v1/' + name + '.ts');
    await import('./proto/gen/google/rpc/error_details.ts');
    console.log(loaded > 10);
    console.log(await import('@grpc/grpc-js').then(() => 'unnoticed', (error) => error.message.slice(0, 5)));`;
  const out = execFileSync(process.execPath, ['--input-type=module', '-e', script], {
    cwd: new URL('../../..', import.meta.url),
    encoding: 'utf8',
  });
  // The last line proves that the hook would have noticed.
  assert.deepEqual(out.trim().split('\n'), ['true', 'loads']);
});
