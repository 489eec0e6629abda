/**
 * A gRPC client over node:http2 on a unix socket, as much of one as a command line needs. Loading it takes half the
 * time of loading grpc-js, and each command pays for what it loads.
 */
import type { ClientHttp2Session } from 'node:http2';
import { connect as connectSocket, Socket } from 'node:net';
import { Call } from './call.ts';
import type { CallOptions, Method } from './method.ts';
import { Code, RpcError } from './rpc-error.ts';
import { parseHost, type ReachablePath, reachablePath } from './socket-address.ts';

/** Bytes that may be on their way unread, for each stream and for the connection. */
const WINDOW_BYTES = 8 << 20;

/** Memory that node:http2 may use for the connection, in MB: more than the windows, or it refuses calls. */
const SESSION_MEMORY_MB = 128;

/** A connection to the server. Made at once, used before it stands. */
export interface Connection {
  /** Both sides send as they like. */
  bidi<Request, Response>(method: Method<Request, Response>, options?: CallOptions): Call<Request, Response>;
  /** One request, one response. @throws RpcError */
  unary<Request, Response>(
    method: Method<Request, Response>,
    request: Request,
    options?: CallOptions,
  ): Promise<Response>;
  /** One request, many responses. @throws RpcError while iterating. */
  serverStream<Request, Response>(
    method: Method<Request, Response>,
    request: Request,
    options?: CallOptions,
  ): AsyncGenerator<Response>;
  /** Many requests, one response. Ends early where the server answers early. @throws RpcError */
  clientStream<Request, Response>(
    method: Method<Request, Response>,
    requests: AsyncIterable<Request>,
    options?: CallOptions,
  ): Promise<Response>;
  /** Ends the connection and every call on it. */
  close(): void;
}

/**
 * Connects to the server.
 * @param host - `unix://PATH`.
 * @param debug - gets a line for each call.
 * @returns at once; what goes wrong with the connection is an error of its calls.
 */
export function openConnection(host: string, debug: (line: string) => void = () => {}): Connection {
  // Not an import: help and wrong arguments must not pay for loading it.
  const http2 = process.getBuiltinModule('node:http2');
  const path = parseHost(host);
  let connected = false;
  let failure: RpcError | undefined;
  const fail = (error: NodeJS.ErrnoException): void => {
    failure ??= connected ? lostConnection(host, error) : noConnection(host, error);
  };
  const session = http2.connect('http://localhost', {
    createConnection: () => openSocket(path, fail),
    settings: { enablePush: false, initialWindowSize: WINDOW_BYTES },
    maxSessionMemory: SESSION_MEMORY_MB,
  });
  session.on('connect', () => {
    connected = true;
    session.setLocalWindowSize(WINDOW_BYTES);
  });
  session.on('error', fail);
  session.on('close', () => fail(new Error('it was closed')));
  const open = <Request, Response>(
    method: Method<Request, Response>,
    options: CallOptions = {},
  ): Call<Request, Response> => {
    debug(`call ${method.path} at ${host}`);
    const stream = request(session, method.path, options);
    if (stream === undefined) throw failure ?? lostConnection(host, new Error('it was closed'));
    // Streams close before their session says why.
    const lost = (): RpcError | undefined => {
      if (session.destroyed) fail(new Error('it was closed'));
      return failure;
    };
    return new Call(method, stream, lost, options);
  };
  return {
    bidi: open,
    unary: async (method, request, options) => {
      const call = open(method, options);
      call.endWith(request);
      return await single(call);
    },
    serverStream: (method, request, options) => {
      const call = open(method, options);
      call.endWith(request);
      return call.responses();
    },
    clientStream: (method, requests, options) => sendAll(open(method, options), requests),
    close: () => session.destroy(),
  };
}

function openSocket(path: string, fail: (error: NodeJS.ErrnoException) => void): Socket {
  let reachable: ReachablePath;
  try {
    reachable = reachablePath(path);
  } catch (error) {
    fail(error as NodeJS.ErrnoException);
    return new Socket().destroy();
  }
  const socket = connectSocket(reachable.path);
  socket.once('connect', reachable.release);
  socket.once('error', (error) => {
    if (socket.connecting) reachable.release();
    fail(error);
  });
  return socket;
}

/** @returns undefined where the connection is gone. */
function request(
  session: ClientHttp2Session,
  path: string,
  { deadlineMs }: CallOptions,
): ReturnType<ClientHttp2Session['request']> | undefined {
  if (session.closed || session.destroyed) return undefined;
  return session.request({
    ':method': 'POST',
    ':path': path,
    'content-type': 'application/grpc',
    te: 'trailers',
    ...(deadlineMs === undefined ? {} : { 'grpc-timeout': timeoutHeader(deadlineMs) }),
  });
}

/** At most 8 digits and a unit. Source: grpc/doc/PROTOCOL-HTTP2.md, "Timeout". */
function timeoutHeader(ms: number): string {
  const whole = Math.max(1, Math.ceil(ms));
  return whole < 1e8 ? `${whole}m` : `${Math.min(Math.ceil(ms / 1000), 99_999_999)}S`;
}

async function single<Request, Response>(call: Call<Request, Response>): Promise<Response> {
  let last: Response | undefined;
  // Read to the end: the status behind the message decides.
  for await (const response of call.responses()) last = response;
  if (last === undefined)
    throw new RpcError(Code.INTERNAL, 'the server answered with OK but without a message');
  return last;
}

async function sendAll<Request, Response>(
  call: Call<Request, Response>,
  requests: AsyncIterable<Request>,
): Promise<Response> {
  const sending = (async (): Promise<never> => {
    try {
      for await (const request of requests) {
        if (!(await call.send(request))) break;
      }
      call.end();
    } catch (error) {
      call.cancel();
      throw error;
    }
    // What it sends is no answer.
    return await new Promise<never>(() => {});
  })();
  return await Promise.race([sending, single(call)]);
}

function noConnection(host: string, error: NodeJS.ErrnoException): RpcError {
  const why =
    { ENOENT: 'no such socket', ECONNREFUSED: 'nobody listens there', EACCES: 'permission denied' }[
      error.code ?? ''
    ] ?? error.message;
  const hint =
    error.code === 'EACCES' ? 'run it as root or as a member of the socket’s group' : 'is mydockerd running?';
  return new RpcError(Code.UNAVAILABLE, `cannot connect to the server at ${host}: ${why}`, {
    reason: 'NO_CONNECTION',
    hint,
    cause: error,
  });
}

function lostConnection(host: string, error: Error): RpcError {
  return new RpcError(Code.UNAVAILABLE, `lost the connection to the server at ${host}: ${error.message}`, {
    reason: 'CONNECTION_LOST',
    cause: error,
  });
}
