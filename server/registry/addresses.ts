/**
 * Which hosts a registry may send us to. Its own is the user's choice; another one, named by a redirect or as
 * the place to get tokens, must not be a machine that only we can reach: our loopback, our link, the metadata
 * service of a cloud.
 */
import { lookup as lookUp } from 'node:dns';
import { BlockList, isIP, type LookupFunction } from 'node:net';

const LOOPBACK = blocks(['127.0.0.0/8', '::1/128']);
/** Where clouds answer questions about a machine: no registry is there, and none leads there. */
const LINK = blocks(['169.254.0.0/16', 'fe80::/10']);
const OURS_ALONE = blocks(['127.0.0.0/8', '0.0.0.0/8', '169.254.0.0/16', '::1/128', '::/128', 'fe80::/10']);
const PRIVATE = blocks(['10.0.0.0/8', '172.16.0.0/12', '192.168.0.0/16', '100.64.0.0/10', 'fc00::/7']);

function blocks(subnets: readonly string[]): BlockList {
  const list = new BlockList();
  for (const subnet of subnets) {
    const [net = '', prefix] = subnet.split('/');
    list.addSubnet(net, Number(prefix), net.includes(':') ? 'ipv6' : 'ipv4');
  }
  return list;
}

function has(list: BlockList, address: string): boolean {
  const plain = address.replace(/^\[|\]$/g, '');
  // An IPv4 address in IPv6's clothes is matched by the list itself.
  return isIP(plain) !== 0 && list.check(plain, isIP(plain) === 6 ? 'ipv6' : 'ipv4');
}

/** Whether a host name or address (an IPv6 one in brackets) is this machine. */
export function isLoopback(hostname: string): boolean {
  return hostname === 'localhost' || hostname.endsWith('.localhost') || has(LOOPBACK, hostname);
}

/**
 * Whether a registry may send us to a host, as far as the name tells.
 * @param registry - host name of the registry.
 * @param other - host name that it names.
 */
export function maySendTo(registry: string, other: string): boolean {
  if (registry === other) return true;
  if (isLoopback(registry)) return !has(LINK, other);
  if (isLoopback(other) || has(OURS_ALONE, other)) return false;
  // A private address is fine for who is reached by one.
  return !has(PRIVATE, other) || has(PRIVATE, registry);
}

/** A look-up for hosts that a registry named: an answer that means this machine or its link is none. */
export const lookUpOthers: LookupFunction = (hostname, options, callback) => {
  lookUp(hostname, { ...options, all: true }, (error, found) => {
    if (error !== null) return callback(error, '', 0);
    const allowed = found.filter(({ address }) => !has(OURS_ALONE, address));
    const [first] = allowed;
    if (first === undefined) {
      const refused = Object.assign(new Error('it is an address of this machine'), { code: 'ELOCAL' });
      return callback(refused, '', 0);
    }
    if (options.all === true) callback(null, allowed);
    else callback(null, first.address, first.family);
  });
};
