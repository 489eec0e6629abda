/** AttachTask frame by frame, as a client in another language would use it. */
import assert from 'node:assert/strict';
import { after, afterEach, before, test } from 'node:test';
import type { ClientDuplexStream, ServiceError } from '@grpc/grpc-js';
import type { ProcessConfig } from '../../proto/gen/mydocker/v1/containers.ts';
import {
  AttachOpen,
  AttachReplay,
  type AttachTaskRequest,
  type AttachTaskResponse,
} from '../../proto/gen/mydocker/v1/tasks.ts';
import { TaskStatus } from '../../proto/gen/mydocker/v1/types.ts';
import { type Host, startHost } from '../harness/host.ts';
import { type WireError, wireError } from '../unit/grpc/serve-here.ts';
import { until } from './ground.ts';

let host: Host;
before(async () => {
  host = await startHost({ images: ['busybox'] });
});
afterEach(() => host.assertClean());
after(() => host.dispose());

/** Waits until something is so. */
const holds = (ask: () => Promise<boolean> | boolean): Promise<boolean> => until(ask, Boolean);

type Frame = NonNullable<AttachTaskResponse['frame']>;

/** One call, and what came of it so far. */
interface Call {
  readonly call: ClientDuplexStream<AttachTaskRequest, AttachTaskResponse>;
  readonly frames: Frame[];
  /** Kinds of the frames, neighbours of one kind once. */
  kinds(): string[];
  text(stream: 'stdout' | 'stderr'): string;
  /** Resolves when the call is over; with its error when it has one. */
  readonly over: Promise<WireError | undefined>;
  send(frame: NonNullable<AttachTaskRequest['frame']>): void;
}

type Open = Parameters<typeof AttachOpen.fromPartial>[0];

function attach(open: Open): Call {
  const call = host.api.tasks.attachTask();
  const frames: Frame[] = [];
  call.on('data', ({ frame }: AttachTaskResponse) => {
    if (frame !== undefined) frames.push(frame);
  });
  const over = new Promise<WireError | undefined>((resolve) => {
    call.once('end', () => resolve(undefined));
    call.once('error', (error: ServiceError) => resolve(error.code === 1 ? undefined : wireError(error)));
  });
  const send = (frame: NonNullable<AttachTaskRequest['frame']>): void => void call.write({ frame });
  send({ $case: 'open', value: AttachOpen.fromPartial({ stdout: true, stderr: true, ...open }) });
  return {
    ...{ call, frames, over, send },
    kinds: () => frames.map(({ $case }) => $case).filter((kind, i, all) => kind !== all[i - 1]),
    text: (stream) =>
      Buffer.concat(frames.flatMap((f) => (f.$case === stream ? [f.value as Uint8Array] : []))).toString(),
  };
}

const create = async (script: string, config: object = {}): Promise<string> => {
  const rootfs = { $case: 'image', value: 'busybox' } as const;
  const command = { values: ['sh', '-c', script] };
  return (await host.api.containers.createContainer({ config: { rootfs, command, ...config } })).id;
};

const remove = (container: string): Promise<unknown> =>
  host.api.containers.removeContainer({ container, force: true });

const shell = (script: string, more: Partial<ProcessConfig> = {}): Partial<ProcessConfig> => ({
  args: ['sh', '-c', script],
  ...more,
});

test('start: the client is there before the first byte and gets all of it', async () => {
  const container = await create('echo out; echo err >&2; exit 3');
  const call = attach({ container, start: true });
  assert.equal(await call.over, undefined);
  assert.deepEqual(call.kinds().slice(0, 2), ['ready', 'started']);
  assert.deepEqual([call.text('stdout'), call.text('stderr')], ['out\n', 'err\n']);
  const exit = call.frames.at(-1);
  assert.ok(exit?.$case === 'exit' && exit.value.exitStatus === 3);
  assert.ok(call.frames[0]?.$case === 'ready' && call.frames[0].value.runId === exit.value.runId);
  await remove(container);
});

