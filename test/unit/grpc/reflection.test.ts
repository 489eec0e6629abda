/** The contract as tools see it that have no copy: `buf curl` lists, describes and calls by reflection alone. */
import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { promisify } from 'node:util';
import { Client, credentials } from '@grpc/grpc-js';
import { HealthCheckRequest, HealthCheckResponse } from '../../../proto/gen/grpc/health/v1/health.ts';
import {
  ServerReflectionRequest,
  ServerReflectionResponse,
} from '../../../proto/gen/grpc/reflection/v1alpha/reflection.ts';
import { PROJECT } from '../../harness/cli.ts';
import { addImage } from '../ops/engine-here.ts';
import { rawCall, refusalOf, type Served, serveHere } from './serve-here.ts';

const runFile = promisify(execFile);
let served: Served;

before(async () => {
  served = await serveHere();
  await addImage(served.here.engine, 'docker.io/library/box:latest', { command: ['sh'] });
});

after(() => served[Symbol.asyncDispose]());

/** @param target - `SERVICE/METHOD` or nothing; the scheme of an unencrypted server. */
async function bufCurl(...args: string[]): Promise<string> {
  const socket = served.address.slice('unix://'.length);
  const fixed = ['curl', '--protocol', 'grpc', '--http2-prior-knowledge', '--unix-socket', socket];
  const { stdout } = await runFile(join(PROJECT, 'node_modules/.bin/buf'), [...fixed, ...args], { cwd: '/' });
  return stdout;
}

test('buf curl lists the services and their methods', async () => {
  const services = (await bufCurl('--list-services', 'http://localhost')).trim().split('\n');
  for (const name of ['Images', 'Containers', 'Tasks', 'Networks', 'Volumes', 'Events', 'System'])
    assert.ok(services.includes(`mydocker.v1.${name}Service`), name);
  assert.ok(services.includes('grpc.health.v1.Health'));
  const methods = await bufCurl('--list-methods', 'http://localhost');
  assert.match(methods, /mydocker\.v1\.ContainersService\/CreateContainer/);
});

test('buf curl calls by reflection: unary, with maps and a stream', async () => {
  const call = (method: string, request: object): Promise<string> =>
    bufCurl('-d', JSON.stringify(request), `http://localhost/mydocker.v1.${method}`);
  assert.deepEqual(JSON.parse(await call('SystemService/Ping', { payload: 'aGk=' })), { payload: 'aGk=' });
  const config = { image: 'box', labels: { a: 'b' }, stopTimeoutMs: 5 };
  const created = JSON.parse(await call('ContainersService/CreateContainer', { name: 'curled', config }));
  assert.equal(created.name, 'curled');
  const listed = JSON.parse(await call('ContainersService/ListContainers', {}));
  assert.deepEqual([listed.containers[0].name, listed.containers[0].labels], ['curled', { a: 'b' }]);
  await assert.rejects(
    call('ContainersService/GetContainer', { container: 'none' }),
    (error: { stderr: string }) => {
      const { code, message, details } = JSON.parse(error.stderr);
      assert.deepEqual([code, message], ['not_found', 'cannot find container none: no such container']);
      assert.match(Buffer.from(details[0].value, 'base64').toString(), /CONTAINER_NOT_FOUND/);
      return true;
    },
  );
});

test('the older reflection answers too', async () => {
  const client = new Client(served.address, credentials.createInsecure());
  const call = client.makeBidiStreamRequest(
    '/grpc.reflection.v1alpha.ServerReflection/ServerReflectionInfo',
    (request: ServerReflectionRequest) => Buffer.from(ServerReflectionRequest.encode(request).finish()),
    (bytes: Buffer) => ServerReflectionResponse.decode(bytes),
  );
  const answers: ServerReflectionResponse[] = [];
  call.on('data', (answer: ServerReflectionResponse) => answers.push(answer));
  for (const name of ['mydocker.v1.TasksService', 'mydocker.v1.Nothing'])
    call.write({ host: '', messageRequest: { $case: 'fileContainingSymbol', value: name } });
  call.end();
  await new Promise((resolve) => call.once('end', resolve));
  client.close();
  assert.deepEqual(
    answers.map(({ messageResponse }) => messageResponse?.$case),
    ['fileDescriptorResponse', 'errorResponse'],
  );
});

test('health answers for the server and each service', async () => {
  const check = async (service: string): Promise<number> => {
    const bytes = Buffer.from(HealthCheckRequest.encode({ service }).finish());
    return HealthCheckResponse.decode(await rawCall(served.address, '/grpc.health.v1.Health/Check', bytes))
      .status;
  };
  assert.equal(await check(''), 1);
  assert.equal(await check('mydocker.v1.TasksService'), 1);
  assert.equal((await refusalOf(check('none'))).code, 5);
});

test('a health watcher is told when the server stops', async () => {
  const other = await serveHere();
  const client = new Client(other.address, credentials.createInsecure());
  const call = client.makeServerStreamRequest(
    '/grpc.health.v1.Health/Watch',
    (request: HealthCheckRequest) => Buffer.from(HealthCheckRequest.encode(request).finish()),
    (bytes: Buffer) => HealthCheckResponse.decode(bytes),
    { service: '' },
  );
  const seen: number[] = [];
  const first = new Promise<void>((resolve) => {
    call.on('data', ({ status }: HealthCheckResponse) => {
      seen.push(status);
      resolve();
    });
  });
  const ended = new Promise((resolve) => call.once('error', resolve));
  await first;
  await other.server.stop();
  await ended;
  client.close();
  assert.deepEqual(seen, [1, 2]);
  await other[Symbol.asyncDispose]();
});
