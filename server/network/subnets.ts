/** Which subnet a network gets that asked for none: one that nothing on this machine leads to yet. */
import { hash } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { networkInterfaces } from 'node:os';
import { addressOf, type Family, formatSubnet, overlap, parseSubnet, type Subnet, sizeOf } from './ip.ts';

/** Subnets are taken out of these, in turn: the second one is for whose own network has the first. */
export const DEFAULT_POOLS: readonly string[] = ['10.20.0.0/16', '172.30.0.0/16'];
/** Of the server with the default root. */
const FIRST = '10.20.30.0/24';
/** Length of the prefix of what is taken out of a pool. */
const POOL_PREFIX: Readonly<Record<Family, number>> = { 4: 24, 6: 64 };

/** A subnet that is not free. */
export interface Occupied {
  readonly subnet: Subnet;
  /** What has it, in words: `network lan`, `the route to 10.0.0.0/8 by tun0`. */
  readonly by: string;
}

/**
 * A range of IPv6 addresses that nobody else has (RFC 4193), of this server alone.
 * @param instance - 8 hex digits.
 */
export function localPool6(instance: string): string {
  const digits = hash('sha256', `addresses of ${instance}`).slice(0, 10);
  return `fd${digits.slice(0, 2)}:${digits.slice(2, 6)}:${digits.slice(6)}::/48`;
}

/** All candidates, in the order in which they are tried. */
function* candidates(
  pools: readonly string[],
  family: Family,
  instance: string,
  isDefault: boolean,
): Generator<Subnet> {
  const known = parseSubnet(FIRST);
  const prefix = POOL_PREFIX[family];
  for (const pool of pools.map(parseSubnet)) {
    if (pool.family !== family) continue;
    const size = sizeOf({ family, base: 0n, prefix });
    const count = sizeOf(pool) / size;
    const start = isDefault && overlap(pool, known) ? (known.base - pool.base) / size : 0n;
    // Each instance begins elsewhere, so that two that choose at the same time do not choose the same.
    const begin = isDefault ? start : BigInt(`0x${instance}`) % count;
    for (let n = 0n; n < count; n += 1n) {
      const subnet = { family, base: pool.base + ((begin + n) % count) * size, prefix };
      if (isDefault || !overlap(subnet, known)) yield subnet;
    }
  }
}

/**
 * @param pools - CIDR, of either family.
 * @param instance - 8 hex digits.
 * @returns undefined when there is none left.
 */
export function chooseSubnet(
  pools: readonly string[],
  family: Family,
  { instance, isDefault }: { readonly instance: string; readonly isDefault: boolean },
  occupied: readonly Occupied[],
): string | undefined {
  const others = occupied.filter(({ subnet }) => subnet.family === family);
  for (const subnet of candidates(pools, family, instance, isDefault))
    if (!others.some((other) => overlap(subnet, other.subnet))) return formatSubnet(subnet);
  return undefined;
}

/**
 * What this machine's routes and interfaces occupy. Default routes lead everywhere and occupy nothing.
 * @param own - interfaces that do not count.
 */
export function occupiedByHost(own: ReadonlySet<string>): Occupied[] {
  const addresses = Object.entries(networkInterfaces()).flatMap(([name, all = []]) =>
    all.flatMap(({ cidr, address }) =>
      cidr === null || own.has(name)
        ? []
        : [{ subnet: parseSubnet(cidr.replace(/%[^/]*/, '')), by: `address ${address} of ${name}` }],
    ),
  );
  const routes = [
    ...parseRoutes(readText('/proc/net/route')),
    ...parseRoutes6(readText('/proc/net/ipv6_route')),
  ].filter(({ dev }) => !own.has(dev));
  return [
    ...addresses,
    ...routes.map(({ subnet, dev }) => ({ subnet, by: `route to ${formatSubnet(subnet)} by ${dev}` })),
  ];
}

function readText(path: string): string {
  try {
    return readFileSync(path, 'utf8');
  } catch {
    return '';
  }
}

/** A route of the host's. */
export interface Route {
  readonly subnet: Subnet;
  /** Interface. */
  readonly dev: string;
}

/** @param text - /proc/net/route: numbers in hex, in the machine's order. */
export function parseRoutes(text: string): Route[] {
  return text
    .split('\n')
    .slice(1)
    .flatMap((line) => {
      const [dev = '', destination = '', , , , , , mask = ''] = line.split('\t');
      if (mask === '' || mask === '00000000') return [];
      const prefix = bits(swapped(mask));
      return [{ dev, subnet: { family: 4, base: BigInt(swapped(destination)), prefix } }];
    });
}

/** @param text - /proc/net/ipv6_route: destination and prefix first, the interface last. */
export function parseRoutes6(text: string): Route[] {
  return text.split('\n').flatMap((line) => {
    const words = line.trim().split(/\s+/);
    const [destination = '', length = '0'] = words;
    const prefix = Number.parseInt(length, 16);
    if (words.length < 10 || prefix === 0) return [];
    const { value } = addressOf(Buffer.from(destination, 'hex'));
    return [{ dev: words.at(-1) ?? '', subnet: { family: 6, base: value, prefix } }];
  });
}

function swapped(hex: string): number {
  return Buffer.from(hex, 'hex').readUInt32LE();
}

function bits(mask: number): number {
  return mask.toString(2).replaceAll('0', '').length;
}
