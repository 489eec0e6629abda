/**
 * The API as any client sees it: grpc-js over the contract's definitions, none of this project's own client code. Used
 * by tests and benches, so that they fail where a stranger's generated client would.
 */
import {
  type CallOptions,
  Client,
  type ClientDuplexStream,
  type ClientReadableStream,
  type ClientWritableStream,
  credentials,
  Metadata,
} from '@grpc/grpc-js';
import { ContainersServiceDefinition } from '../../proto/gen/mydocker/v1/containers.ts';
import { EventsServiceDefinition } from '../../proto/gen/mydocker/v1/events.ts';
import { ImagesServiceDefinition } from '../../proto/gen/mydocker/v1/images.ts';
import { NetworksServiceDefinition } from '../../proto/gen/mydocker/v1/networks.ts';
import { SystemServiceDefinition } from '../../proto/gen/mydocker/v1/system.ts';
import { TasksServiceDefinition } from '../../proto/gen/mydocker/v1/tasks.ts';
import { VolumesServiceDefinition } from '../../proto/gen/mydocker/v1/volumes.ts';

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

interface Definition {
  readonly fullName: string;
  readonly methods: Readonly<Record<string, Method>>;
}

type Fields<M> = M extends { requestType: { fromPartial(fields: infer F): unknown } } ? F : never;
type Request<M extends Method> = ReturnType<M['requestType']['decode']>;
type Response<M extends Method> = ReturnType<M['responseType']['decode']>;

/** How a method is called: the request's fields that matter, the others have their defaults. */
type Call<M extends Method> = M['requestStream'] extends true
  ? M['responseStream'] extends true
    ? (options?: CallOptions) => ClientDuplexStream<Request<M>, Response<M>>
    : (options?: CallOptions) => { call: ClientWritableStream<Request<M>>; response: Promise<Response<M>> }
  : M['responseStream'] extends true
    ? (request: Fields<M>, options?: CallOptions) => ClientReadableStream<Response<M>>
    : (request: Fields<M>, options?: CallOptions) => Promise<Response<M>>;

/** A service: a function for each of its methods. Errors are grpc-js's `ServiceError`. */
export type Service<D extends Definition> = { readonly [K in keyof D['methods']]: Call<D['methods'][K]> };

/** An open connection with all services. */
export interface Api {
  readonly containers: Service<typeof ContainersServiceDefinition>;
  readonly events: Service<typeof EventsServiceDefinition>;
  readonly images: Service<typeof ImagesServiceDefinition>;
  readonly networks: Service<typeof NetworksServiceDefinition>;
  readonly system: Service<typeof SystemServiceDefinition>;
  readonly tasks: Service<typeof TasksServiceDefinition>;
  readonly volumes: Service<typeof VolumesServiceDefinition>;
  /** Resolves once there is a connection; rejects when there is none by then, in ms since 1970. */
  ready(deadline: number): Promise<void>;
  /** Closes the connection. */
  close(): void;
}

function bindMethod(client: Client, service: string, method: Method): unknown {
  const path = `/${service}/${method.name}`;
  const { requestType, responseType } = method;
  const write = (message: unknown): Buffer => Buffer.from(requestType.encode(message as never).finish());
  const read = (bytes: Buffer): unknown => responseType.decode(bytes);
  const fill = (partial: unknown): unknown => requestType.create(partial as never);
  const answer = <T>(
    call: (done: (error: Error | null, value?: unknown) => void) => T,
  ): [T, Promise<unknown>] => {
    let settle: (error: Error | null, value?: unknown) => void = () => {};
    const response = new Promise((resolve, reject) => {
      settle = (error, value) => (error === null ? resolve(value) : reject(error));
    });
    return [call(settle), response];
  };
  const none = new Metadata();
  if (method.requestStream && method.responseStream) {
    return (options: CallOptions = {}) => client.makeBidiStreamRequest(path, write, read, none, options);
  }
  if (method.requestStream) {
    return (options: CallOptions = {}) => {
      const [call, response] = answer((done) =>
        client.makeClientStreamRequest(path, write, read, none, options, done),
      );
      return { call, response };
    };
  }
  if (method.responseStream) {
    return (request: unknown, options: CallOptions = {}) =>
      client.makeServerStreamRequest(path, write, read, fill(request), none, options);
  }
  return (request: unknown, options: CallOptions = {}) =>
    answer((done) => client.makeUnaryRequest(path, write, read, fill(request), none, options, done))[1];
}

function bindService<D extends Definition>(client: Client, definition: D): Service<D> {
  const calls = Object.entries(definition.methods).map(([name, method]) => [
    name,
    bindMethod(client, definition.fullName, method),
  ]);
  return Object.fromEntries(calls) as Service<D>;
}

/**
 * Opens a connection.
 * @param address - `unix:///path/of/socket`.
 */
export function openApi(address: string): Api {
  const client = new Client(address, credentials.createInsecure(), {
    'grpc.max_receive_message_length': -1,
    'grpc-node.flow_control_window': 8 << 20,
    // A server that starts again is there at once.
    'grpc.initial_reconnect_backoff_ms': 50,
    'grpc.max_reconnect_backoff_ms': 50,
  });
  return {
    containers: bindService(client, ContainersServiceDefinition),
    events: bindService(client, EventsServiceDefinition),
    images: bindService(client, ImagesServiceDefinition),
    networks: bindService(client, NetworksServiceDefinition),
    system: bindService(client, SystemServiceDefinition),
    tasks: bindService(client, TasksServiceDefinition),
    volumes: bindService(client, VolumesServiceDefinition),
    ready: (deadline) =>
      new Promise((resolve, reject) => {
        client.waitForReady(deadline, (error) => (error === undefined ? resolve() : reject(error)));
      }),
    close: () => client.close(),
  };
}
