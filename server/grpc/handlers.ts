/**
 * Between grpc-js and the services: a service is written as plain functions and generators, and whatever they
 * throw becomes a status. Nothing that happens in a call ends the process.
 */
import { hash } from 'node:crypto';
import type {
  handleBidiStreamingCall,
  handleClientStreamingCall,
  handleServerStreamingCall,
  handleUnaryCall,
  ServerDuplexStream,
  ServerReadableStream,
  ServerUnaryCall,
  ServerWritableStream,
  sendUnaryData,
  UntypedServiceImplementation,
} from '@grpc/grpc-js';
import { failpoint } from '../failpoint.ts';
import { invalidArgument, unimplemented } from '../model/error.ts';
import type { Logger } from '../model/logger.ts';
import type { RequestIds } from '../ops/request-ids.ts';
import type { CallContext, Calls, OpenCall } from './calls.ts';
import { type EnumCheck, enumCheck } from './enums.ts';
import { type GenericMethod, type GenericService, Malformed, responseEncoder } from './service-definition.ts';
import { isFault, statusOf } from './status.ts';
import { received, sender } from './streams.ts';

/** What all calls of a server share. */
export interface Surroundings {
  readonly calls: Calls;
  readonly log: Logger;
  readonly requestIds: RequestIds;
}

type RequestOf<M extends GenericMethod> = ReturnType<M['requestType']['decode']>;
type ResponseOf<M extends GenericMethod> = ReturnType<M['responseType']['decode']>;
/** Sent one after the other; plain arrays and generators where nothing is waited for. */
type Messages<T> = AsyncIterable<T> | Iterable<T>;

/** How a method is written, by its shape. */
export type Handler<M extends GenericMethod> = M['requestStream'] extends true
  ? M['responseStream'] extends true
    ? (requests: AsyncGenerator<RequestOf<M>>, call: CallContext) => Messages<ResponseOf<M>>
    : (requests: AsyncGenerator<RequestOf<M>>, call: CallContext) => Promise<ResponseOf<M>>
  : M['responseStream'] extends true
    ? (request: RequestOf<M>, call: CallContext) => Messages<ResponseOf<M>>
    : (request: RequestOf<M>, call: CallContext) => Promise<ResponseOf<M>> | ResponseOf<M>;

/** A service; methods that are left out answer UNIMPLEMENTED. */
export type Implementation<S extends GenericService> = {
  readonly [K in keyof S['methods']]?: Handler<S['methods'][K]>;
};

/** A method ready to be called. */
interface Bound {
  /** `mydocker.v1.TasksService/StartTask`. */
  readonly name: string;
  readonly check: EnumCheck;
  readonly method: GenericMethod;
  /** Of its responses. */
  readonly encode: (message: unknown) => Buffer;
}

/** All methods of a service as grpc-js calls them. */
export function implement<S extends GenericService>(
  service: S,
  implementation: Implementation<S>,
  surroundings: Surroundings,
): UntypedServiceImplementation {
  const methods: Readonly<Record<string, unknown>> = implementation;
  return Object.fromEntries(
    Object.entries(service.methods).map(([key, method]) => {
      const name = `${service.fullName}/${method.name}`;
      const bound: Bound = { name, check: enumCheck(name), method, encode: responseEncoder(method) };
      return [key, bind(surroundings, bound, methods[key] ?? missing(bound))];
    }),
  );
}

function bind(around: Surroundings, bound: Bound, handler: unknown): UntypedServiceImplementation[string] {
  const { requestStream, responseStream } = bound.method;
  if (requestStream && responseStream) return bidi(around, bound, handler as Stream);
  if (requestStream) return clientStream(around, bound, handler as Unary);
  if (responseStream) return serverStream(around, bound, handler as Stream);
  return unary(around, bound, handler as Unary);
}

type Unary = (request: unknown, call: CallContext) => Promise<unknown> | unknown;
type Stream = (request: unknown, call: CallContext) => Messages<unknown>;

function missing({ name }: Bound): Unary {
  return () => {
    throw unimplemented(`cannot call ${name}: this version of the server lacks it`, {
      reason: 'RPC_UNIMPLEMENTED',
      hint: 'it is part of the contract; a later version of mydocker has it',
      metadata: { rpc: name },
    });
  };
}

