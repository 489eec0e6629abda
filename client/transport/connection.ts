/**
 * A gRPC client on a unix socket, as much of one as a command line needs. Each command pays for what it loads, so
 * neither grpc-js nor node:http2 is used.
 */
import { Socket } from 'node:net';
import { Call } from './call.ts';
import { Http2Session } from './http2/session.ts';
import type { CallOptions, Method } from './method.ts';
import { Code, RpcError } from './rpc-error.ts';
import { parseHost, reachablePath } from './socket-address.ts';

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
  const path = parseHost(host);
  let connected = false;
  let failure: RpcError | undefined;
  const fail = (error: NodeJS.ErrnoException): void => {
    failure ??= connected ? lostConnection(host, error) : noConnection(host, error);
  };
  const socket = openSocket(path);
  socket.once('connect', () => {
    connected = true;
  });
  const session = new Http2Session(socket, fail);
  const open = <Request, Response>(
    method: Method<Request, Response>,
    options: CallOptions = {},
  ): Call<Request, Response> => {
    debug(`call ${method.path} at ${host}`);
    if (session.isClosed) throw failure ?? lostConnection(host, new Error('the server is going away'));
    return new Call(method, session.request(headersOf(method.path, options)), () => failure, options);
  };
  const start = <Request, Response>(
    method: Method<Request, Response>,
    request: Request,
    options?: CallOptions,
  ): Call<Request, Response> => {
    const call = open(method, options);
    call.send(request).catch((cause) => call.cancel(new RpcError(Code.INTERNAL, String(cause), { cause })));
    call.end();
    return call;
  };
  return {
    bidi: open,
    unary: async (method, request, options) => await single(start(method, request, options)),
    serverStream: (method, request, options) => start(method, request, options).responses(),
    clientStream: (method, requests, options) => sendAll(open(method, options), requests),
    close: () => session.destroy(),
  };
}

function openSocket(path: string): Socket {
  const socket = new Socket();
  try {
    const reachable = reachablePath(path);
    socket.once('connect', reachable.release);
    socket.once('close', reachable.release);
    return socket.connect(reachable.path);
  } catch (error) {
    return socket.destroy(error as Error);
  }
}

function headersOf(path: string, { deadlineMs }: CallOptions): [name: string, value: string][] {
  return [
    [':method', 'POST'],
    [':scheme', 'http'],
    [':authority', 'localhost'],
    [':path', path],
    ['content-type', 'application/grpc'],
    ['te', 'trailers'],
    ...(deadlineMs === undefined
      ? []
      : ([['grpc-timeout', timeoutHeader(deadlineMs)]] as [string, string][])),
  ];
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
    hint: 'containers go on without it: see mydocker ps once it is back',
    cause: error,
  });
}
