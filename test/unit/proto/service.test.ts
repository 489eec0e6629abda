/**
 * The services as a client meets them: the generic definitions serve calls through grpc-js, the descriptor
 * set holds the same methods, and reflection answers from it.
 */
import assert from 'node:assert/strict';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import * as grpc from '@grpc/grpc-js';
import { loadFileDescriptorSetFromBuffer } from '@grpc/proto-loader';
import { HealthDefinition } from '../../../proto/gen/grpc/health/v1/health.ts';
import { ContainersServiceDefinition } from '../../../proto/gen/mydocker/v1/containers.ts';
import { EventsServiceDefinition } from '../../../proto/gen/mydocker/v1/events.ts';
import { ImagesServiceDefinition } from '../../../proto/gen/mydocker/v1/images.ts';
import { NetworksServiceDefinition } from '../../../proto/gen/mydocker/v1/networks.ts';
import { PingRequest, PingResponse, SystemServiceDefinition } from '../../../proto/gen/mydocker/v1/system.ts';
import { TasksServiceDefinition } from '../../../proto/gen/mydocker/v1/tasks.ts';
import { VolumesServiceDefinition } from '../../../proto/gen/mydocker/v1/volumes.ts';

const SERVICES = [
  ImagesServiceDefinition,
  ContainersServiceDefinition,
  TasksServiceDefinition,
  NetworksServiceDefinition,
  VolumesServiceDefinition,
  EventsServiceDefinition,
  SystemServiceDefinition,
  HealthDefinition,
];

const DESCRIPTORS = readFileSync(new URL('../../../proto/gen/mydocker.binpb', import.meta.url));

test('descriptor set holds exactly the generated methods, with the same streams', () => {
  const loaded = loadFileDescriptorSetFromBuffer(DESCRIPTORS);
  for (const service of SERVICES) {
    const described = loaded[service.fullName] as grpc.ServiceDefinition;
    const streams = Object.values(service.methods).map((method) => [
      `/${service.fullName}/${method.name}`,
      method.requestStream,
      method.responseStream,
    ]);
    assert.deepEqual(
      Object.values(described).map((method) => [method.path, method.requestStream, method.responseStream]),
      streams,
    );
  }
});

test('each request that changes something has a request id', () => {
  const reads = /^(Get|List|Explain|Stat|CopyFrom|Diff|Export|Save|Check|Wait|Read|Watch|Subscribe|Ping)/;
  // Their first frame, not the message itself, has it; a new size twice is the same size.
  const exceptions = new Set(['LoadImages', 'ImportImage', 'CopyToContainer', 'AttachTask', 'ResizeTask']);
  let count = 0;
  for (const service of SERVICES.slice(0, 6)) {
    for (const method of Object.values(service.methods)) {
      const message: object = method.requestType.fromPartial({});
      const expected = !reads.test(method.name) && !exceptions.has(method.name);
      assert.equal('requestId' in message, expected, method.name);
      count += 1;
    }
  }
  assert.ok(count > 50);
});

test('generic definition serves a call through grpc-js on a unix socket', async () => {
  const folder = mkdtempSync(join(tmpdir(), 'mydocker-proto-'));
  const { ping } = SystemServiceDefinition.methods;
  const definition: grpc.ServiceDefinition = {
    ping: {
      path: `/${SystemServiceDefinition.fullName}/${ping.name}`,
      requestStream: ping.requestStream,
      responseStream: ping.responseStream,
      requestSerialize: (value: PingRequest) => Buffer.from(ping.requestType.encode(value).finish()),
      requestDeserialize: (wire: Buffer) => ping.requestType.decode(wire),
      responseSerialize: (value: PingResponse) => Buffer.from(ping.responseType.encode(value).finish()),
      responseDeserialize: (wire: Buffer) => ping.responseType.decode(wire),
    },
  };
  const server = new grpc.Server();
  const handler: grpc.handleUnaryCall<PingRequest, PingResponse> = (call, answer) =>
    answer(null, { payload: call.request.payload });
  server.addService(definition, { ping: handler });
  const address = `unix:${folder}/s`;
  await new Promise<void>((resolve, reject) =>
    server.bindAsync(address, grpc.ServerCredentials.createInsecure(), (error) =>
      error ? reject(error) : resolve(),
    ),
  );
  const client = new grpc.Client(address, grpc.credentials.createInsecure());
  try {
    const answer = await new Promise<PingResponse | undefined>((resolve, reject) =>
      client.makeUnaryRequest(
        `/mydocker.v1.SystemService/Ping`,
        (value: PingRequest) => Buffer.from(PingRequest.encode(value).finish()),
        (wire: Buffer) => PingResponse.decode(wire),
        { payload: Uint8Array.of(1, 2, 3) },
        (error, value) => (error ? reject(error) : resolve(value)),
      ),
    );
    assert.deepEqual([...(answer?.payload ?? [])], [1, 2, 3]);
  } finally {
    client.close();
    server.forceShutdown();
    rmSync(folder, { recursive: true });
  }
});
