/** The client's own transport against a server of grpc-js: the four shapes, and everything that can end a call. */
import assert from 'node:assert/strict';
import { mkdirSync, mkdtempSync, rmSync } from 'node:fs';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { status } from '@grpc/grpc-js';
import { type Connection, openConnection } from '../../../../client/transport/connection.ts';
import type { Method } from '../../../../client/transport/method.ts';
import { Code, RpcError } from '../../../../client/transport/rpc-error.ts';
import {
  ListContainersRequest,
  ListContainersResponse,
} from '../../../../proto/gen/mydocker/v1/containers.ts';
import { ImportImageRequest, ImportImageResponse } from '../../../../proto/gen/mydocker/v1/images.ts';
import { PingRequest, PingResponse } from '../../../../proto/gen/mydocker/v1/system.ts';
import { AttachTaskRequest, AttachTaskResponse } from '../../../../proto/gen/mydocker/v1/tasks.ts';
import { type FakeServer, serviceError, startFakeServer } from '../fake-server.ts';

const Ping: Method<PingRequest, PingResponse> = {
  path: '/mydocker.v1.SystemService/Ping',
  request: PingRequest,
  response: PingResponse,
};
const List: Method<ListContainersRequest, ListContainersResponse> = {
  path: '/mydocker.v1.ContainersService/ListContainers',
  request: ListContainersRequest,
  response: ListContainersResponse,
};
const Import: Method<ImportImageRequest, ImportImageResponse> = {
  path: '/mydocker.v1.ImagesService/ImportImage',
  request: ImportImageRequest,
  response: ImportImageResponse,
};
const Attach: Method<AttachTaskRequest, AttachTaskResponse> = {
  path: '/mydocker.v1.TasksService/AttachTask',
  request: AttachTaskRequest,
  response: AttachTaskResponse,
};

const CHUNK = Buffer.alloc(256 << 10, 7);
let server: FakeServer;
let connection: Connection;
/** What the server saw. */
let cancelled = 0;
let written = 0;
let imported = 0;

const text = (value: string): Buffer => Buffer.from(value);

async function pushForever(call: {
  write(m: unknown): boolean;
  once(e: string, f: () => void): void;
  cancelled: boolean;
}): Promise<void> {
  while (!call.cancelled) {
    written += CHUNK.length;
    if (!call.write({ frame: { $case: 'stdout', value: CHUNK } })) {
      await new Promise<void>((resolve) => call.once('drain', resolve));
    }
  }
}

before(async () => {
  server = await startFakeServer({
    Ping: async ({ request, getDeadline: _ }) => {
      const payload = Buffer.from(request.payload).toString();
      if (payload === 'fail') {
        throw serviceError(status.NOT_FOUND, 'cannot find container wéb: no such container', {
          reason: 'CONTAINER_NOT_FOUND',
          hint: 'mydocker ps shows what there is',
          metadata: { container: 'web', exit_status: '127' },
        });
      }
      if (payload === 'late') await sleep(5_000, undefined, { ref: false });
      return { payload: request.payload };
    },
    ListContainers: (call) => {
      for (let page = 0; page < 3; page += 1)
        call.write({ containers: [{ id: `c${page}`, rev: 2n ** 60n }] });
      if (call.request.runningOnly) call.emit('error', serviceError(status.ABORTED, 'gone'));
      else call.end();
    },
    ImportImage: (call) =>
      new Promise((resolve, reject) => {
        call.on('data', (message: ImportImageRequest) => {
          if (message.frame?.$case === 'header' && message.frame.value.reference === 'refuse') {
            reject(serviceError(status.INVALID_ARGUMENT, 'refused'));
          }
          if (message.frame?.$case === 'chunk') imported += message.frame.value.length;
        });
        call.on('end', () => resolve({ sizeBytes: BigInt(imported) }));
      }),
    AttachTask: (call) => {
      call.on('cancelled', () => {
        cancelled += 1;
      });
      call.on('data', (message: AttachTaskRequest) => {
        const { frame } = message;
        if (frame?.$case === 'stdin') call.write({ frame: { $case: 'stdout', value: frame.value } });
        if (frame?.$case === 'closeStdin') call.end();
        if (frame?.$case === 'open') void pushForever(call);
      });
    },
  });
  connection = openConnection(server.host);
});
after(() => {
  connection.close();
  server.stop();
});

