/** Networks and a container's places in them, as the store keeps them. */

/** A network that containers stand in: a bridge on the host with one IPv4 subnet. */
export interface NetworkRecord {
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
  /** `10.20.30.0/24` */
  readonly subnet: string;
  /** The bridge's own address: `10.20.30.1`. */
  readonly gateway: string;
}

/** A container's place in a network; it keeps it from its creation to its removal. */
export interface Endpoint {
  readonly networkId: string;
  /** `10.20.30.2`; nobody else in the network has it. */
  readonly ipv4: string;
  /** `02:42:0a:14:1e:02` */
  readonly mac: string;
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

/**
 * The host's end of a container's pair of interfaces. A run has a name of its own: the end of the run before
 * may still be on its way out.
 * @param runId - 16 hex digits.
 */
export const hostInterface = (runId: string): string => `veth${runId.slice(0, 11)}`;

/** The container's end. */
export const CONTAINER_INTERFACE = 'eth0';
