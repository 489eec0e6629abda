/**
 * Commands as a shell runs them, against a server that answers what the test says: what is asked for, what is printed
 * where, and which exit status comes of it.
 */
import assert from 'node:assert/strict';
import { type ChildProcess, spawn } from 'node:child_process';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { after, afterEach, before, test } from 'node:test';
import { status } from '@grpc/grpc-js';
import type { ListContainersRequest } from '../../../proto/gen/mydocker/v1/containers.ts';
import type { ImportImageRequest } from '../../../proto/gen/mydocker/v1/images.ts';
import type { AttachTaskRequest, KillTaskRequest } from '../../../proto/gen/mydocker/v1/tasks.ts';
import { TaskStatus } from '../../../proto/gen/mydocker/v1/types.ts';
import { PROJECT, type RunResult, run } from '../../harness/cli.ts';
import { type FakeServer, type Handlers, serviceError, startFakeServer } from './fake-server.ts';

const MAIN = join(PROJECT, 'client/main.ts');
const ID = `${'c0ffee'.repeat(10)}abcd`;
const text = (value: string): Buffer => Buffer.from(value);

let server: FakeServer;
let handlers: Record<string, (call: never) => unknown> = {};
/** The requests that came, by method. */
let requests: Record<string, unknown[]> = {};

before(async () => {
  const names = [
    'CreateContainer',
    'GetContainer',
    'ListContainers',
    'RemoveContainer',
    'StartTask',
    'StopTask',
    'KillTask',
    'WaitTask',
    'AttachTask',
    'ReadTaskLogs',
    'ImportImage',
    'GetImage',
    'ListImages',
    'SubscribeEvents',
  ];
  const forward =
    (name: string) => (call: { request?: unknown; emit(event: string, error: unknown): void }) => {
      requests[name] = [...(requests[name] ?? []), call.request];
      const handler = handlers[name] as ((call: unknown) => unknown) | undefined;
      if (handler !== undefined) return handler(call);
      const error = serviceError(status.UNIMPLEMENTED, `cannot call ${name}: the test has no answer`);
      if (name.startsWith('List') || name.startsWith('Subscribe')) call.emit('error', error);
      throw error;
    };
  const all: Handlers = Object.fromEntries(names.map((name) => [name, forward(name)]));
  server = await startFakeServer(all);
});
after(() => server.stop());
afterEach(() => {
  handlers = {};
  requests = {};
});

const environment = (): Record<string, string> => ({
  MYDOCKER_HOST: server.host,
  TZ: 'UTC',
  MYDOCKER_IMAGE: '',
});
const mydocker = (args: string, stdin = ''): Promise<RunResult> =>
  run(process.execPath, [MAIN, ...args.split(' ')], { stdin, env: environment() });
const start = (args: string): ChildProcess =>
  spawn(process.execPath, [MAIN, ...args.split(' ')], { env: { ...process.env, ...environment() } });

interface AttachCall {
  on(event: 'data', listener: (request: AttachTaskRequest) => void): void;
  write(message: unknown): void;
  end(): void;
  emit(event: 'error', error: unknown): void;
}

/** A run that is attached to, and does what the function says once it has begun. */
function attached(
  body: (call: AttachCall) => void,
  frames: AttachTaskRequest['frame'][] = [],
): (call: never) => void {
  return ((call: AttachCall) => {
    call.on('data', ({ frame }) => {
      frames.push(frame);
      if (frame?.$case !== 'open') return;
      call.write({ frame: { $case: 'ready', value: { containerId: ID } } });
      call.write({ frame: { $case: 'started', value: { run: { runId: 'a'.repeat(16), pid: 1 } } } });
      body(call);
    });
  }) as (call: never) => void;
}

const exit = (call: AttachCall, exitStatus: number, more = {}): void => {
  call.write({ frame: { $case: 'exit', value: { runId: 'a'.repeat(16), exitStatus, reason: 1, ...more } } });
  call.end();
};

