/** Which process of the host has a port, so that whoever wants it knows whom to ask. */
import { readdirSync, readFileSync, readlinkSync } from 'node:fs';
import { addressesMeet, type PortProtocol } from '../model/port.ts';

/** TCP_LISTEN; a UDP socket that is bound and not connected has 07. */
const BOUND_STATES: Readonly<Record<string, string>> = { tcp: '0A', udp: '07' };
/** A look through all descriptors of a machine is for one message only, and has an end. */
const MAX_PROCESSES = 20_000;

/** A process of the host. */
export interface PortOwner {
  readonly pid: number;
  /** As ps shows it. */
  readonly name: string;
}

/** Addresses stand there in words of 32 bits in the machine's order. */
function readAddress(hex: string): string {
  const words = hex.match(/.{8}/g) ?? [];
  const bytes = Buffer.concat(words.map((word) => Buffer.from(word, 'hex').reverse()));
  if (bytes.length === 4) return [...bytes].join('.');
  if (bytes.every((byte) => byte === 0)) return '::';
  const mapped = bytes.subarray(0, 10).every((byte) => byte === 0) && bytes.readUInt16BE(10) === 0xffff;
  if (mapped) return [...bytes.subarray(12)].join('.');
  const groups = Array.from({ length: 8 }, (_, n) => bytes.readUInt16BE(n * 2).toString(16));
  return new URL(`http://[${groups.join(':')}]`).hostname.slice(1, -1);
}

/**
 * Inodes of the sockets that have a port.
 * @param table - /proc/net/tcp and the like.
 */
export function socketsIn(table: string, protocol: PortProtocol, hostIp: string, port: number): string[] {
  return table
    .split('\n')
    .slice(1)
    .flatMap((line) => {
      const [, local = '', , state = '', , , , , , inode = ''] = line.trim().split(/\s+/);
      const [address = '', number = ''] = local.split(':');
      if (Number.parseInt(number, 16) !== port || state !== BOUND_STATES[protocol]) return [];
      const bound = readAddress(address);
      // A socket of IPv6 has, unless it says otherwise, the addresses of both families.
      return addressesMeet(bound === '::' ? '' : bound, hostIp) ? [inode] : [];
    });
}

function read(path: string): string {
  try {
    return readFileSync(path, 'utf8');
  } catch {
    return '';
  }
}

function entries(path: string): string[] {
  try {
    return readdirSync(path);
  } catch {
    return [];
  }
}

function hasSocket(pid: string, sockets: ReadonlySet<string>): boolean {
  return entries(`/proc/${pid}/fd`).some((fd) => {
    try {
      return sockets.has(readlinkSync(`/proc/${pid}/fd/${fd}`));
    } catch {
      return false;
    }
  });
}

/** @returns undefined where no process that this one can see has it. */
export function findPortOwner(protocol: PortProtocol, hostIp: string, port: number): PortOwner | undefined {
  const inodes = ['', '6'].flatMap((family) =>
    socketsIn(read(`/proc/net/${protocol}${family}`), protocol, hostIp, port),
  );
  if (inodes.length === 0) return undefined;
  const sockets = new Set(inodes.map((inode) => `socket:[${inode}]`));
  const pids = entries('/proc').filter((name) => /^\d+$/.test(name));
  const pid = pids.slice(0, MAX_PROCESSES).find((one) => hasSocket(one, sockets));
  return pid === undefined ? undefined : { pid: Number(pid), name: read(`/proc/${pid}/comm`).trim() };
}