test('start that fails: the error comes on the call, with the status to exit with', async () => {
  const container = await create('', { command: { values: ['/none'] } });
  const error = await attach({ container, start: true }).over;
  assert.deepEqual([error?.reason, error?.metadata['exit_status']], ['COMMAND_NOT_FOUND', '127']);
  await remove(container);
});

test('input ends for good with stdin_once, and only for the client without', async () => {
  const once = await create('cat; echo end', { openStdin: true, stdinOnce: true });
  const call = attach({ container: once, start: true, stdin: true });
  call.send({ $case: 'stdin', value: Buffer.from('hello\n') });
  call.call.end();
  assert.equal(await call.over, undefined);
  assert.equal(call.text('stdout'), 'hello\nend\n');
  const open = await create('while read x; do echo "got $x"; done', { openStdin: true });
  const first = attach({ container: open, start: true, stdin: true });
  first.send({ $case: 'stdin', value: Buffer.from('1\n') });
  await holds(() => first.text('stdout') === 'got 1\n');
  first.send({ $case: 'detach', value: {} });
  assert.equal(await first.over, undefined);
  assert.ok(!first.kinds().includes('exit'));
  const second = attach({ container: open, stdin: true, replay: AttachReplay.RUN_START });
  second.send({ $case: 'stdin', value: Buffer.from('2\n') });
  await holds(() => second.text('stdout') === 'got 1\ngot 2\n');
  second.send({ $case: 'detach', value: {} });
  await second.over;
  await remove(once);
  await remove(open);
});

test('a client that waits for a start gets the output from its first byte', async () => {
  const container = await create('echo first; sleep 100');
  const call = attach({ container });
  await holds(() => call.frames.length === 1);
  assert.ok(call.frames[0]?.$case === 'ready' && call.frames[0].value.runId === '');
  await host.api.tasks.startTask({ container });
  await holds(() => call.text('stdout') === 'first\n');
  assert.deepEqual(call.kinds(), ['ready', 'started', 'stdout']);
  await remove(container);
  await call.over;
  assert.equal(call.kinds().at(-1), 'exit');
});

test('exec: streams, input, size and status are its own', async () => {
  const container = await create('sleep 1000');
  await host.api.tasks.startTask({ container });
  const plain = attach({
    container,
    exec: shell('cat; echo err >&2; exit 5', { openStdin: true }),
    stdin: true,
  });
  plain.send({ $case: 'stdin', value: Buffer.from('in') });
  plain.send({ $case: 'closeStdin', value: {} });
  await plain.over;
  assert.deepEqual([plain.text('stdout'), plain.text('stderr')], ['in', 'err\n']);
  assert.ok(plain.frames.at(-1)?.$case === 'exit');
  const silent = attach({ container, exec: shell('echo a; sleep 0.5; echo b') });
  silent.call.end();
  await silent.over;
  assert.equal(silent.text('stdout'), 'a\nb\n');
  const exec = shell('stty size; read x; stty size', { terminal: true, openStdin: true });
  const tty = attach({ container, exec, stdin: true, terminalSize: { columns: 100, rows: 40 } });
  await holds(() => tty.text('stdout').includes('40 100'));
  tty.send({ $case: 'resize', value: { columns: 33, rows: 11 } });
  tty.send({ $case: 'stdin', value: Buffer.from('\n') });
  await tty.over;
  assert.match(tty.text('stdout'), /40 100\r\n[\s\S]*11 33\r\n$/);
  const missing = await attach({ container, exec: { args: ['none'] } }).over;
  assert.equal(missing?.metadata['exit_status'], '127');
  await remove(container);
});

test('exec with kill_on_disconnect ends when its client is gone', async () => {
  const container = await create('sleep 1000');
  await host.api.tasks.startTask({ container });
  const call = attach({ container, exec: shell('trap "" HUP; echo up; sleep 1000'), killOnDisconnect: true });
  await holds(() => call.text('stdout') === 'up\n');
  call.call.cancel();
  const execs = async (): Promise<number> =>
    (await host.api.tasks.getTask({ container })).task?.execs.length ?? -1;
  await holds(async () => (await execs()) === 0);
  await remove(container);
});

