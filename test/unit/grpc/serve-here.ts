/** The API on a socket of its own over an engine of its own, and a client that is not this project's. */
import { type CallOptions, Client, credentials, Metadata, type ServiceError } from '@grpc/grpc-js';
import { ErrorInfo, LocalizedMessage } from '../../../proto/gen/google/rpc/error_details.ts';
import { Status } from '../../../proto/gen/google/rpc/status.ts';
import { createApi, type Api as Server } from '../../../server/grpc/server.ts';
import type { Logger } from '../../../server/model/logger.ts';
import { type Api, openApi } from '../../harness/api.ts';
import { type EngineHere, engineHere } from '../ops/engine-here.ts';

/** A served engine. */
export interface Served extends AsyncDisposable {
  readonly here: EngineHere;
  readonly server: Server;
  readonly api: Api;
  /** `unix:///…` */
  readonly address: string;
  /** What the server logged: level, fields, sentence. */
  readonly logged: readonly { level: string; fields: Record<string, unknown>; message: string }[];
}

export async function serveHere(): Promise<Served> {
  const logged: { level: string; fields: Record<string, unknown>; message: string }[] = [];
  const write =
    (level: string) =>
    (fields: object, message: string): void => {
      logged.push({ level, fields: fields as Record<string, unknown>, message });
    };
  const log: Logger = {
    ...{ debug: write('debug'), info: write('info'), warn: write('warn'), error: write('error') },
    child: () => log,
  };
  const here = await engineHere();
  const address = `unix://${here.engine.paths.state}/mydocker.sock`;
  const server = createApi(here.engine, { startedAt: 1n, listen: [address], debug: false }, log);
  await server.listen(address, undefined);
  const api = openApi(address);
  return {
    ...{ here, server, api, address, logged },
    [Symbol.asyncDispose]: async () => {
      api.close();
      await server.stop();
      await here[Symbol.asyncDispose]();
    },
  };
}

/** An error as a client reads it out of the trailers. */
export interface WireError {
  readonly code: number;
  readonly message: string;
  readonly reason: string;
  readonly metadata: Readonly<Record<string, string>>;
  readonly hint: string;
}

/** @throws the error itself when it has no details. */
export function wireError(error: unknown): WireError {
  const [bytes] = (error as ServiceError).metadata.get('grpc-status-details-bin');
  if (!(bytes instanceof Buffer)) throw error;
  const { code, message, details } = Status.decode(bytes);
  const find = (name: string): Uint8Array | undefined =>
    details.find(({ typeUrl }) => typeUrl === `type.googleapis.com/google.rpc.${name}`)?.value;
  const info = ErrorInfo.decode(find('ErrorInfo') ?? new Uint8Array());
  const hint = LocalizedMessage.decode(find('LocalizedMessage') ?? new Uint8Array()).message;
  if (info.domain !== 'mydocker' || code !== (error as ServiceError).code) throw error;
  return { code, message, hint, reason: info.reason, metadata: info.metadata };
}

/** The error that a call ends with. */
export async function refusalOf(call: Promise<unknown>): Promise<WireError> {
  try {
    await call;
  } catch (error) {
    return wireError(error);
  }
  throw new Error('the call was not refused');
}

/** A unary call with whatever bytes. */
export function rawCall(
  address: string,
  path: string,
  bytes: Buffer,
  options: CallOptions = {},
): Promise<Buffer> {
  const client = new Client(address, credentials.createInsecure());
  const same = (value: Buffer): Buffer => value;
  return new Promise<Buffer>((resolve, reject) => {
    client.makeUnaryRequest(path, same, same, bytes, new Metadata(), options, (error, value) => {
      client.close();
      if (error === null) resolve(value as Buffer);
      else reject(error);
    });
  });
}
