/** Who stands in a network without a way out: what the server passes on is a way out, which the kernel's rules do not see. */
import type { NetworkRecord } from '../model/network.ts';
import { contains, parseAddress, parseSubnet } from './ip.ts';

/** @param address - of a caller, as sockets tell it: `fd00::2`, `fe80::2%md0123-456789`, `::ffff:10.20.30.2`. */
export function isApart(networks: readonly NetworkRecord[], address: string): boolean {
  const internal = networks.filter((network) => network.internal === true);
  const [plain = '', link] = address.replace(/^::ffff:(?=\d+\.)/, '').split('%');
  if (internal.length === 0 || plain === '') return false;
  if (link !== undefined) return internal.some(({ bridge }) => bridge === link);
  const caller = parseAddress(plain);
  return internal.some(({ subnet, ipv6 }) =>
    [subnet, ...(ipv6 === undefined ? [] : [ipv6.subnet])].some((cidr) =>
      contains(parseSubnet(cidr), caller),
    ),
  );
}
