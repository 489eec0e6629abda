/** The API for whoever has no client of ours: `buf curl`, health and reflection. */
import assert from 'node:assert/strict';
import { rmSync } from 'node:fs';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { create, createFileRegistry, fromBinary } from '@bufbuild/protobuf';
import {
  type FileDescriptorProto,
  FileDescriptorProtoSchema,
  FileDescriptorSetSchema,
} from '@bufbuild/protobuf/wkt';
import { Client, credentials, type ServiceError } from '@grpc/grpc-js';
import { ErrorInfo } from '../../proto/gen/google/rpc/error_details.ts';
import { HealthCheckRequest, HealthCheckResponse } from '../../proto/gen/grpc/health/v1/health.ts';
import {
  ServerReflectionRequest,
  ServerReflectionResponse,
} from '../../proto/gen/grpc/reflection/v1/reflection.ts';
import { PROJECT, type RunResult, run } from '../harness/cli.ts';
import { type Host, startHost } from '../harness/host.ts';
import { assertClean } from './ground.ts';

const SERVICES = ['Containers', 'Events', 'Images', 'Networks', 'System', 'Tasks', 'Volumes'].map(
  (name) => `mydocker.v1.${name}Service`,
);
const OTHERS = [
  'grpc.health.v1.Health',
  'grpc.reflection.v1.ServerReflection',
  'grpc.reflection.v1alpha.ServerReflection',
];

let host: Host;
let client: Client;
before(async () => {
  host = await startHost({ images: ['busybox'] });
  client = new Client(host.address, credentials.createInsecure());
});
after(async () => {
  client.close();
  rmSync(join(host.folder, 'tmp/buf'), { recursive: true });
  await assertClean(host).finally(() => host.dispose());
});

function buf(...args: string[]): Promise<RunResult> {
  const how = ['--protocol', 'grpc', '--http2-prior-knowledge', '--unix-socket', host.socket];
  return run(join(PROJECT, 'node_modules/.bin/buf'), ['curl', ...how, ...args], {
    env: { BUF_CACHE_DIR: join(host.folder, 'tmp/buf') },
    cwd: '/',
  });
}

/** Calls a method with JSON. @returns the answers, or the error as JSON. */
async function call(
  method: string,
  request: object,
): Promise<{ code: number; text: string; stderr: string }> {
  const { code, stdout, stderr } = await buf(
    '-d',
    JSON.stringify(request),
    `http://localhost/mydocker.v1.${method}`,
  );
  return { code, text: stdout, stderr };
}

test('buf curl lists every service and every method, over both versions of reflection', async () => {
  for (const version of ['grpc-v1', 'grpc-v1alpha']) {
    const services = await buf('--reflect-protocol', version, '--list-services', 'http://localhost');
    assert.deepEqual(
      services.stdout.trim().split('\n').sort(),
      [...SERVICES, ...OTHERS].sort(),
      services.stderr,
    );
    const methods = (await buf('--reflect-protocol', version, '--list-methods', 'http://localhost')).stdout;
    for (const method of [
      'ContainersService/CreateContainer',
      'TasksService/AttachTask',
      'EventsService/SubscribeEvents',
    ]) {
      assert.ok(methods.includes(`mydocker.v1.${method}`), method);
    }
  }
});

test('buf curl calls each shape of method', async () => {
  const created = await call('ContainersService/CreateContainer', {
    name: 'by-buf',
    config: { image: 'busybox', command: { values: ['sh', '-c', 'echo out; echo err >&2; exit 3'] } },
  });
  assert.equal(created.code, 0, created.stderr);
  const { id } = JSON.parse(created.text);
  assert.match(id, /^[0-9a-f]{64}$/);
  assert.equal((await call('TasksService/StartTask', { container: 'by-buf' })).code, 0);
  const waited = JSON.parse((await call('TasksService/WaitTask', { container: 'by-buf' })).text);
  assert.equal(waited.exit.exitStatus, 3);
  const shown = JSON.parse(
    (await call('ContainersService/GetContainer', { container: id.slice(0, 12) })).text,
  );
  assert.equal(shown.container.name, 'by-buf');
  assert.equal(shown.container.status, 'TASK_STATUS_STOPPED');
  assert.match((await call('ContainersService/ListContainers', {})).text, /"by-buf"/);
  const logs = await call('TasksService/ReadTaskLogs', { container: 'by-buf', format: 'LOG_FORMAT_RAW' });
  assert.ok(logs.text.includes(Buffer.from('out\n').toString('base64')), logs.text);
  assert.equal((await call('ContainersService/RemoveContainer', { container: 'by-buf' })).code, 0);
  // Two ways at once: an additional process.
  await call('ContainersService/CreateContainer', {
    name: 'talk',
    config: { image: 'busybox', command: { values: ['sleep', '1000'] } },
  });
  await call('TasksService/StartTask', { container: 'talk' });
  const open = {
    open: { container: 'talk', stdin: true, stdout: true, exec: { args: ['cat'], openStdin: true } },
  };
  const input = [open, { stdin: Buffer.from('hello').toString('base64') }, { closeStdin: {} }].map(
    (message) => JSON.stringify(message),
  );
  const talk = await buf('-d', input.join('\n'), 'http://localhost/mydocker.v1.TasksService/AttachTask');
  assert.ok(talk.stdout.includes(Buffer.from('hello').toString('base64')), talk.stdout + talk.stderr);
  assert.match(talk.stdout, /"exit"/);
  await call('ContainersService/RemoveContainer', { container: 'talk', force: true });
});