function unary(around: Surroundings, bound: Bound, handler: Unary): handleUnaryCall<unknown, unknown> {
  return (call, respond) =>
    void answer(around, bound, call, respond, (open) => {
      const request = checked(bound, call.request);
      return repeatable(around, bound, request, () => handler(request, open));
    });
}

function clientStream(
  around: Surroundings,
  bound: Bound,
  handler: Unary,
): handleClientStreamingCall<unknown, unknown> {
  return (call, respond) =>
    void answer(around, bound, call, respond, (open) => handler(requestsOf(bound, call, open), open));
}

function serverStream(
  around: Surroundings,
  bound: Bound,
  handler: Stream,
): handleServerStreamingCall<unknown, unknown> {
  return (call) => void stream(around, bound, call, (open) => handler(checked(bound, call.request), open));
}

function bidi(
  around: Surroundings,
  bound: Bound,
  handler: Stream,
): handleBidiStreamingCall<unknown, unknown> {
  return (call) => void stream(around, bound, call, (open) => handler(requestsOf(bound, call, open), open));
}

/** One answer; never rejects. */
async function answer(
  around: Surroundings,
  bound: Bound,
  call: ServerUnaryCall<unknown, unknown> | ServerReadableStream<unknown, unknown>,
  respond: sendUnaryData<unknown>,
  work: (open: OpenCall) => Promise<unknown> | unknown,
): Promise<void> {
  const open = around.calls.begin(call);
  try {
    respond(null, await work(open));
  } catch (thrown) {
    respond(refusal(around, bound, open, thrown));
  } finally {
    open.end();
  }
}

/** Many answers; never rejects. */
async function stream(
  around: Surroundings,
  bound: Bound,
  call: ServerWritableStream<unknown, unknown> | ServerDuplexStream<unknown, unknown>,
  work: (open: OpenCall) => Messages<unknown>,
): Promise<void> {
  const open = around.calls.begin(call);
  const send = sender(call, open.signal);
  try {
    for await (const message of work(open)) {
      await failpoint('stream.message');
      // Encoded at once: what it was made of may be used again for the next one.
      await send(bound.encode(message));
    }
    // Some work just ends with its signal, which is not the end that its client waits for.
    open.signal.throwIfAborted();
    call.end();
  } catch (thrown) {
    const status = refusal(around, bound, open, thrown);
    // A stream that was reset takes nothing any more, not even an error.
    if (!call.destroyed) call.emit('error', status);
  } finally {
    open.end();
  }
}

async function* requestsOf(
  bound: Bound,
  call: ServerReadableStream<unknown, unknown> | ServerDuplexStream<unknown, unknown>,
  open: OpenCall,
): AsyncGenerator<unknown, undefined> {
  for await (const message of received(call, open.signal)) yield checked(bound, message);
}

function checked(bound: Bound, message: unknown): unknown {
  if (message instanceof Malformed)
    throw invalidArgument(`cannot call ${bound.name}: the request cannot be decoded`, {
      reason: 'REQUEST_MALFORMED',
      cause: message.cause,
    });
  bound.check(message);
  return message;
}

/** A request with an id has its effect once. */
async function repeatable(
  { requestIds }: Surroundings,
  { name, method }: Bound,
  request: unknown,
  work: () => Promise<unknown> | unknown,
): Promise<unknown> {
  const { requestId } = request as { readonly requestId?: unknown };
  if (typeof requestId !== 'string' || requestId === '') return await work();
  const fingerprint = fingerprintOf(method, request);
  return await requestIds.run({ rpc: name, requestId, fingerprint }, async () => await work());
}

/** Equal for equal requests. */
export function fingerprintOf({ requestType }: Pick<GenericMethod, 'requestType'>, request: unknown): string {
  return hash('sha256', requestType.encode(request).finish(), 'base64');
}

function refusal(
  { log }: Surroundings,
  { name }: Bound,
  open: OpenCall,
  thrown: unknown,
): ReturnType<typeof statusOf> {
  const err = open.explain(thrown);
  const status = statusOf(err, open.id);
  const fields = { err, call: open.id, rpc: name, code: status.code };
  if (isFault(status)) log.error(fields, 'a call failed');
  else log.debug(fields, 'a call was refused');
  return status;
}