test('ps: a line for each container, in the ancestors’ columns', async () => {
  handlers['ListContainers'] = (call: { write(m: unknown): void; end(): void }) => {
    const createdAt = { seconds: 1_795_317_180n, nanos: 0 };
    const common = { id: ID, image: 'busybox', driver: 'overlay', createdAt };
    call.write({
      containers: [
        {
          ...common,
          name: 'web',
          status: TaskStatus.RUNNING,
          pid: 7,
          args: ['sh', '-c', 'a\tb'],
          ips: ['10.0.0.2'],
        },
      ],
    });
    call.write({
      containers: [
        { ...common, name: 'old', status: TaskStatus.STOPPED, exit: { exitStatus: 3, reason: 1 } },
      ],
    });
    call.end();
  };
  const { code, stdout } = await mydocker('ps');
  assert.equal(code, 0);
  assert.deepEqual(stdout.split('\n'), [
    'CONTAINER ID   NAME   IMAGE     STATUS        DRIVER    PID   COMMAND          IPS        PORTS   CREATED',
    'c0ffeec0ffee   web    busybox   running       overlay   7     [sh -c a\\x09b]   10.0.0.2           2026-11-22 03:13:00',
    'c0ffeec0ffee   old    busybox   stopped (3)   overlay   0     []                                  2026-11-22 03:13:00',
    '',
  ]);
  assert.equal((await mydocker('ps -q')).stdout, 'c0ffeec0ffee\nc0ffeec0ffee\n');
  assert.equal(
    (await mydocker('ps -q --no-trunc -n 3 -r -f status=exited -f label=a=b -f name=x')).stdout,
    `${ID}\n${ID}\n`,
  );
  const request = requests['ListContainers']?.at(-1) as ListContainersRequest;
  assert.deepEqual([request.limit, request.runningOnly, request.statuses], [3, true, [TaskStatus.STOPPED]]);
  assert.deepEqual([request.names, request.labels], [['x'], [{ key: 'a', value: 'b', absent: false }]]);
});

test('run: output apart, the process’s exit status, input to its end', async () => {
  const frames: AttachTaskRequest['frame'][] = [];
  handlers['CreateContainer'] = () => ({ id: ID, name: 'web', rev: 1n, warnings: ['careful'] });
  handlers['AttachTask'] = attached((call) => {
    call.on('data', ({ frame }) => {
      if (frame?.$case === 'stdin') call.write({ frame: { $case: 'stdout', value: frame.value } });
      if (frame?.$case !== 'closeStdin') return;
      call.write({ frame: { $case: 'stderr', value: text('to stderr\n') } });
      exit(call, 42);
    });
  }, frames);
  const { code, stdout, stderr } = await mydocker('run -i busybox cat', 'in\n');
  assert.equal(code, 42);
  assert.equal(stdout, 'in\n');
  assert.equal(stderr, 'warning: careful\nto stderr\n');
  const [open] = frames;
  assert.ok(open?.$case === 'open');
  const { container, start: starts, stdin, stdout: out, stderr: err, terminalSize } = open.value;
  assert.deepEqual(
    [container, starts, stdin, out, err, terminalSize],
    [ID, true, true, true, true, undefined],
  );
});

test('run without -i sends no input and does not wait for any', async () => {
  const frames: AttachTaskRequest['frame'][] = [];
  handlers['CreateContainer'] = () => ({ id: ID });
  handlers['AttachTask'] = attached((call) => exit(call, 0), frames);
  assert.equal((await mydocker('run busybox true', 'ignored')).code, 0);
  assert.deepEqual(
    frames.map((frame) => frame?.$case),
    ['open'],
  );
});

test('run --rm comes back once the container is gone', async () => {
  handlers['CreateContainer'] = () => ({ id: ID });
  handlers['AttachTask'] = attached((call) => exit(call, 3));
  handlers['WaitTask'] = () => {
    throw serviceError(status.NOT_FOUND, 'gone already');
  };
  assert.equal((await mydocker('run --rm busybox true')).code, 3);
  assert.equal(requests['WaitTask']?.length, 1);
});

test('run: a program that is not there is 127, and --rm leaves nothing', async () => {
  handlers['CreateContainer'] = () => ({ id: ID });
  handlers['RemoveContainer'] = () => ({ id: ID });
  handlers['AttachTask'] = ((call: AttachCall) => {
    const error = serviceError(status.FAILED_PRECONDITION, 'cannot start container web: execute: ENOENT', {
      hint: 'check the command',
      metadata: { exit_status: '127' },
    });
    call.on('data', () => call.emit('error', error));
  }) as (call: never) => void;
  const { code, stdout, stderr } = await mydocker('run --rm busybox nosuch');
  assert.equal(code, 127);
  assert.equal(stdout, '');
  assert.equal(stderr, 'mydocker: cannot start container web: execute: ENOENT\nhint: check the command\n');
  assert.equal(requests['RemoveContainer']?.length, 1);
});