const rejection = async (promise: Promise<unknown>): Promise<RpcError> => {
  const error = await promise.then(
    () => assert.fail('it succeeded'),
    (error: unknown) => error,
  );
  assert.ok(error instanceof RpcError, String(error));
  return error;
};

test('unary: a message there and one back', async () => {
  const { payload } = await connection.unary(Ping, { payload: text('hello') });
  assert.equal(Buffer.from(payload).toString(), 'hello');
  assert.equal((await connection.unary(Ping, { payload: text('') })).payload.length, 0);
});

test('unary: many calls share the connection', async () => {
  const payloads = Array.from({ length: 200 }, (_, index) => text(String(index)));
  const answers = await Promise.all(payloads.map((payload) => connection.unary(Ping, { payload })));
  assert.deepEqual(
    answers.map(({ payload }) => Number(Buffer.from(payload).toString())),
    payloads.map((_, index) => index),
  );
});

test('an error has code, sentence, reason, hint and metadata', async () => {
  const error = await rejection(connection.unary(Ping, { payload: text('fail') }));
  assert.equal(error.code, Code.NOT_FOUND);
  assert.equal(error.message, 'cannot find container wéb: no such container');
  assert.equal(error.reason, 'CONTAINER_NOT_FOUND');
  assert.equal(error.hint, 'mydocker ps shows what there is');
  assert.equal(error.metadata['container'], 'web');
  assert.equal(error.exitStatus, 127);
});

test('a method that the server lacks is UNIMPLEMENTED', async () => {
  const error = await rejection(
    connection.unary({ ...Ping, path: '/mydocker.v1.SystemService/None' }, { payload: text('') }),
  );
  assert.equal(error.code, Code.UNIMPLEMENTED);
});

test('server stream: pages in order, 64 bit whole', async () => {
  const pages: ListContainersResponse[] = [];
  for await (const page of connection.serverStream(List, ListContainersRequest.create())) pages.push(page);
  assert.deepEqual(
    pages.map(({ containers }) => containers[0]?.id),
    ['c0', 'c1', 'c2'],
  );
  assert.equal(pages[0]?.containers[0]?.rev, 2n ** 60n);
});

test('server stream: an error after messages comes after them', async () => {
  let pages = 0;
  const error = await rejection(
    (async () => {
      for await (const _ of connection.serverStream(
        List,
        ListContainersRequest.create({ runningOnly: true }),
      ))
        pages += 1;
    })(),
  );
  assert.equal(error.code, Code.ABORTED);
  assert.equal(pages, 3);
});

test('client stream: 64 MB arrive, and the answer follows the end', async () => {
  imported = 0;
  const total = 64 << 20;
  async function* requests(): AsyncGenerator<ImportImageRequest> {
    yield ImportImageRequest.create({ frame: { $case: 'header', value: { reference: 'x' } } });
    for (let sent = 0; sent < total; sent += CHUNK.length) yield { frame: { $case: 'chunk', value: CHUNK } };
  }
  assert.equal((await connection.clientStream(Import, requests())).sizeBytes, BigInt(total));
});

test('client stream: an early refusal ends it though more could be sent', async () => {
  async function* requests(): AsyncGenerator<ImportImageRequest> {
    yield ImportImageRequest.create({ frame: { $case: 'header', value: { reference: 'refuse' } } });
    await sleep(60_000, undefined, { ref: false });
  }
  const error = await rejection(connection.clientStream(Import, requests()));
  assert.equal(error.code, Code.INVALID_ARGUMENT);
});

test('client stream: what breaks the source is told as it is, and cancels the call', async () => {
  // biome-ignore lint/correctness/useYield: it breaks before its first value.
  async function* requests(): AsyncGenerator<ImportImageRequest> {
    throw new Error('the file is gone');
  }
  await assert.rejects(connection.clientStream(Import, requests()), /the file is gone/);
});

test('bidi: answers come while both sides are open; the server ends it', async () => {
  const call = connection.bidi(Attach);
  const answers = call.responses();
  for (const word of ['one', 'two']) {
    await call.send({ frame: { $case: 'stdin', value: text(word) } });
    const { value } = await answers.next();
    assert.equal(Buffer.from(value?.frame?.value as Uint8Array).toString(), word);
  }
  await call.send(AttachTaskRequest.create({ frame: { $case: 'closeStdin', value: {} } }));
  assert.equal((await answers.next()).done, true);
  assert.equal(await call.send({ frame: { $case: 'stdin', value: text('late') } }), false);
});

