/** Addresses and subnets of both families as numbers: what is free, what overlaps. IPv6 needs all of a bigint. */
import { isIPv4, isIPv6 } from 'node:net';

export type Family = 4 | 6;

/** An address of either family. */
export interface Address {
  readonly family: Family;
  /** Without sign, of 32 or 128 bits. */
  readonly value: bigint;
}

/** A range of addresses; the bits behind the prefix are zero. */
export interface Subnet {
  readonly family: Family;
  /** First address. */
  readonly base: bigint;
  /** Length of the prefix in bits, 0 to 32 or 128. */
  readonly prefix: number;
}

/** Bits of an address. */
export const bitsOf = (family: Family): number => (family === 4 ? 32 : 128);

/** @throws RangeError for anything but an address; one with a zone is of a link that nobody else has. */
export function parseAddress(text: string): Address {
  if (isIPv4(text)) return { family: 4, value: joined(text.split('.').map(Number), 8n) };
  if (!isIPv6(text) || text.includes('%')) throw new RangeError(`no IP address: ${text}`);
  return { family: 6, value: joined(groupsOf(text), 16n) };
}

const joined = (parts: readonly number[], bits: bigint): bigint =>
  parts.reduce((sum, part) => (sum << bits) | BigInt(part), 0n);

/** The eight groups of an IPv6 address, whose last two may be written as an IPv4 address. */
function groupsOf(text: string): number[] {
  const plain = text.replace(/[\d.]+\.[\d.]+$/, (dotted) => {
    const { value } = parseAddress(dotted);
    return `${(value >> 16n).toString(16)}:${(value & 0xffffn).toString(16)}`;
  });
  const groups = (part: string | undefined): number[] =>
    part === undefined || part === '' ? [] : part.split(':').map((group) => Number.parseInt(group, 16));
  const [before, after] = plain.split('::');
  const [head, tail] = [groups(before), groups(after)];
  return [...head, ...Array.from({ length: 8 - head.length - tail.length }, () => 0), ...tail];
}

/** Groups of an address from the first on. */
function parts({ family, value }: Address): number[] {
  const width = family === 4 ? 8n : 16n;
  const count = family === 4 ? 4 : 8;
  return Array.from({ length: count }, (_, n) =>
    Number((value >> (width * BigInt(count - 1 - n))) & ((1n << width) - 1n)),
  );
}

/** The usual spelling: RFC 5952, whose `::` stands for the longest run of zeros. */
export function formatAddress(address: Address): string {
  if (address.family === 4) return parts(address).join('.');
  const text = parts(address)
    .map((group) => group.toString(16))
    .join(':');
  const runs = [...text.matchAll(/(?<![^:])0(?::0)+(?![^:])/g)];
  const [longest] = runs.sort((a, b) => b[0].length - a[0].length || a.index - b.index);
  if (longest === undefined) return text;
  const [zeros] = longest;
  const before = text.slice(0, longest.index).replace(/:$/, '');
  return `${before}::${text.slice(longest.index + zeros.length).replace(/^:/, '')}`;
}

/** In the order of the wire. */
export const addressBytes = (address: Address): Buffer =>
  Buffer.from(address.value.toString(16).padStart(bitsOf(address.family) / 4, '0'), 'hex');

/** @param bytes - 4 or 16. */
export const addressOf = (bytes: Buffer): Address => ({
  family: bytes.length === 4 ? 4 : 6,
  value: BigInt(`0x${bytes.toString('hex')}`),
});

/** Number of addresses, network and broadcast included. */
export const sizeOf = ({ family, prefix }: Subnet): bigint => 1n << BigInt(bitsOf(family) - prefix);

/** @throws RangeError for what is no subnet; bits behind the prefix are dropped. */
export function parseSubnet(text: string): Subnet {
  const [address = '', length = '', ...more] = text.split('/');
  const { family, value } = parseAddress(address);
  const prefix = /^\d{1,3}$/.test(length) ? Number(length) : 129;
  if (prefix > bitsOf(family) || more.length > 0) throw new RangeError(`no subnet: ${text}`);
  const size = sizeOf({ family, base: 0n, prefix });
  return { family, base: (value / size) * size, prefix };
}

export const formatSubnet = ({ family, base, prefix }: Subnet): string =>
  `${formatAddress({ family, value: base })}/${prefix}`;

export const contains = (subnet: Subnet, { family, value }: Address): boolean =>
  family === subnet.family && value >= subnet.base && value < subnet.base + sizeOf(subnet);

const first = ({ family, base }: Subnet): Address => ({ family, value: base });

export const overlap = (a: Subnet, b: Subnet): boolean => contains(a, first(b)) || contains(b, first(a));

/** The last address: of IPv4 the one that all hear. */
export const lastOf = (subnet: Subnet): bigint => subnet.base + sizeOf(subnet) - 1n;

/**
 * Whether one machine may have it: not the network's own address (of IPv6 that of all routers), nor the
 * broadcast address.
 */
export const isForOne = (subnet: Subnet, address: Address): boolean =>
  contains(subnet, address) &&
  address.value !== subnet.base &&
  (subnet.family === 6 || address.value !== lastOf(subnet));

/**
 * The lowest address that a container may have.
 * @param range - part of the subnet to look in.
 * @param taken - the gateway among them.
 * @returns undefined when all are in use.
 */
export function lowestFree(
  subnet: Subnet,
  taken: ReadonlySet<bigint>,
  range: Subnet = subnet,
): bigint | undefined {
  const { family } = subnet;
  const end = lastOf(range);
  // It ends with the first that is not taken, however wide the range is.
  for (let value = range.base; value <= end; value += 1n)
    if (!taken.has(value) && isForOne(subnet, { family, value })) return value;
  return undefined;
}

/** Locally administered, and of the IPv4 address alone: whoever gets the address anew is found by the same one. */
export function macOf(address: Address): string {
  return [0x02, 0x42, ...parts(address)].map((byte) => byte.toString(16).padStart(2, '0')).join(':');
}

/**
 * The address that an interface makes itself with IPv6 (RFC 4291, appendix A).
 * @param mac - `02:42:0a:14:1e:02`
 */
export function linkLocalOf(mac: string): string {
  const bytes = Buffer.from(mac.replaceAll(':', ''), 'hex');
  bytes.writeUInt8(bytes.readUInt8(0) ^ 2, 0);
  const half = [bytes.subarray(0, 3), Buffer.from([0xff, 0xfe]), bytes.subarray(3)];
  return formatAddress(addressOf(Buffer.concat([Buffer.from('fe80000000000000', 'hex'), ...half])));
}
