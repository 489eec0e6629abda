/**
 * One HTTP request and its answer: no redirects, no cookies, no decompression, and a limit on everything that
 * the other side decides: the head's size, the time to answer, the pace of the body.
 */
import { type IncomingMessage, request as requestHttp } from 'node:http';
import { request as requestHttps } from 'node:https';
import { MydockerError, quoteId } from '../model/error.ts';
import type { RegistryLimits, RegistrySettings } from '../model/registry.ts';
import { isLoopback, lookUpOthers } from './addresses.ts';
import type { ProxyFor } from './proxies.ts';
import { registryAway, registryError } from './registry-error.ts';
import { createRoutes, proxyRefuses, type Route } from './routes.ts';
import { type HttpBody, sendBody } from './send-body.ts';

/** What is sent. */
export interface HttpRequest {
  readonly method: 'GET' | 'HEAD' | 'POST' | 'PUT' | 'PATCH' | 'DELETE';
  readonly url: URL;
  readonly headers: Readonly<Record<string, string>>;
  readonly body?: string | HttpBody;
  readonly signal?: AbortSignal | undefined;
  /** The host is not the registry's: it must not be one that only we can reach. */
  readonly isOther?: boolean;
}

/** What came, up to its body. */
export interface HttpResponse {
  /** Name of the registry that was asked. */
  readonly host: string;
  readonly status: number;
  /** `''` where it is absent; of several the first, or all with commas between, as Node does it. */
  header(name: string): string;
  /** The body's chunks, once; throws `unavailable` where it breaks off, stalls or crawls. */
  chunks(): AsyncGenerator<Buffer, void, undefined>;
  /** The body of a document. @throws MydockerError when it is longer than that. */
  read(maxBytes: number): Promise<Buffer>;
  /** Not needed any more. */
  discard(): void;
}

/** A connection pool to one registry and where it sends us. */
export interface Http {
  send(request: HttpRequest): Promise<HttpResponse>;
  close(): void;
}

/** Given by Node and OpenSSL where the other side does not speak TLS at all. */
const NOT_TLS = /wrong version number|packet length too long|http request|before secure TLS connection/i;

/** Code of an error that says: no TLS there. */
export const NOT_TLS_REASON = 'REGISTRY_SPEAKS_HTTP';

/**
 * @param host - of the registry, for errors.
 * @throws MydockerError `failed-precondition` when a certificate's file cannot be read.
 */
export function createHttp(
  host: string,
  settings: RegistrySettings,
  limits: RegistryLimits,
  proxyFor: ProxyFor,
): Http {
  const routes = createRoutes(host, settings, limits, proxyFor);
  return {
    send: async (request) => {
      const route = routes.to(request.url, request.isOther ?? false);
      const answer = await send(host, request, route, limits);
      if (answer.status !== 407 || route.proxy === undefined) return answer;
      answer.discard();
      throw proxyRefuses(host, route.proxy);
    },
    close: routes.close,
  };
}

function send(
  host: string,
  question: HttpRequest,
  { agent, options: way, isSecure, proxy }: Route,
  limits: RegistryLimits,
): Promise<HttpResponse> {
  const { method, url, headers, body, signal, isOther = false } = question;
  const start = isSecure ? requestHttps : requestHttp;
  return new Promise((resolve, reject) => {
    const sized = typeof body === 'object' ? { 'content-length': String(body.sizeBytes) } : {};
    const options = {
      ...{ ...way, method, agent, maxHeaderSize: limits.headerBytes, insecureHTTPParser: false },
      headers: {
        ...{ 'user-agent': 'mydocker', 'accept-encoding': 'identity', ...sized, ...headers },
        ...(way.headers as Record<string, string> | undefined),
      },
      // A proxy looks it up itself.
      ...(isOther && proxy === undefined && !isLoopback(url.hostname) ? { lookup: lookUpOthers } : {}),
      ...(signal === undefined ? {} : { signal }),
    };
    const request = start(url, options);
    const over = Promise.withResolvers<void>();
    let isOver = false;
    let late: NodeJS.Timeout | undefined;
    const finish = (): void => {
      isOver = true;
      clearTimeout(late);
      over.resolve();
    };
    const fail = (error: unknown): void => {
      finish();
      reject(signal?.aborted === true ? signal.reason : asRegistryError(host, url, error as Error, proxy));
    };
    const awaitAnswer = (): void => {
      const away = registryAway(host, `no answer in ${limits.answerMs} ms`);
      if (!isOver) late = setTimeout(() => request.destroy(away), limits.answerMs);
    };
    request.on('error', fail);
    // Closed by Node itself with no word, where another protocol is switched to.
    request.on(
      'close',
      () => isOver || fail(registryAway(host, 'it ended the connection without an answer')),
    );
    request.on('response', (message) => {
      finish();
      // What was answered before all of it was sent leaves a connection that is of no use.
      if (!request.writableEnded) message.once('close', () => request.destroy());
      resolve(new Response(host, question, message, limits));
    });
    if (typeof body !== 'object') {
      awaitAnswer();
      request.end(body);
      return;
    }
    const sending = { isOver: () => isOver, over: over.promise };
    sendBody(request, body, sending, host, limits).then(awaitAnswer, (error: unknown) => {
      reject(error);
      request.destroy();
    });
  });
}

