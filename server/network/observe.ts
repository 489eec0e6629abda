/**
 * What a network namespace really holds, read from a process in it: nobody has to enter. Each answer is empty where
 * the process is gone.
 */
import { readFileSync } from 'node:fs';
import { addressOf, formatAddress } from './ip.ts';

/** What was seen. */
export interface Observed {
  readonly interfaces: ReadonlySet<string>;
  /** In their usual spelling. */
  readonly addresses: ReadonlySet<string>;
  /** Gateways of default routes, of both families. */
  readonly gateways: ReadonlySet<string>;
}

function lines(path: string): string[] {
  try {
    return readFileSync(path, 'utf8').split('\n');
  } catch {
    return [];
  }
}

const ipv6 = (hex: string): string => formatAddress(addressOf(Buffer.from(hex, 'hex')));

/** @param process - `self`, or a pid that was seen to be the right one's. */
export function observe(process: string): Observed {
  const of = (file: string): string[] => lines(`/proc/${process}/net/${file}`);
  const interfaces = of('dev').flatMap((line) => /^\s*([^:\s]+):/.exec(line)?.[1] ?? []);
  return {
    interfaces: new Set(interfaces),
    addresses: new Set([...localAddresses(of('fib_trie')), ...localAddresses6(of('if_inet6'))]),
    gateways: new Set([...gateways(of('route')), ...gateways6(of('ipv6_route'))]),
  };
}

/** @param trie - an address stands on a line of its own, what it is on those that follow. */
export function localAddresses(trie: readonly string[]): string[] {
  let address = '';
  return trie.flatMap((line) => {
    address = /\|-- (\S+)/.exec(line)?.[1] ?? address;
    return /\/32 host LOCAL/.test(line) ? [address] : [];
  });
}

const localAddresses6 = (table: readonly string[]): string[] =>
  table.flatMap((line) => (/^[0-9a-f]{32} /.test(line) ? [ipv6(line.slice(0, 32))] : []));

function gateways(table: readonly string[]): string[] {
  return table.slice(1).flatMap((line) => {
    const [, destination, gateway = '', , , , , mask] = line.split('\t');
    if (destination !== '00000000' || mask !== '00000000') return [];
    return [formatAddress(addressOf(Buffer.from(gateway, 'hex').reverse()))];
  });
}

function gateways6(table: readonly string[]): string[] {
  return table.flatMap((line) => {
    const [destination = '', prefix, , , gateway = ''] = line.split(' ');
    const isDefault = /^0{32}$/.test(destination) && prefix === '00' && !/^0{32}$/.test(gateway);
    return isDefault ? [ipv6(gateway)] : [];
  });
}

/** A kernel parameter of the process's own namespace; `''` where there is none. @param key - `net.ipv4.ip_forward`. */
export function readSysctl(key: string): string {
  return (lines(`/proc/sys/${key.replaceAll('.', '/')}`)[0] ?? '').trim();
}
