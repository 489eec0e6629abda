/** IPv4 addresses and subnets as numbers: what is free, what overlaps. */

/** A range of addresses; the bits behind the prefix are zero. */
export interface Subnet {
  /** First address, as a number of 32 bits without sign. */
  readonly base: number;
  /** Length of the prefix in bits, 0 to 32. */
  readonly prefix: number;
}

/** @throws RangeError for anything but four decimal numbers of 0 to 255. */
export function parseIpv4(text: string): number {
  const parts = /^(\d{1,3})\.(\d{1,3})\.(\d{1,3})\.(\d{1,3})$/.exec(text)?.slice(1).map(Number);
  if (parts === undefined || parts.some((part) => part > 255))
    throw new RangeError(`no IPv4 address: ${text}`);
  return parts.reduce((sum, part) => sum * 256 + part, 0);
}

/** @param address - 32 bits without sign. */
export function formatIpv4(address: number): string {
  return [24, 16, 8, 0].map((shift) => (address >>> shift) & 0xff).join('.');
}

/** Number of addresses, network and broadcast included. */
export const sizeOf = ({ prefix }: Subnet): number => 2 ** (32 - prefix);

/** @throws RangeError for what is no subnet; bits behind the prefix are dropped. */
export function parseSubnet(text: string): Subnet {
  const [address = '', bits = '', ...more] = text.split('/');
  const prefix = /^\d{1,2}$/.test(bits) ? Number(bits) : 33;
  if (prefix > 32 || more.length > 0) throw new RangeError(`no IPv4 subnet: ${text}`);
  const size = 2 ** (32 - prefix);
  return { base: Math.floor(parseIpv4(address) / size) * size, prefix };
}

export const formatSubnet = ({ base, prefix }: Subnet): string => `${formatIpv4(base)}/${prefix}`;

export const contains = (subnet: Subnet, address: number): boolean =>
  address >= subnet.base && address < subnet.base + sizeOf(subnet);

export const overlap = (a: Subnet, b: Subnet): boolean => contains(a, b.base) || contains(b, a.base);

/**
 * The lowest address that a container may have.
 * @param taken - the gateway among them.
 * @returns undefined when all are in use; never the network's own address, nor the broadcast address.
 */
export function lowestFree(subnet: Subnet, taken: ReadonlySet<number>): number | undefined {
  const broadcast = subnet.base + sizeOf(subnet) - 1;
  for (let address = subnet.base + 1; address < broadcast; address += 1)
    if (!taken.has(address)) return address;
  return undefined;
}

/** Locally administered, and of the address alone: whoever gets the address anew is found by the same one. */
export function macOf(address: number): string {
  const bytes = [0x02, 0x42, ...[24, 16, 8, 0].map((shift) => (address >>> shift) & 0xff)];
  return bytes.map((byte) => byte.toString(16).padStart(2, '0')).join(':');
}
