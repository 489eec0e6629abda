/**
 * The way to a host: with which certificates, and through which proxy. Node's own way through proxies is not taken:
 * it ends the process where a proxy answers in pieces.
 */
import { readFileSync } from 'node:fs';
import {
  type Agent,
  type ClientRequest,
  Agent as HttpAgent,
  type RequestOptions,
  request as requestHttp,
} from 'node:http';
import { type AgentOptions, Agent as HttpsAgent, request as requestHttps } from 'node:https';
import type { Duplex } from 'node:stream';
import type { RegistryLimits, RegistrySettings } from '../model/registry.ts';
import type { ProxyFor } from './proxies.ts';
import { registryAway, registryError } from './registry-error.ts';

/** How one request is made. */
export interface Route {
  readonly agent: Agent;
  /** Where it goes, over what the address says; its headers too. */
  readonly options: RequestOptions;
  /** TLS is spoken with whoever answers there. */
  readonly isSecure: boolean;
  /** Name and port of the proxy; absent: none. */
  readonly proxy?: string;
}

/** Ways of one registry and where it sends us. */
export interface Routes {
  /** @param isOther - the host is not the registry's. @throws MydockerError for a proxy that is none. */
  to(url: URL, isOther: boolean): Route;
  close(): void;
}

/** Idle connections that are kept. */
const KEPT_SOCKETS = 4;
const KEPT_MS = 30_000;

/**
 * @param host - of the registry, for errors.
 * @throws MydockerError `failed-precondition` when a certificate's file cannot be read.
 */
export function createRoutes(
  host: string,
  settings: RegistrySettings,
  limits: RegistryLimits,
  proxyFor: ProxyFor,
): Routes {
  const common = { keepAlive: true, maxFreeSockets: KEPT_SOCKETS, timeout: KEPT_MS };
  const file = (path: string | undefined): Buffer | undefined => readPem(host, path);
  const [ca, cert, key] = [file(settings.ca), file(settings.clientCert), file(settings.clientKey)];
  const trust = { ...common, ...(ca === undefined ? {} : { ca }) };
  // The key proves who we are to the registry, and to nobody that it names.
  const identity = cert === undefined || key === undefined ? trust : { ...trust, cert, key };
  const agents = new Map<string, Agent>();
  const agent = (name: string, make: () => Agent): Agent => {
    const found = agents.get(name) ?? make();
    agents.set(name, found);
    return found;
  };
  return {
    to: (url, isOther) => {
      const proxy = proxyFor(host, url);
      const whose = isOther ? 'others' : 'own';
      const tls = isOther ? trust : identity;
      if (url.protocol === 'https:' && proxy !== undefined) {
        const through = agent(`${whose} proxy`, () => new TunnelAgent(host, proxy, limits, tls));
        return { agent: through, options: {}, isSecure: true, proxy: proxy.host };
      }
      if (url.protocol === 'https:')
        return { agent: agent(whose, () => new HttpsAgent(tls)), options: {}, isSecure: true };
      if (proxy === undefined)
        return { agent: agent('plain', () => new HttpAgent(common)), options: {}, isSecure: false };
      const isSecure = proxy.protocol === 'https:';
      const toProxy = agent('proxy', () => (isSecure ? new HttpsAgent(common) : new HttpAgent(common)));
      return { agent: toProxy, options: forwarded(proxy, url), isSecure, proxy: proxy.host };
    },
    close: () => {
      for (const each of agents.values()) each.destroy();
    },
  };
}

function readPem(host: string, path: string | undefined): Buffer | undefined {
  if (path === undefined) return undefined;
  try {
    return readFileSync(path);
  } catch (cause) {
    const why = `${path} cannot be read: ${(cause as NodeJS.ErrnoException).code}`;
    throw registryError(host, why, { reason: 'CONFIG_FILE_INVALID', cause });
  }
}

