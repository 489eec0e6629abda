/** Which subnet the default network gets: one that nothing on this machine leads to yet. */
import { readFileSync } from 'node:fs';
import { networkInterfaces } from 'node:os';
import { formatSubnet, overlap, parseSubnet, type Subnet } from './ipv4.ts';

/** Of the server with the default root. */
const FIRST = '10.20.30.0/24';
/** Networks of /24 are taken out of these, in turn: the second one is for whose own network has the first. */
const POOLS: readonly (readonly [prefix: string, first: number, last: number])[] = [
  ['10.20', 31, 254],
  ['172.30', 0, 254],
];

/** All candidates, in the order in which they are tried. */
function candidates(instance: string, isDefault: boolean): string[] {
  return [
    ...(isDefault ? [FIRST] : []),
    ...POOLS.flatMap(([prefix, first, last]) => {
      const count = last - first + 1;
      // Each instance begins elsewhere, so that two that choose at the same time do not choose the same.
      const begin = isDefault ? 0 : Number.parseInt(instance, 16) % count;
      return Array.from({ length: count }, (_, n) => `${prefix}.${first + ((begin + n) % count)}.0/24`);
    }),
  ];
}

/**
 * @param instance - 8 hex digits.
 * @param occupied - subnets that routes and addresses of the machine are in.
 * @returns undefined when there is none left.
 */
export function chooseSubnet(
  instance: string,
  isDefault: boolean,
  occupied: readonly Subnet[],
): string | undefined {
  return candidates(instance, isDefault).find((text) => {
    const subnet = parseSubnet(text);
    return !occupied.some((other) => overlap(subnet, other));
  });
}

/** What this machine's routes and interfaces occupy. Default routes lead everywhere and occupy nothing. */
export function occupiedSubnets(): Subnet[] {
  const addresses = Object.values(networkInterfaces())
    .flat()
    .flatMap((one) => (one?.family === 'IPv4' && one.cidr !== null ? [parseSubnet(one.cidr)] : []));
  return [...addresses, ...parseRoutes(readRoutes())];
}

function readRoutes(): string {
  try {
    return readFileSync('/proc/net/route', 'utf8');
  } catch {
    return '';
  }
}

/** @param text - /proc/net/route: numbers in hex, in the machine's order. */
export function parseRoutes(text: string): Subnet[] {
  return text
    .split('\n')
    .slice(1)
    .flatMap((line) => {
      const columns = line.split('\t');
      const [, destination = '', , , , , , mask = ''] = columns;
      if (mask === '' || mask === '00000000') return [];
      const prefix = bits(swapped(mask));
      return [{ base: swapped(destination), prefix }];
    });
}

function swapped(hex: string): number {
  return Buffer.from(hex, 'hex').readUInt32LE();
}

function bits(mask: number): number {
  return mask.toString(2).replaceAll('0', '').length;
}

/** For messages. */
export const POOL_NAMES: readonly string[] = [
  FIRST,
  ...POOLS.map(([prefix]) => formatSubnet(parseSubnet(`${prefix}.0.0/16`))),
];