test('run -d prints the id; an image that is not there is 125', async () => {
  handlers['CreateContainer'] = () => ({ id: ID });
  handlers['StartTask'] = () => ({ containerId: ID });
  const { code, stdout } = await mydocker('run -dit --name web busybox');
  assert.deepEqual([code, stdout], [0, `${ID}\n`]);
  handlers['CreateContainer'] = () => {
    throw serviceError(status.NOT_FOUND, 'cannot create container: no such image');
  };
  assert.equal((await mydocker('run -d busybox')).code, 125);
});

test('run: signals go to the run, and what was left out is told', async () => {
  const killed: KillTaskRequest[] = [];
  let call: AttachCall | undefined;
  handlers['CreateContainer'] = () => ({ id: ID });
  handlers['KillTask'] = ({ request }: { request: KillTaskRequest }) => {
    killed.push(request);
    if (call !== undefined) exit(call, 128 + 15);
    return { runId: request.runId };
  };
  handlers['AttachTask'] = attached((opened) => {
    call = opened;
    opened.write({ frame: { $case: 'dropped', value: { sizeBytes: 5n } } });
    opened.write({ frame: { $case: 'stdout', value: text('ready\n') } });
  });
  const child = start('run busybox sleep 100');
  let stderr = '';
  child.stderr?.on('data', (chunk) => {
    stderr += chunk;
  });
  child.stdout?.once('data', () => child.kill('SIGTERM'));
  const code = await new Promise((resolve) => child.once('close', resolve));
  assert.equal(code, 143);
  assert.deepEqual(
    killed.map(({ container, signal, runId }) => [container, signal, runId]),
    [[ID, 'SIGTERM', 'a'.repeat(16)]],
  );
  assert.match(stderr, /5 bytes of output are missing.*\nhint: mydocker logs c0ffeec0ffee/);
});

test('exec: everything behind the name is the command, but for one --', async () => {
  const frames: AttachTaskRequest['frame'][] = [];
  handlers['AttachTask'] = attached((call) => exit(call, 1), frames);
  assert.equal((await mydocker('exec -e A=1 -w /x -u u web -- echo -- -n')).code, 1);
  const [open] = frames;
  assert.ok(open?.$case === 'open');
  const { exec, killOnDisconnect } = open.value;
  assert.deepEqual(
    [exec?.args, exec?.env, exec?.workingDir, exec?.user],
    [['echo', '--', '-n'], ['A=1'], '/x', 'u'],
  );
  assert.equal(killOnDisconnect, true);
  assert.match((await mydocker('exec web')).stderr, /no command given/);
});

test('logs: raw bytes to where they came from; with times a line at a time', async () => {
  handlers['ReadTaskLogs'] = (call: {
    request: { format: number };
    write(m: unknown): void;
    end(): void;
  }) => {
    const at = { seconds: 0n, nanos: 5 };
    const entry = (data: string, partial = false) => ({ at, stream: 1, data: text(data), partial });
    if (call.request.format === 2) {
      call.write({ frame: { $case: 'stdout', value: text('out\n') } });
      call.write({ frame: { $case: 'stderr', value: text('err\n') } });
    } else {
      call.write({
        frame: { $case: 'entries', value: { entries: [entry('a', true), entry('b\n'), entry('last')] } },
      });
    }
    call.end();
  };
  const raw = await mydocker('logs web');
  assert.deepEqual([raw.stdout, raw.stderr], ['out\n', 'err\n']);
  const time = '1970-01-01T00:00:00.000000005Z';
  assert.equal((await mydocker('logs web -t --tail 5')).stdout, `${time} ab\n${time} last\n`);
});

test('several names: what can be done is done, each failure is told', async () => {
  handlers['StopTask'] = ({ request }: { request: { container: string } }) => {
    if (request.container === 'none') throw serviceError(status.NOT_FOUND, 'cannot find container none');
    return { containerId: ID };
  };
  const { code, stdout, stderr } = await mydocker('stop -t 3 one none two');
  assert.deepEqual([code, stdout, stderr], [125, 'one\ntwo\n', 'mydocker: cannot find container none\n']);
  const [request] = requests['StopTask'] ?? [];
  assert.equal((request as { timeoutMs: number }).timeoutMs, 3000);
});

test('start: what runs already is no error', async () => {
  handlers['StartTask'] = () => {
    throw serviceError(status.FAILED_PRECONDITION, 'it runs', { reason: 'CONTAINER_RUNNING' });
  };
  assert.deepEqual(await mydocker('start web'), { code: 0, stdout: 'web\n', stderr: '' });
});

