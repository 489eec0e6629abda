/** Networks and a container's places in them, as the store keeps them. */
import { hash } from 'node:crypto';

/** Addresses of one family in a network. */
export interface NetworkSubnet {
  /** `10.20.30.0/24`, `fd00:1::/64` */
  readonly subnet: string;
  /** The bridge's own address: `10.20.30.1`. */
  readonly gateway: string;
  /** Part of the subnet that containers get addresses from; absent: all of it. */
  readonly ipRange?: string;
}

/** A network that containers stand in: a bridge on the host with one IPv4 subnet, and one of IPv6 where asked for. */
export interface NetworkRecord extends NetworkSubnet {
  /** Version of this shape. */
  readonly v: 1;
  /** Grows by one with each change. */
  readonly rev: bigint;
  /** ns since epoch. */
  readonly createdAt: bigint;
  /** ns since epoch. */
  readonly updatedAt: bigint;
  /** 64 hex digits. */
  readonly id: string;
  readonly name: string;
  /** Interface on the host, at most 15 characters; made with the first container that starts. */
  readonly bridge: string;
  /** Absent: IPv4 alone. */
  readonly ipv6?: NetworkSubnet;
  /** It has no way out; absent: it has. */
  readonly internal?: boolean;
  /** Members may send under any address; absent: under those of their places alone. */
  readonly spoofing?: true;
  /** Largest packet in bytes; absent: the kernel's default. */
  readonly mtu?: number;
  /** Driver options as given. Absent: none. */
  readonly options?: Readonly<Record<string, string>>;
  /** Absent: none. */
  readonly labels?: Readonly<Record<string, string>>;
}

/** What of an endpoint somebody asked for; the rest was chosen for it. */
export type GivenPart = 'ipv4' | 'ipv6' | 'mac' | 'interface';

/** A container's place in a network; it keeps it until it is taken out of it. */
export interface Endpoint {
  readonly networkId: string;
  /** `10.20.30.2`; nobody else in the network has it. */
  readonly ipv4: string;
  /** Absent: the network has no IPv6. */
  readonly ipv6?: string;
  /** `02:42:0a:14:1e:02` */
  readonly mac: string;
  /** Inside the container, each once; absent: eth0. */
  readonly interfaceName?: string;
  /** Further names that the network's members find it by. Absent: none. */
  readonly aliases?: readonly string[];
  /** Absent: nothing. */
  readonly given?: readonly GivenPart[];
}

/** How a container is to stand in a network: what is absent is chosen for it. */
export interface Attachment {
  /** Id, name or unique prefix. */
  readonly network: string;
  readonly ipv4?: string;
  readonly ipv6?: string;
  readonly mac?: string;
  readonly aliases?: readonly string[];
  readonly interfaceName?: string;
}

/** How names are looked up, as in resolv.conf(5); what is empty is the host's. */
export interface DnsConfig {
  /** Addresses. */
  readonly servers: readonly string[];
  readonly search: readonly string[];
  /** `ndots:1` */
  readonly options: readonly string[];
}

/** Stands for the host's address in a container's network, in lines of /etc/hosts. */
export const HOST_GATEWAY = 'host-gateway';

/** Other names of the default network. */
export const DEFAULT_NETWORK_NAMES: readonly string[] = ['default', 'bridge'];

/** Most networks that a container stands in. */
export const MAX_ENDPOINTS = 32;

const FIRST_INTERFACE = 'eth0';

/** The container's end: `eth0`. */
export const interfaceOf = ({ interfaceName }: Pick<Endpoint, 'interfaceName'>): string =>
  interfaceName ?? FIRST_INTERFACE;

/**
 * The host's end of a container's pair of interfaces. A run has names of its own: the ends of the run before
 * may still be on their way out.
 * @param runId - 16 hex digits.
 * @returns 15 characters, all that an interface's name may have.
 */
export function hostInterface(runId: string, endpoint: Pick<Endpoint, 'interfaceName'> = {}): string {
  const name = interfaceOf(endpoint);
  return `veth${(name === FIRST_INTERFACE ? runId : hash('sha256', `${runId} ${name}`)).slice(0, 11)}`;
}

/** The first of eth0, eth1 … that no endpoint has. */
export function freeInterface(endpoints: readonly Pick<Endpoint, 'interfaceName'>[]): string {
  const taken = new Set(endpoints.map(interfaceOf));
  for (let n = 0; ; n += 1) if (!taken.has(`eth${n}`)) return `eth${n}`;
}

/**
 * The network that a container's packets leave by: the first one that leads anywhere.
 * @param networks - in the order of its endpoints.
 */
export const wayOut = (networks: readonly NetworkRecord[], family: 4 | 6 = 4): NetworkRecord | undefined =>
  networks.find(({ internal, ipv6 }) => internal !== true && (family === 4 || ipv6 !== undefined));
