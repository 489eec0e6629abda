/** What a container finds in /etc/hosts, /etc/hostname and /etc/resolv.conf, as a Docker user expects it. */
import { readFileSync } from 'node:fs';
import type { ContainerConfig, ContainerRecord } from '../model/container.ts';
import { HOST_GATEWAY } from '../model/network.ts';
import { containerResolvConf, namedResolvConf } from './resolv-conf.ts';

const HOSTS_HEAD = `127.0.0.1\tlocalhost
::1\tlocalhost ip6-localhost ip6-loopback
fe00::0\tip6-localnet
ff00::0\tip6-mcastprefix
ff02::1\tip6-allnodes
ff02::2\tip6-allrouters
`;
/** Its own name leads a container without a network to itself all the same. */
const OWN_ADDRESS = '127.0.1.1';

/** Larger ones are cut: they go onto a tmpfs of one megabyte. */
const MAX_HOST_FILE_BYTES = 65_536;

function hostFile(path: string, fallback: string): string {
  try {
    return readFileSync(path, 'utf8').slice(0, MAX_HOST_FILE_BYTES);
  } catch {
    return fallback;
  }
}

type Named = Pick<ContainerRecord, 'config' | 'endpoints'> & { readonly name?: string };

/** What of the host's networks stands in the files. */
export interface HostAddresses {
  /** The host's address in the container's first network; `''` where it has none. */
  readonly gateway: string;
  /** Who answers for names of neighbours; absent: the host's servers are asked. */
  readonly nameServer?: string | undefined;
}

/** @returns name below /etc and content. */
export function etcFiles(
  container: Named,
  { gateway, nameServer }: HostAddresses,
): [name: string, content: string][] {
  const { config } = container;
  const hosts = config.network === 'host' ? hostFile('/etc/hosts', HOSTS_HEAD) : ownHosts(container);
  return [
    ['hosts', `${hosts}${extraHosts(config, gateway)}`],
    ['hostname', `${config.hostname}\n`],
    ['resolv.conf', resolvConf(config, nameServer)],
  ];
}

function ownHosts({ config: { hostname }, endpoints = [], name = '' }: Named): string {
  const names = [...new Set([hostname, name])].filter(Boolean).join(' ');
  const addresses =
    endpoints.length > 0
      ? endpoints.flatMap(({ ipv4, ipv6 }) => [ipv4, ...(ipv6 === undefined ? [] : [ipv6])])
      : [OWN_ADDRESS];
  return `${HOSTS_HEAD}${addresses.map((address) => `${address}\t${names}\n`).join('')}`;
}

/** In the host's network the host is where the container is. */
function extraHosts({ extraHosts = [], network }: ContainerConfig, gateway: string): string {
  const host = network === 'host' ? '127.0.0.1' : gateway;
  return extraHosts
    .map(({ hostname, address }) => `${address === HOST_GATEWAY ? host : address}\t${hostname}\n`)
    .join('');
}

/** In the host's network the host's servers can be reached, those on its loopback too. */
function resolvConf({ network, dns }: ContainerConfig, nameServer: string | undefined): string {
  if (nameServer !== undefined) return namedResolvConf(nameServer, dns);
  if (network !== 'host' || dns !== undefined) return containerResolvConf(dns);
  return hostFile('/etc/resolv.conf', 'nameserver 8.8.8.8\nnameserver 8.8.4.4\n');
}
