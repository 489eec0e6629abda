/**
 * A gRPC server for the client's tests: grpc-js, so that the client's own transport is held against somebody else's
 * reading of the protocol. Methods that a test does not give answer UNIMPLEMENTED.
 */
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import * as grpc from '@grpc/grpc-js';
import type { Any } from '../../../proto/gen/google/protobuf/any.ts';
import { ErrorInfo, LocalizedMessage } from '../../../proto/gen/google/rpc/error_details.ts';
import { Status } from '../../../proto/gen/google/rpc/status.ts';
import { ContainersServiceDefinition } from '../../../proto/gen/mydocker/v1/containers.ts';
import { EventsServiceDefinition } from '../../../proto/gen/mydocker/v1/events.ts';
import { ImagesServiceDefinition } from '../../../proto/gen/mydocker/v1/images.ts';
import { SystemServiceDefinition } from '../../../proto/gen/mydocker/v1/system.ts';
import { TasksServiceDefinition } from '../../../proto/gen/mydocker/v1/tasks.ts';

interface Codec {
  encode(message: never): { finish(): Uint8Array };
  decode(bytes: Uint8Array): unknown;
  create(partial?: never): unknown;
}

interface Method {
  readonly name: string;
  readonly requestType: Codec;
  readonly requestStream: boolean;
  readonly responseType: Codec;
  readonly responseStream: boolean;
}

const SERVICES = [
  ContainersServiceDefinition,
  EventsServiceDefinition,
  ImagesServiceDefinition,
  SystemServiceDefinition,
  TasksServiceDefinition,
] as const;

// biome-ignore lint/suspicious/noExplicitAny: the five definitions have nothing else in common, and tests know their types.
type AnyCall = any;

/** Handlers by the method's name: `ListContainers`. Messages written may be partial. */
export type Handlers = Readonly<Record<string, (call: AnyCall) => unknown>>;

/** A server that runs. */
export interface FakeServer {
  /** As `--host` takes it. */
  readonly host: string;
  readonly folder: string;
  stop(): void;
}

function serializers(method: Method, path: string): grpc.MethodDefinition<unknown, unknown> {
  const { requestType, responseType } = method;
  const write = (codec: Codec) => (message: unknown) =>
    Buffer.from(codec.encode(codec.create(message as never) as never).finish());
  return {
    path,
    requestStream: method.requestStream,
    responseStream: method.responseStream,
    requestSerialize: write(requestType),
    requestDeserialize: (bytes) => requestType.decode(bytes),
    responseSerialize: write(responseType),
    responseDeserialize: (bytes) => responseType.decode(bytes),
  };
}

/** A handler that answers a unary (or client-streaming) call with what a function returns or throws. */
function answering(handler: (call: AnyCall) => unknown): grpc.UntypedHandleCall {
  const answer = async (call: AnyCall, done: (error: unknown, value?: unknown) => void): Promise<void> => {
    try {
      done(null, await handler(call));
    } catch (error) {
      done(error);
    }
  };
  return answer as grpc.UntypedHandleCall;
}

/**
 * Starts a server on a socket of its own.
 * @param socketName - below the temporary folder; may have folders in it.
 */
export async function startFakeServer(handlers: Handlers, socketName = 's.sock'): Promise<FakeServer> {
  const folder = mkdtempSync(join(tmpdir(), 'mydocker-client-'));
  const server = new grpc.Server({ 'grpc-node.flow_control_window': 8 << 20 });
  for (const service of SERVICES) {
    for (const [key, method] of Object.entries<Method>(service.methods)) {
      const handler = handlers[method.name];
      if (handler === undefined) continue;
      const definition = { [key]: serializers(method, `/${service.fullName}/${method.name}`) };
      server.addService(definition, {
        [key]: method.responseStream ? (handler as grpc.UntypedHandleCall) : answering(handler),
      });
    }
  }
  const host = `unix://${join(folder, socketName)}`;
  await new Promise<void>((resolve, reject) => {
    server.bindAsync(host, grpc.ServerCredentials.createInsecure(), (error) =>
      error === null ? resolve() : reject(error),
    );
  });
  const stop = (): void => {
    server.forceShutdown();
    rmSync(folder, { recursive: true, force: true });
  };
  return { host, folder, stop };
}

/** An error as the server sends it, with details. */
export function serviceError(
  code: grpc.status,
  message: string,
  details: { reason?: string; hint?: string; metadata?: Record<string, string> } = {},
): Partial<grpc.StatusObject> & { name: string; message: string } {
  const any = (name: string, value: Uint8Array): Any => ({ typeUrl: `type.googleapis.com/${name}`, value });
  const info = ErrorInfo.create({
    reason: details.reason ?? 'TEST',
    domain: 'mydocker',
    metadata: details.metadata ?? {},
  });
  const all = [any('google.rpc.ErrorInfo', ErrorInfo.encode(info).finish())];
  if (details.hint !== undefined) {
    const hint = LocalizedMessage.create({ locale: 'en', message: details.hint });
    all.push(any('google.rpc.LocalizedMessage', LocalizedMessage.encode(hint).finish()));
  }
  const metadata = new grpc.Metadata();
  metadata.set(
    'grpc-status-details-bin',
    Buffer.from(Status.encode({ code, message, details: all }).finish()),
  );
  return { name: 'Error', message, code, details: message, metadata };
}