test('a reader that does not read stops the writer within the window; leaving cancels', async () => {
  written = 0;
  const before = cancelled;
  const call = connection.bidi(Attach);
  await call.send(AttachTaskRequest.create({ frame: { $case: 'open', value: { container: 'c' } } }));
  const answers = call.responses();
  await answers.next();
  await sleep(300);
  const held = written;
  await sleep(200);
  assert.equal(written, held);
  assert.ok(held < 24 << 20, `${held} bytes were written to a reader that does not read`);
  let read = CHUNK.length;
  for await (const { frame } of answers) {
    read += frame?.$case === 'stdout' ? frame.value.length : 0;
    if (read >= 64 << 20) break;
  }
  assert.ok(written >= 64 << 20);
  for (let tries = 0; cancelled === before && tries < 100; tries += 1) await sleep(10);
  assert.equal(cancelled, before + 1);
});

test('an AbortSignal cancels the call on both sides', async () => {
  const before = cancelled;
  const abort = new AbortController();
  const call = connection.bidi(Attach, { signal: abort.signal });
  const error = rejection(call.responses().next());
  await call.send({ frame: { $case: 'resize', value: { columns: 80, rows: 24 } } });
  setTimeout(() => abort.abort(), 20);
  assert.equal((await error).code, Code.CANCELLED);
  for (let tries = 0; cancelled === before && tries < 100; tries += 1) await sleep(10);
  assert.equal(cancelled, before + 1);
  const late = await rejection(connection.unary(Ping, { payload: text('') }, { signal: abort.signal }));
  assert.equal(late.code, Code.CANCELLED);
});

test('a deadline ends a call that hangs', async () => {
  const begun = Date.now();
  const error = await rejection(connection.unary(Ping, { payload: text('late') }, { deadlineMs: 100 }));
  assert.equal(error.code, Code.DEADLINE_EXCEEDED);
  assert.ok(Date.now() - begun < 2_000);
});

test('no socket: says where, and asks whether the server runs', async () => {
  const alone = openConnection(`unix://${server.folder}/none.sock`);
  const error = await rejection(alone.unary(Ping, { payload: text('') }));
  assert.equal(error.code, Code.UNAVAILABLE);
  assert.match(error.message, /^cannot connect to the server at unix:\/\/.*none\.sock: no such socket$/);
  assert.equal(error.hint, 'is mydockerd running?');
  await assert.rejects((async () => await alone.unary(Ping, { payload: text('') }))(), /cannot connect/);
});

test('a server that dies in a call is a lost connection', async () => {
  const dying = await startFakeServer({ Ping: () => new Promise(() => {}) });
  const other = openConnection(dying.host);
  const error = rejection(other.unary(Ping, { payload: text('') }));
  await sleep(100);
  dying.stop();
  const { code, message } = await error;
  assert.equal(code, Code.UNAVAILABLE);
  assert.match(message, /lost the connection/);
});

test('what is no gRPC server is an error', async () => {
  const folder = mkdtempSync(join(tmpdir(), 'mydocker-client-'));
  const stranger = createServer((socket) => socket.end('HTTP/1.1 400 Bad Request\r\n\r\n'));
  await new Promise<void>((resolve) => stranger.listen(join(folder, 's'), resolve));
  const error = await rejection(openConnection(`unix://${folder}/s`).unary(Ping, { payload: text('') }));
  assert.equal(error.code, Code.UNAVAILABLE);
  stranger.close();
  rmSync(folder, { recursive: true });
});

test('a socket below a path of 200 characters is reached', async () => {
  const long = await startFakeServer({ Ping: ({ request }) => ({ payload: request.payload }) });
  const deep = join(long.folder, 'd'.repeat(100), 'e'.repeat(100));
  mkdirSync(deep, { recursive: true });
  const { renameSync } = await import('node:fs');
  renameSync(join(long.folder, 's.sock'), join(deep, 's.sock'));
  const other = openConnection(`unix://${deep}/s.sock`);
  assert.equal((await other.unary(Ping, { payload: text('x') })).payload.length, 1);
  other.close();
  const missing = openConnection(`unix://${deep}x/s.sock`);
  assert.match((await rejection(missing.unary(Ping, { payload: text('') }))).message, /no such socket/);
  long.stop();
});