test('buf curl shows an error with its code, sentence, reason and hint', async () => {
  const { code, stderr } = await call('ContainersService/GetContainer', { container: 'nosuch' });
  assert.notEqual(code, 0);
  const error = JSON.parse(stderr.slice(stderr.indexOf('{')));
  assert.equal(error.code, 'not_found');
  assert.match(error.message, /cannot find container "?nosuch"?: no such container/);
  const details = new Map<string, Uint8Array>(
    error.details.map(({ type, value }: { type: string; value: string }) => [
      type,
      Buffer.from(value, 'base64'),
    ]),
  );
  const info = ErrorInfo.decode(details.get('google.rpc.ErrorInfo') ?? new Uint8Array());
  assert.deepEqual(
    [info.reason, info.domain, info.metadata],
    ['CONTAINER_NOT_FOUND', 'mydocker', { container: 'nosuch' }],
  );
  assert.ok(details.has('google.rpc.LocalizedMessage'));
  const lacking = await call('ImagesService/SaveImages', { images: ['busybox'] });
  assert.match(lacking.stderr, /unimplemented/);
  assert.match(lacking.stderr, /lacks it/);
});

/** One call over grpc-js by its path. */
function unary(path: string, request: Uint8Array): Promise<Buffer> {
  return new Promise((resolve, reject) => {
    const same = (bytes: Uint8Array): Buffer => Buffer.from(bytes);
    client.makeUnaryRequest(path, same, same, request, (error, answer) =>
      error ? reject(error) : resolve(answer ?? Buffer.alloc(0)),
    );
  });
}

test('health: the server and each service serve; another one is not known', async () => {
  const check = async (service: string): Promise<number> =>
    HealthCheckResponse.decode(
      await unary('/grpc.health.v1.Health/Check', HealthCheckRequest.encode({ service }).finish()),
    ).status;
  for (const service of ['', ...SERVICES]) assert.equal(await check(service), 1, service);
  await assert.rejects(check('mydocker.v1.Nothing'), (error: ServiceError) => error.code === 5);
});

/** Asks reflection one thing after the other on one stream. */
async function reflect(
  version: string,
  requests: readonly ServerReflectionRequest[],
): Promise<ServerReflectionResponse[]> {
  const stream = client.makeBidiStreamRequest(
    `/grpc.reflection.${version}.ServerReflection/ServerReflectionInfo`,
    (request: ServerReflectionRequest) => Buffer.from(ServerReflectionRequest.encode(request).finish()),
    (bytes: Buffer) => ServerReflectionResponse.decode(bytes),
  );
  for (const request of requests) stream.write(request);
  stream.end();
  const answers: ServerReflectionResponse[] = [];
  for await (const answer of stream) answers.push(answer);
  return answers;
}

test('reflection describes everything: each service with all that it refers to', async () => {
  for (const version of ['v1', 'v1alpha']) {
    const ask = (symbol: string): ServerReflectionRequest =>
      ServerReflectionRequest.create({ messageRequest: { $case: 'fileContainingSymbol', value: symbol } });
    const answers = await reflect(version, [
      ...SERVICES.map(ask),
      ask('mydocker.v1.ContainerConfig'),
      ask('no.such.Symbol'),
    ]);
    const files = answers.flatMap(({ messageResponse }) =>
      messageResponse?.$case === 'fileDescriptorResponse' ? messageResponse.value.fileDescriptorProto : [],
    );
    const byName = new Map(
      files.map((bytes) => fromBinary(FileDescriptorProtoSchema, bytes)).map((file) => [file.name, file]),
    );
    // Whoever links them begins with what others import.
    const sorted: FileDescriptorProto[] = [];
    const add = (file: FileDescriptorProto): void => {
      if (sorted.includes(file)) return;
      for (const name of file.dependency) add(byName.get(name) ?? assert.fail(`${name} is missing`));
      sorted.push(file);
    };
    for (const file of byName.values()) add(file);
    const registry = createFileRegistry(create(FileDescriptorSetSchema, { file: sorted }));
    for (const service of SERVICES) {
      const methods = registry.getService(service)?.methods ?? [];
      assert.ok(methods.length > 0, service);
      for (const { input, output } of methods)
        for (const { typeName } of [input, output]) assert.match(typeName, /^mydocker\.v1\./);
    }
    assert.equal(answers.at(-1)?.messageResponse?.$case, 'errorResponse');
  }
});
