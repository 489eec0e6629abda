/** The API as a whole: all services on one grpc-js server, its limits, its sockets, its end. */
import { subscribe } from 'node:diagnostics_channel';
import type { Http2Session, ServerHttp2Stream } from 'node:http2';
import type { Socket } from 'node:net';
import { setTimeout as sleep } from 'node:timers/promises';
import { Server, ServerCredentials } from '@grpc/grpc-js';
import { HealthDefinition } from '../../proto/gen/grpc/health/v1/health.ts';
import { ServerReflectionDefinition } from '../../proto/gen/grpc/reflection/v1/reflection.ts';
import { ContainersServiceDefinition } from '../../proto/gen/mydocker/v1/containers.ts';
import { EventsServiceDefinition } from '../../proto/gen/mydocker/v1/events.ts';
import { ImagesServiceDefinition } from '../../proto/gen/mydocker/v1/images.ts';
import { NetworksServiceDefinition } from '../../proto/gen/mydocker/v1/networks.ts';
import { SystemServiceDefinition } from '../../proto/gen/mydocker/v1/system.ts';
import { TasksServiceDefinition } from '../../proto/gen/mydocker/v1/tasks.ts';
import { VolumesServiceDefinition } from '../../proto/gen/mydocker/v1/volumes.ts';
import { unavailable } from '../model/error.ts';
import type { Logger } from '../model/logger.ts';
import type { Engine } from '../ops/engine.ts';
import { RequestIds } from '../ops/request-ids.ts';
import { Calls } from './calls.ts';
import { containersService } from './containers.ts';
import { eventsService } from './events.ts';
import { type Implementation, implement } from './handlers.ts';
import { healthService } from './health.ts';
import { imagesService } from './images.ts';
import { type Listener, listenUnix } from './listen.ts';
import { networksService } from './networks.ts';
import { reflectionService } from './reflection-service.ts';
import { type GenericService, serviceDefinition } from './service-definition.ts';
import { type ServerFacts, systemService } from './system.ts';
import { tasksService } from './tasks.ts';
import { volumesService } from './volumes.ts';

/** Four times what the contract promises to take, so that a client's framing never decides. */
const MAX_MESSAGE_BYTES = 16 << 20;
const MAX_STREAMS_PER_CONNECTION = 4096;
/** What a client may send ahead; with HTTP/2's own 64 KiB an upload waits more than it sends. */
const UPLOAD_WINDOW_BYTES = 8 << 20;
/** What HTTP/2 allows is 16 KiB; each frame costs as much as its bytes. */
const UPLOAD_FRAME_BYTES = 1 << 20;
/** Calls that send much. */
const UPLOADS = /\/(?:ImportImage|LoadImages|CopyToContainer|AttachTask)$/;
/** How long calls may take to end when the server stops. */
const STOP_GRACE_MS = 3000;

const MYDOCKER_SERVICES = [
  ImagesServiceDefinition,
  ContainersServiceDefinition,
  TasksServiceDefinition,
  NetworksServiceDefinition,
  VolumesServiceDefinition,
  EventsServiceDefinition,
  SystemServiceDefinition,
];

/** The older name of the same service, with the same messages. */
const ServerReflectionAlphaDefinition = {
  ...ServerReflectionDefinition,
  fullName: 'grpc.reflection.v1alpha.ServerReflection',
};

/** Full names of everything that is served. */
const SERVICE_NAMES: readonly string[] = [
  ...MYDOCKER_SERVICES,
  HealthDefinition,
  ServerReflectionDefinition,
  ServerReflectionAlphaDefinition,
].map((service) => service.fullName);

/** A server of the API. */
export interface Api {
  /**
   * Serves on one more address.
   * @param gid - group that may connect; undefined: root alone.
   * @throws MydockerError as listenUnix.
   */
  listen(address: string, gid: number | undefined): Promise<void>;
  /** Takes no more calls, ends those that are open, removes the sockets. */
  stop(): Promise<void>;
}

/** @param prepareSocket - called with each connection before anything is read from it. */
export function createApi(
  engine: Engine,
  facts: ServerFacts,
  log: Logger,
  prepareSocket: (socket: Socket) => void = () => undefined,
): Api {
  const server = new Server({
    'grpc.max_receive_message_length': MAX_MESSAGE_BYTES,
    'grpc.max_concurrent_streams': MAX_STREAMS_PER_CONNECTION,
    // No keepalive pings: the kernel tells when the other end of a unix socket is gone, and a client that was
    // stopped with ^Z is not.
    'grpc.enable_channelz': 0,
  });
  const calls = new Calls();
  const requestIds = new RequestIds();
  const stopping = new AbortController();
  const add = <S extends GenericService>(service: S, implementation: Implementation<S>): void =>
    server.addService(
      serviceDefinition(service),
      implement(service, implementation, { calls, log, requestIds }),
    );
  add(ImagesServiceDefinition, imagesService(engine, requestIds));
  add(ContainersServiceDefinition, containersService(engine));
  add(TasksServiceDefinition, tasksService(engine, requestIds));
  add(NetworksServiceDefinition, networksService(engine));
  add(VolumesServiceDefinition, volumesService(engine));
  add(EventsServiceDefinition, eventsService(engine));
  add(SystemServiceDefinition, systemService(engine, facts));
  const services = MYDOCKER_SERVICES.map((service) => service.fullName);
  add(HealthDefinition, healthService(services, stopping.signal));
  add(ServerReflectionDefinition, reflectionService(SERVICE_NAMES));
  add(ServerReflectionAlphaDefinition, reflectionService(SERVICE_NAMES));
  widenUploads();

  const injector = server.createConnectionInjector(ServerCredentials.createInsecure());
  const listeners: Listener[] = [];
  return {
    listen: async (address, gid) => {
      const accept = (socket: Socket): void => {
        prepareSocket(socket);
        injector.injectConnection(socket);
      };
      listeners.push(await listenUnix(address, gid, accept));
    },
    stop: async () => {
      for (const listener of listeners) listener.close();
      stopping.abort();
      await endCalls(calls);
      await shutDown(server);
    },
  };
}

async function endCalls(calls: Calls): Promise<void> {
  // Whoever watches the health is told before all calls end.
  await sleep(0);
  calls.endAll(
    unavailable('the server stops', { reason: 'SERVER_STOPPING', hint: 'try again when it is back' }),
  );
  const until = Date.now() + STOP_GRACE_MS;
  while (calls.size > 0 && Date.now() < until) await sleep(5);
}

/** Answers that were given are still sent; a connection that takes them not is cut. */
async function shutDown(server: Server): Promise<void> {
  const { promise, resolve } = Promise.withResolvers<void>();
  server.tryShutdown(() => resolve());
  await Promise.race([promise, sleep(STOP_GRACE_MS, undefined, { ref: false })]);
  server.forceShutdown();
}

let widening = false;

/** grpc-js gives its own clients a wide window, its server none; HTTP/2 lets either side ask for it. */
function widenUploads(): void {
  if (widening) return;
  widening = true;
  const widened = new WeakSet<Http2Session>();
  subscribe('http2.server.stream.created', (message) => {
    const { stream, headers } = message as { stream: ServerHttp2Stream; headers: Record<string, unknown> };
    const { session } = stream;
    if (session === undefined || widened.has(session) || !UPLOADS.test(String(headers[':path']))) return;
    widened.add(session);
    session.settings({ initialWindowSize: UPLOAD_WINDOW_BYTES, maxFrameSize: UPLOAD_FRAME_BYTES });
    session.setLocalWindowSize(UPLOAD_WINDOW_BYTES);
  });
}
