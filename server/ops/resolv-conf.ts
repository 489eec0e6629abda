/** What a container with a network of its own finds in /etc/resolv.conf: servers that it can reach. */
import { readFileSync } from 'node:fs';
import type { DnsConfig } from '../model/network.ts';

const HOST_FILE = '/etc/resolv.conf';
/** Where systemd-resolved writes down whom it asks itself. */
const RESOLVED_FILE = '/run/systemd/resolve/resolv.conf';
const RESOLVED_STUB = '127.0.0.53';
/** Where the host names nobody that a container can reach. */
const FALLBACK = ['8.8.8.8', '8.8.4.4'];
const MAX_BYTES = 65_536;

const NONE: DnsConfig = { servers: [], search: [], options: [] };

/** @param text - as in resolv.conf(5): the last `search` or `domain` counts, the others add up. */
export function parseResolvConf(text: string): DnsConfig {
  const servers: string[] = [];
  const options: string[] = [];
  let search: string[] = [];
  for (const line of text.split('\n')) {
    const [key, ...values] = line
      .replace(/[#;].*$/, '')
      .trim()
      .split(/\s+/);
    if (key === 'nameserver') servers.push(...values.slice(0, 1));
    else if (key === 'search' || key === 'domain') search = values;
    else if (key === 'options') options.push(...values);
  }
  return { servers, search, options };
}

/** The container's own loopback is nobody's server; an address with a zone is of a link that it does not have. */
const isReachable = (server: string): boolean => !/^127\.|^::1$|%/.test(server);

function read(path: string): DnsConfig | undefined {
  try {
    return parseResolvConf(readFileSync(path, 'utf8').slice(0, MAX_BYTES));
  } catch {
    return undefined;
  }
}

/** What the host uses, without detours over its own loopback. */
export function hostDns(hostFile: string = HOST_FILE, resolvedFile: string = RESOLVED_FILE): DnsConfig {
  const host = read(hostFile) ?? NONE;
  const isStub = host.servers.length > 0 && host.servers.every((server) => server === RESOLVED_STUB);
  const real = isStub ? (read(resolvedFile) ?? host) : host;
  // The stub's own options are about itself.
  return isStub ? { ...real, options: real.options.filter((option) => option !== 'trust-ad') } : real;
}

/** @param dns - what was asked for; what is empty is the host's. */
export function containerResolvConf(dns: DnsConfig = NONE, host: DnsConfig = hostDns()): string {
  const reachable = host.servers.filter(isReachable);
  const inherited = reachable.length > 0 ? reachable : FALLBACK;
  const servers = dns.servers.length > 0 ? dns.servers : inherited;
  const search = (dns.search.length > 0 ? dns.search : host.search).filter((domain) => domain !== '.');
  const options = dns.options.length > 0 ? dns.options : host.options;
  return [
    ...servers.map((server) => `nameserver ${server}`),
    ...(search.length > 0 ? [`search ${search.join(' ')}`] : []),
    ...(options.length > 0 ? [`options ${options.join(' ')}`] : []),
    '',
  ].join('\n');
}

/**
 * Where somebody of ours answers, it asks on the container's behalf whomever it is to ask. A name without dots is
 * looked up as it is first, or the search domains would hide the neighbours.
 */
export function namedResolvConf(
  nameServer: string,
  dns: DnsConfig = NONE,
  host: DnsConfig = hostDns(),
): string {
  const options = dns.options.length > 0 ? dns.options : [...host.options, 'ndots:0'];
  return containerResolvConf({ ...dns, servers: [nameServer], options }, host);
}
