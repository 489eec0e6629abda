/** The API itself: what any client can rely on, and what none can do to the server. */
import assert from 'node:assert/strict';
import { statSync } from 'node:fs';
import { after, afterEach, before, test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { Client, credentials, type ServiceError } from '@grpc/grpc-js';
import { ErrorInfo, LocalizedMessage } from '../../proto/gen/google/rpc/error_details.ts';
import { Status } from '../../proto/gen/google/rpc/status.ts';
import { type Event, EventAction } from '../../proto/gen/mydocker/v1/events.ts';
import {
  AttachReplay,
  AttachTaskRequest,
  type AttachTaskResponse,
} from '../../proto/gen/mydocker/v1/tasks.ts';
import { TaskStatus } from '../../proto/gen/mydocker/v1/types.ts';
import type { Api } from '../harness/api.ts';
import { type Host, startHost } from '../harness/host.ts';
import { assertClean, outputOf, until } from './ground.ts';

let host: Host;
before(async () => {
  host = await startHost({ images: ['busybox'] });
});
afterEach(() => assertClean(host));
after(() => host.dispose());

const create = async (name: string, ...command: string[]): Promise<string> => {
  const config = {
    rootfs: { $case: 'image', value: 'busybox' },
    command: { values: command },
    openStdin: true,
  } as const;
  return (await host.api.containers.createContainer({ name, config })).id;
};

type Attach = ReturnType<Api['tasks']['attachTask']>;

/** An attached client: everything it was told, and ways to talk. */
function attach(open: NonNullable<Parameters<typeof AttachTaskRequest.create>[0]>['frame']): {
  readonly call: Attach;
  readonly frames: AttachTaskResponse[];
  readonly ended: Promise<Error | undefined>;
  readonly text: () => string;
} {
  const call = host.api.tasks.attachTask();
  const frames: AttachTaskResponse[] = [];
  call.on('data', (frame: AttachTaskResponse) => frames.push(frame));
  const ended = new Promise<Error | undefined>((resolve) => {
    call.on('error', resolve);
    call.on('end', () => resolve(undefined));
  });
  if (open !== undefined) call.write(AttachTaskRequest.create({ frame: open }));
  const text = (): string =>
    frames
      .map(({ frame }) => (frame?.$case === 'stdout' ? Buffer.from(frame.value).toString() : ''))
      .join('');
  return { call, frames, ended, text };
}

const detailsOf = (error: ServiceError): { info: ErrorInfo; hint: string } => {
  const [bytes] = error.metadata.get('grpc-status-details-bin');
  const status = Status.decode(bytes as Buffer);
  assert.equal(status.code, error.code);
  assert.equal(status.message, error.details);
  const find = (name: string): Uint8Array | undefined =>
    status.details.find(({ typeUrl }) => typeUrl.endsWith(name))?.value;
  const hint = find('LocalizedMessage');
  return {
    info: ErrorInfo.decode(find('ErrorInfo') ?? new Uint8Array()),
    hint: hint === undefined ? '' : LocalizedMessage.decode(hint).message,
  };
};

test('create, start, wait, remove', async () => {
  const id = await create('plain', 'sh', '-c', 'exit 7');
  const { run } = await host.api.tasks.startTask({ container: id });
  assert.match(run?.runId ?? '', /^[0-9a-f]{16}$/);
  const { exit, containerId } = await host.api.tasks.waitTask({ container: id });
  assert.deepEqual([containerId, exit?.exitStatus, exit?.runId], [id, 7, run?.runId]);
  const { container } = await host.api.containers.getContainer({ container: id });
  assert.equal(container?.status, TaskStatus.STOPPED);
  await host.api.containers.removeContainer({ container: id });
  await assert.rejects(
    host.api.containers.getContainer({ container: id }),
    (error: ServiceError) => error.code === 5,
  );
});

test('each error has a code, a reason and, where there is a cure, a hint', async () => {
  const cases: [call: () => Promise<unknown>, code: number, reason: string, hint: RegExp][] = [
    [() => host.api.containers.getContainer({ container: 'nosuch' }), 5, 'CONTAINER_NOT_FOUND', /^/],
    [() => host.api.containers.createContainer({}), 3, 'ROOTFS_MISSING', /config\.image/],
    [
      () => host.api.containers.createContainer({ config: { rootfs: { $case: 'image', value: 'nosuch' } } }),
      5,
      'IMAGE_NOT_FOUND',
      /./,
    ],
    [() => create('taken', 'true'), 6, 'NAME_IN_USE', /^/],
    [
      () => host.api.tasks.execTask({ container: 'taken', process: { args: ['true'] } }),
      9,
      'CONTAINER_NOT_RUNNING',
      /start/,
    ],
    [() => host.api.tasks.killTask({ container: 'taken', signal: 'NOPE' }), 3, 'SIGNAL_INVALID', /example/],
    [() => host.api.tasks.startTask({ container: 'broken' }), 9, 'COMMAND_NOT_FOUND', /./],
    [() => host.api.containers.commitContainer({ container: 'taken' }), 12, 'RPC_UNIMPLEMENTED', /./],
    [
      () =>
        host.api.containers.createContainer({
          config: { rootfs: { $case: 'image', value: 'busybox' }, domainname: 'example.org' },
        }),
      12,
      'OPTION_UNIMPLEMENTED',
      /./,
    ],
    [() => host.api.system.ping({ payload: Buffer.alloc(2000) }), 3, 'INVALID_ARGUMENT', /^/],
  ];
  await create('taken', 'true');
  await create('broken', '/no/such');
  for (const [call, code, reason, hint] of cases) {
    await assert.rejects(call(), (error: ServiceError) => {
      const details = detailsOf(error);
      assert.deepEqual(
        [error.code, details.info.reason, details.info.domain],
        [code, reason, 'mydocker'],
        error.message,
      );
      assert.match(details.hint, hint);
      assert.doesNotMatch(error.details, /\n| {4}at |node:|\/work\//);
      return true;
    });
  }
  for (const container of ['taken', 'broken']) await host.api.containers.removeContainer({ container });
});

test('what is no message, no method or no value of an enum is refused, and the server goes on', async () => {
  const client = new Client(host.address, credentials.createInsecure());
  const raw = (path: string, bytes: Buffer): Promise<number> =>
    new Promise((resolve) => {
      const same = (value: Buffer): Buffer => value;
      client.makeUnaryRequest(path, same, same, bytes, (error) => resolve(error?.code ?? 0));
    });
  assert.equal(await raw('/mydocker.v1.TasksService/NoSuch', Buffer.alloc(0)), 12);
  assert.equal(await raw('/no.such.Service/Call', Buffer.alloc(0)), 12);
  for (const bytes of [
    Buffer.from('ffffffffffffffffffff', 'hex'),
    Buffer.from('0aff', 'hex'),
    Buffer.alloc(100, 0xff),
  ]) {
    assert.equal(await raw('/mydocker.v1.ContainersService/GetContainer', bytes), 3);
  }
  // A list of states with one that does not exist.
  assert.equal(await raw('/mydocker.v1.TasksService/WaitTask', Buffer.from('0a03616263' + '1863', 'hex')), 3);
  client.close();
  assert.equal((await host.api.system.ping({ payload: Buffer.from('x') })).payload.toString(), 'x');
});

test('two attached clients get the same, one that leaves disturbs nobody', async () => {
  const id = await create('shared', 'sh', '-c', 'read a; echo "got $a"; read b; echo "got $b"; exit 5');
  await host.api.tasks.startTask({ container: id });
  const value = { container: id, stdin: true, stdout: true, stderr: true };
  const one = attach({ $case: 'open', value });
  const two = attach({ $case: 'open', value: { ...value, stdin: false } });
  const three = attach({ $case: 'open', value: { ...value, stdin: false } });
  for (const { frames } of [one, two, three])
    await until(
      () => frames[0]?.frame?.$case,
      (first) => first === 'ready',
    );
  one.call.write(AttachTaskRequest.create({ frame: { $case: 'stdin', value: Buffer.from('first\n') } }));
  for (const { text } of [one, two, three]) await until(text, (out) => out === 'got first\n');
  three.call.write(AttachTaskRequest.create({ frame: { $case: 'detach', value: {} } }));
  assert.equal(await three.ended, undefined);
  assert.notEqual(three.frames.at(-1)?.frame?.$case, 'exit');
  one.call.write(AttachTaskRequest.create({ frame: { $case: 'stdin', value: Buffer.from('second\n') } }));
  for (const { ended, frames, text } of [one, two]) {
    assert.equal(await ended, undefined);
    assert.equal(text(), 'got first\ngot second\n');
    const last = frames.at(-1)?.frame;
    assert.equal(last?.$case === 'exit' && last.value.exitStatus, 5);
  }
  await host.ok(['rm', id]);
});

test('who attaches late gets the output from the start when he asks for it', async () => {
  const id = await create('replay', 'sh', '-c', 'seq 1 5000; sleep 0.5; echo end');
  await host.api.tasks.startTask({ container: id });
  await until(
    () => host.ok(['logs', '-n', '1', id]),
    (line) => line === '5000',
  );
  const late = attach({
    $case: 'open',
    value: { container: id, stdout: true, replay: AttachReplay.RUN_START },
  });
  const now = attach({ $case: 'open', value: { container: id, stdout: true } });
  await Promise.all([late.ended, now.ended]);
  assert.ok(late.text() === `${Array.from({ length: 5000 }, (_, index) => `${index + 1}\n`).join('')}end\n`);
  assert.equal(now.text(), 'end\n');
  await host.ok(['rm', id]);
});

test('a client that attaches before the start has the first byte', async () => {
  const id = await create('early', 'echo', 'first');
  const early = attach({ $case: 'open', value: { container: id, stdout: true } });
  await until(
    () => early.frames.length,
    (count) => count > 0,
  );
  await host.api.tasks.startTask({ container: id });
  assert.equal(await early.ended, undefined);
  assert.equal(early.text(), 'first\n');
  await host.ok(['rm', id]);
});

test('frames out of order are refused', async () => {
  const id = await create('frames', 'sleep', '1000');
  await host.api.tasks.startTask({ container: id });
  for (const frame of [
    { $case: 'stdin', value: Buffer.from('x') },
    { $case: 'detach', value: {} },
  ] as const) {
    const { ended } = attach(frame);
    assert.equal(((await ended) as ServiceError).code, 3);
  }
  const twice = attach({ $case: 'open', value: { container: id, stdout: true } });
  twice.call.write(AttachTaskRequest.create({ frame: { $case: 'open', value: { container: id } } }));
  assert.equal(((await twice.ended) as ServiceError).code, 3);
  await host.ok(['rm', '-f', id]);
});

test('a client that cancels a start leaves nothing half started', async () => {
  const id = await create('cancelled', 'sleep', '1000');
  for (let round = 0; round < 8; round += 1) {
    await host.api.tasks
      .startTask({ container: id }, { deadline: Date.now() + round * 3 })
      .catch(() => undefined);
    await sleep(20);
    await host.ok(['stop', '-t', '0', id]);
  }
  await host.ok(['rm', id]);
});

test('events tell every step, in order, and are kept', async () => {
  const { server } = await host.api.system.getInfo({});
  const since = server?.lastEventSeq ?? 0n;
  const id = await create('told', 'sh', '-c', 'exit 3');
  await host.api.tasks.startTask({ container: id });
  await host.api.tasks.waitTask({ container: id });
  await host.api.containers.renameContainer({ container: id, newName: 'retold' });
  await host.api.containers.removeContainer({ container: id });
  await host.restart();
  const events: Event[] = [];
  const request = { start: { $case: 'afterSeq', value: since }, noFollow: true, containers: [id] } as const;
  for await (const page of host.api.events.subscribeEvents(request)) events.push(...page.events);
  const name = (action: EventAction): string =>
    Object.keys(EventAction).find((key) => EventAction[key as keyof typeof EventAction] === action) ?? '';
  assert.deepEqual(
    events.map(({ action }) => name(action)),
    ['CREATE', 'START', 'EXIT', 'RENAME', 'REMOVE'],
  );
  assert.ok(events.every(({ seq }, index) => index === 0 || seq > (events[index - 1]?.seq ?? 0n)));
  assert.equal(events[2]?.exit?.exitStatus, 3);
});

test('the events command follows', async () => {
  const events = host.spawn(['events', '--json', '--since', new Date().toISOString()]);
  const text = outputOf(events);
  await host.ok(['run', '--rm', '--name', 'seen', 'busybox', 'true']);
  await until(text, (all) => /"remove"/.test(all));
  events.kill();
  const actions = text()
    .trim()
    .split('\n')
    .map((line) => JSON.parse(line))
    .filter(({ subject }) => subject === 'container');
  assert.deepEqual(
    actions.map(({ action }) => action),
    ['create', 'task-create', 'attach', 'start', 'exit', 'remove'],
  );
});

test('only root may use it: the socket and the folders', () => {
  assert.equal(statSync(host.socket).mode & 0o777, 0o660);
  for (const folder of [host.root, host.state]) assert.equal(statSync(folder).mode & 0o777, 0o700);
});

test('many calls at once are all answered', async () => {
  const answers = await Promise.all(
    Array.from({ length: 500 }, (_, index) => host.api.system.ping({ payload: Buffer.from(String(index)) })),
  );
  for (const [index, { payload }] of answers.entries()) assert.equal(payload.toString(), String(index));
});