/** A proxy is asked for the whole address where nothing is encrypted. */
function forwarded(proxy: URL, url: URL): RequestOptions {
  return {
    ...addressOf(proxy),
    path: `${url.origin}${url.pathname}${url.search}`,
    headers: { host: url.host, ...identification(proxy) },
  };
}

function addressOf({ protocol, hostname, port }: URL): RequestOptions {
  const host = hostname.replace(/^\[|\]$/g, '');
  return { protocol, hostname: host, host, port: port || (protocol === 'https:' ? 443 : 80) };
}

/** What the proxy wants to see of us, from its own address; nobody else sees it. */
function identification({ username, password }: URL): Record<string, string> {
  if (username === '' && password === '') return {};
  const text = [username, password].map(decoded).join(':');
  return { 'proxy-authorization': `Basic ${Buffer.from(text).toString('base64')}` };
}

function decoded(text: string): string {
  try {
    return decodeURIComponent(text);
  } catch {
    return text;
  }
}

type Connected = (error: Error | null, stream: Duplex) => void;

/** TLS with the host at the far end of what the proxy opens for us. */
class TunnelAgent extends HttpsAgent {
  readonly #host: string;
  readonly #proxy: URL;
  readonly #limits: RegistryLimits;

  constructor(host: string, proxy: URL, limits: RegistryLimits, options: AgentOptions) {
    super(options);
    this.#host = host;
    this.#proxy = proxy;
    this.#limits = limits;
  }

  override createConnection(options: RequestOptions, done: Connected): undefined {
    let isDone = false;
    const end = (error: Error | null, stream?: Duplex): void => {
      if (!isDone) done(error, stream as Duplex);
      isDone = true;
    };
    const target = String(options.host);
    const authority = `${target.includes(':') ? `[${target}]` : target}:${options.port}`;
    const request = this.#connect(authority);
    const late = setTimeout(() => request.destroy(new Error('no answer in time')), this.#limits.answerMs);
    request.on('error', (error) => {
      clearTimeout(late);
      end(this.#away(`cannot be used: ${(error as NodeJS.ErrnoException).code ?? error.message}`));
    });
    request.on('close', () => end(this.#away('ended the connection without an answer')));
    // Anything but a tunnel comes as an answer.
    request.on('response', (message) => {
      clearTimeout(late);
      message.destroy();
      end(this.#refused(message.statusCode ?? 0));
    });
    request.on('connect', ({ statusCode = 0 }, socket, head) => {
      clearTimeout(late);
      if (statusCode === 200 && head.length === 0)
        return end(null, super.createConnection({ ...options, socket } as RequestOptions) as Duplex);
      socket.destroy();
      end(this.#refused(statusCode));
    });
    request.end();
    return undefined;
  }

  #connect(authority: string): ClientRequest {
    const options = {
      ...{ ...addressOf(this.#proxy), method: 'CONNECT', path: authority, agent: false as const },
      ...{ maxHeaderSize: this.#limits.headerBytes },
      headers: { host: authority, ...identification(this.#proxy) },
    };
    return this.#proxy.protocol === 'https:' ? requestHttps(options) : requestHttp(options);
  }

  #refused(status: number): Error {
    if (status === 407) return proxyRefuses(this.#host, this.#proxy.host);
    const told = `answers with status ${status}`;
    return status >= 500 ? this.#away(told) : proxyError(this.#host, this.#proxy.host, told);
  }

  #away(told: string): Error {
    return registryAway(this.#host, `the proxy ${this.#proxy.host} ${told}`, { reason: 'REGISTRY_PROXY' });
  }
}

function proxyError(host: string, proxy: string, told: string): Error {
  return registryError(host, `the proxy ${proxy} ${told}`, { reason: 'REGISTRY_PROXY' });
}

/** It wants to see another name or password than its address has. */
export function proxyRefuses(host: string, proxy: string): Error {
  return proxyError(host, proxy, 'refuses what it is shown of us, with status 407');
}