class Response implements HttpResponse {
  readonly host: string;
  readonly #url: URL;
  readonly #message: IncomingMessage;
  readonly #limits: RegistryLimits;
  readonly #signal: AbortSignal | undefined;
  /** Nothing can come after its head. */
  readonly #isEmpty: boolean;

  constructor(
    host: string,
    { url, method, signal }: HttpRequest,
    message: IncomingMessage,
    limits: RegistryLimits,
  ) {
    this.host = host;
    this.#url = url;
    this.#isEmpty = method === 'HEAD' || message.headers['content-length'] === '0';
    this.#message = message;
    this.#limits = limits;
    this.#signal = signal;
    // Nobody may be reading when it breaks; who reads sees it there.
    message.on('error', () => undefined);
  }

  get status(): number {
    return this.#message.statusCode ?? 0;
  }

  header(name: string): string {
    const value = this.#message.headers[name.toLowerCase()];
    return Array.isArray(value) ? (value[0] ?? '') : (value ?? '');
  }

  async *chunks(): AsyncGenerator<Buffer, void, undefined> {
    const coding = this.header('content-encoding');
    if (coding !== '' && coding !== 'identity') {
      this.discard();
      throw registryError(this.host, `its answer has the content encoding ${quoteId(coding)}`);
    }
    const chunks = this.#message[Symbol.asyncIterator]() as AsyncIterator<Buffer>;
    // Waiting is counted, not the time that our own disk takes.
    let waitedMs = 0;
    let bytes = 0;
    try {
      for (;;) {
        const since = performance.now();
        const next = await this.#next(chunks);
        if (next.done === true) return;
        waitedMs += performance.now() - since;
        bytes += next.value.length;
        if (waitedMs > this.#limits.slowMs) {
          if (bytes < this.#limits.slowBytes) throw this.#away(`only ${bytes} bytes came in a long time`);
          waitedMs = 0;
          bytes = 0;
        }
        yield next.value;
      }
    } finally {
      this.discard();
    }
  }

  async #next(chunks: AsyncIterator<Buffer>): Promise<IteratorResult<Buffer>> {
    const { idleMs } = this.#limits;
    const late = setTimeout(() => this.#message.destroy(this.#away(`nothing came for ${idleMs} ms`)), idleMs);
    try {
      return await chunks.next();
    } catch (error) {
      throw this.#signal?.aborted === true
        ? this.#signal.reason
        : asRegistryError(this.host, this.#url, error as Error);
    } finally {
      clearTimeout(late);
    }
  }

  #away(why: string): MydockerError {
    return registryAway(this.host, why);
  }

  async read(maxBytes: number): Promise<Buffer> {
    const parts: Buffer[] = [];
    let size = 0;
    for await (const part of this.chunks()) {
      size += part.length;
      if (size > maxBytes)
        throw registryError(this.host, `its answer is longer than ${maxBytes} bytes`, {
          code: 'resource-exhausted',
          reason: 'REGISTRY_LIMIT',
        });
      parts.push(part);
    }
    return Buffer.concat(parts);
  }

  discard(): void {
    // A connection with a rest of an answer in it is of no use.
    const isWhole = this.#message.complete || this.#isEmpty;
    if (!isWhole || this.#message.readableLength > 0) this.#message.destroy();
    else this.#message.resume();
  }
}

/** Errors of the other side's certificate, which no other try cures. */
const CERTIFICATE = /CERT|SELF_SIGNED|UNABLE_TO|ERR_TLS/;

function asRegistryError(host: string, url: URL, error: Error, proxy?: string): MydockerError {
  if (error instanceof MydockerError) return error;
  const code = 'code' in error ? String(error.code) : '';
  const at = url.host === host ? '' : ` at ${quoteId(url.host)}`;
  if (url.protocol === 'https:' && (NOT_TLS.test(error.message) || code === 'ERR_SSL_WRONG_VERSION_NUMBER'))
    return registryError(host, `it does not speak TLS${at}`, {
      reason: NOT_TLS_REASON,
      cause: error,
      hint: 'where the network is to be trusted, set plain-http for it in the file of the server',
    });
  if (CERTIFICATE.test(code))
    return registryError(host, `its certificate${at} is not to be trusted: ${code}`, {
      reason: 'REGISTRY_CERTIFICATE',
      cause: error,
      hint: 'name its authority as ca for it in the file of the server',
    });
  if (code === 'ELOCAL')
    return registryError(host, `it names ${quoteId(url.host)}, an address of this machine`, {
      reason: 'REGISTRY_FORBIDDEN_HOST',
    });
  if (code.startsWith('HPE_'))
    return registryError(host, `its answer${at} is no HTTP: ${code}`, { cause: error });
  const words = UNREACHABLE[code];
  if (words !== undefined)
    return registryAway(host, words + (proxy === undefined ? at : ` at the proxy ${proxy}`), {
      reason: 'REGISTRY_UNREACHABLE',
      cause: error,
    });
  return registryAway(host, `the connection${at} broke: ${code || error.message}`, { cause: error });
}

const UNREACHABLE: Readonly<Record<string, string>> = {
  ECONNREFUSED: 'nobody answers: connection refused',
  ENOTFOUND: 'there is no such host',
  EAI_AGAIN: 'its name could not be looked up',
  EHOSTUNREACH: 'there is no way to it',
  ENETUNREACH: 'there is no way to it',
};