test('inspect: a container, else an image; JSON also where one is missing', async () => {
  handlers['GetContainer'] = () => {
    throw serviceError(status.NOT_FOUND, 'no such container');
  };
  handlers['GetImage'] = ({ request }: { request: { image: string } }) => {
    if (request.image !== 'busybox') throw serviceError(status.NOT_FOUND, 'no such image');
    return { image: { id: 'sha256:1', references: ['docker.io/library/busybox:latest'] } };
  };
  const { code, stdout, stderr } = await mydocker('inspect busybox nope');
  assert.equal(code, 125);
  assert.equal(JSON.parse(stdout)[0].Id, 'sha256:1');
  assert.equal(stderr, 'mydocker: cannot find nope: no such container, network, image or volume\n');
});

test('import: header, then the file’s bytes', async () => {
  const frames: ImportImageRequest['frame'][] = [];
  handlers['ImportImage'] = ((call: { on(event: string, f: (m: ImportImageRequest) => void): void }) =>
    new Promise((resolve) => {
      call.on('data', ({ frame }) => frames.push(frame));
      call.on('end', () => resolve({ imageId: 'sha256:2' }));
    })) as (call: never) => unknown;
  const file = join(server.folder, 'rootfs.tar');
  writeFileSync(file, 'x'.repeat(3_000_000));
  const { code, stdout } = await mydocker(`import -m words ${file} app:1`);
  assert.deepEqual([code, stdout], [0, 'sha256:2\n']);
  const [header, ...chunks] = frames;
  assert.ok(header?.$case === 'header');
  assert.deepEqual(
    [header.value.reference, header.value.message, header.value.totalBytes],
    ['app:1', 'words', 3_000_000n],
  );
  assert.equal(
    chunks.reduce((sum, frame) => sum + (frame?.$case === 'chunk' ? frame.value.length : 0), 0),
    3_000_000,
  );
  assert.match((await mydocker('import /nowhere app')).stderr, /cannot open \/nowhere: ENOENT\nhint: /);
});

test('a reader that leaves ends the command without a word', async () => {
  handlers['ReadTaskLogs'] = ((call: { write(m: unknown): void; end(): void }) => {
    for (let page = 0; page < 100; page += 1)
      call.write({ frame: { $case: 'stdout', value: Buffer.alloc(1 << 18, 97) } });
    call.end();
  }) as (call: never) => void;
  const child = start('logs web');
  let stderr = '';
  child.stderr?.on('data', (chunk) => {
    stderr += chunk;
  });
  child.stdout?.once('data', () => child.stdout?.destroy());
  const code = await new Promise((resolve) => child.once('close', resolve));
  assert.deepEqual([code, stderr], [141, '']);
});

test('events --json: an object a line', async () => {
  handlers['SubscribeEvents'] = ((call: { write(m: unknown): void; end(): void }) => {
    call.write({ events: [{ seq: 1n, subject: 1, action: 2, id: ID, name: 'web' }] });
    call.end();
  }) as (call: never) => void;
  const { stdout } = await mydocker('events --json');
  const { seq, subject, action, name } = JSON.parse(stdout);
  assert.deepEqual([seq, subject, action, name], [1, 'container', 'start', 'web']);
  assert.match((await mydocker('events')).stdout, new RegExp(`^container start ${ID} \\(name=web\\)\n$`));
});

test('without a server: where it was looked for, and what to do', async () => {
  const { code, stdout, stderr } = await mydocker('--host unix:///nowhere/s ps');
  assert.deepEqual([code, stdout], [125, '']);
  assert.equal(
    stderr,
    'mydocker: cannot connect to the server at unix:///nowhere/s: no such socket\nhint: is mydockerd running?\n',
  );
  assert.match((await mydocker('--host tcp://x ps')).stderr, /invalid host/);
});

test('help and wrong arguments load neither sockets nor codecs', async () => {
  const hook = `
    import { registerHooks } from 'node:module';
    const seen = [];
    registerHooks({ load(url, context, next) { seen.push(url); return next(url, context); } });
    process.on('exit', () => {
      const loaded = seen.filter((url) => /proto\\/gen|bufbuild/.test(url));
      if (process.moduleLoadList.includes('NativeModule net')) loaded.push('net');
      console.error('LOADED ' + loaded.length);
    });`;
  const load = `data:text/javascript,${encodeURIComponent(hook)}`;
  for (const [args, expected] of [
    ['--help', 0],
    ['run --help', 0],
    ['help image', 0],
    ['--version', 0],
    ['run --nosuch', 125],
    ['stop', 125],
    ['nosuch', 125],
  ] as const) {
    const { code, stderr } = await run(process.execPath, ['--import', load, MAIN, ...args.split(' ')]);
    assert.equal(code, expected, args);
    assert.match(stderr, /LOADED 0\n$/, args);
  }
});