test('a repeated exec or start is one', async () => {
  const container = await create('echo up; sleep 1000');
  const runIds = async (open: Open): Promise<[string, string]> => {
    const ids: string[] = [];
    for (let i = 0; i < 2; i += 1) {
      const call = attach({ container, ...open });
      await holds(() => call.frames.length > 0);
      ids.push(call.frames[0]?.$case === 'ready' ? call.frames[0].value.runId : '');
      await holds(() => open.exec !== undefined || call.text('stdout') === 'up\n');
      call.send({ $case: 'detach', value: {} });
      await call.over;
    }
    return [ids[0] ?? '', ids[1] ?? ''];
  };
  const [start, startAgain] = await runIds({ start: true, requestId: 's' });
  assert.equal(startAgain, start);
  const [exec, execAgain] = await runIds({ exec: shell('sleep 1000'), requestId: 'e' });
  assert.equal(execAgain, exec);
  assert.notEqual(exec, start);
  await remove(container);
});

test('a client that leaves before the start leaves nothing running', async () => {
  const container = await create('sleep 1000');
  for (let i = 0; i < 5; i += 1) {
    const call = attach({ container, start: true });
    setTimeout(() => call.call.cancel(), i * 8);
    await call.over;
    // It may have begun before its client left, and then goes on; but it never waits at the gate for nobody.
    await holds(async () => {
      const { container: now } = await host.api.containers.getContainer({ container });
      const waits = now?.status === TaskStatus.CREATED && now.run !== undefined;
      return !waits && now?.status !== TaskStatus.STARTING;
    });
    await host.api.tasks.stopTask({ container, timeoutMs: 0 });
  }
  await remove(container);
});

test('frames out of order are refused', async () => {
  const container = await create('sleep 1000', { openStdin: true });
  const early = host.api.tasks.attachTask();
  const refused = new Promise<ServiceError>((resolve) => early.once('error', resolve));
  early.on('data', () => undefined);
  early.write({ frame: { $case: 'stdin', value: Buffer.from('x') } });
  assert.equal(wireError(await refused).reason, 'FRAME_OUT_OF_ORDER');
  const both = await attach({ container, exec: shell('x'), start: true }).over;
  assert.equal(both?.reason, 'ATTACH_OPEN_INVALID');
  const twice = attach({ container, start: true, stdin: true });
  await holds(() => twice.frames.length > 1);
  twice.send({ $case: 'open', value: AttachOpen.fromPartial({ container }) });
  assert.equal((await twice.over)?.reason, 'FRAME_OUT_OF_ORDER');
  await remove(container);
});

test('a client that finds no room is told so, and those that are there notice nothing', async () => {
  const container = await create('read line; echo "$line"; exec sleep 1000', { openStdin: true });
  await host.api.tasks.startTask({ container });
  const calls: Call[] = [];
  for (let count = 0; count < 24; count += 1) {
    const call = attach({ container, stdin: true });
    calls.push(call);
    await holds(() => call.kinds().includes('ready'));
  }
  const refused = await attach({ container }).over;
  assert.deepEqual([refused?.code, refused?.reason], [8, 'TOO_MANY_CLIENTS']);
  calls[0]?.send({ $case: 'stdin', value: Buffer.from('still here\n') });
  for (const call of calls) await holds(() => call.text('stdout') === 'still here\n');
  calls.pop()?.call.cancel();
  await holds(async () => {
    const late = attach({ container, replay: AttachReplay.RUN_START });
    const came = holds(() => late.text('stdout') !== '').then(() => true);
    const seen = await Promise.race([came, late.over.then(() => false)]);
    late.call.cancel();
    return seen;
  });
  for (const { call } of calls) call.cancel();
  await remove(container);
});
