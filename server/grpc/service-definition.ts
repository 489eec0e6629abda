/**
 * Turns a generated service (plain data, shared with the CLI) into what grpc-js serves. Nothing else in the
 * server knows that the generated code does not speak grpc-js by itself.
 */
import type { MethodDefinition, ServiceDefinition } from '@grpc/grpc-js';
import { encodeOutput, OUTPUT_FIELDS } from './output-message.ts';

/** Codec of one message, as ts-proto generates it. */
interface Codec<T> {
  encode(message: T): { finish(): Uint8Array };
  decode(input: Uint8Array): T;
}

/** A generated method. */
export interface GenericMethod {
  readonly name: string;
  // biome-ignore lint/suspicious/noExplicitAny: each method has message types of its own, both ways.
  readonly requestType: Codec<any>;
  readonly requestStream: boolean;
  // biome-ignore lint/suspicious/noExplicitAny: as above.
  readonly responseType: Codec<any>;
  readonly responseStream: boolean;
}

/** A generated `...ServiceDefinition`. */
export interface GenericService {
  readonly fullName: string;
  readonly methods: Readonly<Record<string, GenericMethod>>;
}

/** Stands for a request that is no message of its type: refused by the method, in the contract's words. */
export class Malformed {
  readonly cause: unknown;

  constructor(cause: unknown) {
    this.cause = cause;
  }
}

function deserializer(codec: Codec<unknown>): (wire: Uint8Array) => unknown {
  return (wire) => {
    try {
      return codec.decode(wire);
    } catch (error) {
      return new Malformed(error);
    }
  };
}

/** Encodes without a copy: grpc-js wants a Buffer, the writer gives the bytes of one. */
function encode(codec: Codec<unknown>, message: unknown): Buffer {
  const bytes = codec.encode(message).finish();
  return Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength);
}

/** Encodes the responses of a method. What is encoded already stays as it is. */
export function responseEncoder({ name, responseType }: GenericMethod): (message: unknown) => Buffer {
  const output = OUTPUT_FIELDS[name];
  return (message) => {
    if (message instanceof Buffer) return message;
    return (output && encodeOutput(message as object, output)) ?? encode(responseType, message);
  };
}

/**
 * The grpc-js definition of a generated service.
 * @returns methods by their camelCase names: `{ startTask: { path: '/mydocker.v1.TasksService/StartTask', … } }`.
 */
export function serviceDefinition(service: GenericService): ServiceDefinition {
  const entries = Object.entries(service.methods).map(
    ([key, method]): [string, MethodDefinition<unknown, unknown>] => [
      key,
      {
        path: `/${service.fullName}/${method.name}`,
        requestStream: method.requestStream,
        responseStream: method.responseStream,
        requestSerialize: (message) => encode(method.requestType, message),
        requestDeserialize: deserializer(method.requestType),
        responseSerialize: responseEncoder(method),
        responseDeserialize: (wire) => method.responseType.decode(wire),
      },
    ],
  );
  return Object.fromEntries(entries);
}
