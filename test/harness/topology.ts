/**
 * What a host stands in, out of network namespaces: an "internet" with a server that says who calls, and another host
 * next door, each joined to this test's own namespace by a pair of interfaces. Import host.ts first: nothing of
 * this may happen on the machine itself. Made before the host is started, so that it counts as there by right.
 */
import './enter.ts';
import { type ChildProcess, execFileSync, spawn, spawnSync } from 'node:child_process';
import { readlinkSync } from 'node:fs';
import { setTimeout as sleep } from 'node:timers/promises';
import { exitCode } from './cli.ts';

/** The host's addresses, and those of its surroundings (RFC 5737: nobody has them in earnest). */
export const HOST_ADDRESS = '192.0.2.2';
export const INTERNET_ADDRESS = '198.51.100.1';
export const HOST_NEXT_DOOR = '203.0.113.2';
const INTERNET_ROUTER = '192.0.2.1';
export const NEIGHBOUR_ADDRESS = '203.0.113.3';
/** Where the server on the internet answers with the address of whoever calls. */
export const WHO_PORT = 80;

const WHO = `require('node:net').createServer((s) => { s.on('error', () => {}); s.end(s.remoteAddress); }).listen(${WHO_PORT}, '0.0.0.0')`;

/** A place with a network of its own. */
export interface Place {
  readonly pid: number;
  /** Runs a program there. @returns its exit status and output. */
  run(command: string, ...args: string[]): { readonly code: number; readonly output: string };
}

/** The surroundings of a host. */
export interface Topology {
  readonly internet: Place;
  /** Has a route to any subnet that leads through the host. */
  readonly neighbour: Place;
  /** Ends the places, and with them their interfaces. */
  dispose(): Promise<void>;
}

const ip = (...args: string[]): void => void execFileSync('ip', args);

async function startPlace(children: ChildProcess[]): Promise<Place> {
  const child = spawn('unshare', ['--net', process.execPath, '-e', WHO], { stdio: 'ignore' });
  children.push(child);
  const { pid } = child;
  if (pid === undefined) throw new Error('cannot make a network namespace');
  const own = readlinkSync('/proc/self/ns/net');
  while (readlinkSync(`/proc/${pid}/ns/net`) === own) await sleep(5);
  const inside = ['--target', String(pid), '--net'];
  return {
    pid,
    run: (command, ...args) => {
      const { status, stdout, stderr } = spawnSync('nsenter', [...inside, command, ...args], {
        encoding: 'utf8',
        timeout: 10_000,
      });
      return { code: status ?? 137, output: `${stdout}${stderr}`.trim() };
    },
  };
}

/** Joins this namespace to a place; both ends are up and have addresses. */
function join(place: Place, own: string, ownAddress: string, there: string): void {
  ip('link', 'add', own, 'type', 'veth', 'peer', 'name', 'up0', 'netns', String(place.pid));
  ip('addr', 'add', `${ownAddress}/24`, 'dev', own);
  ip('link', 'set', own, 'up');
  place.run('ip', 'link', 'set', 'lo', 'up');
  place.run('ip', 'addr', 'add', `${there}/24`, 'dev', 'up0');
  place.run('ip', 'link', 'set', 'up0', 'up');
}

/** Makes the surroundings. */
export async function makeTopology(): Promise<Topology> {
  const children: ChildProcess[] = [];
  const internet = await startPlace(children);
  const neighbour = await startPlace(children);
  join(internet, 'wan0', HOST_ADDRESS, INTERNET_ROUTER);
  internet.run('ip', 'addr', 'add', `${INTERNET_ADDRESS}/32`, 'dev', 'lo');
  ip('route', 'add', 'default', 'via', INTERNET_ROUTER);
  join(neighbour, 'lan0', HOST_NEXT_DOOR, NEIGHBOUR_ADDRESS);
  neighbour.run('ip', 'route', 'add', 'default', 'via', HOST_NEXT_DOOR);
  return {
    internet,
    neighbour,
    dispose: async () => {
      for (const child of children) {
        child.kill('SIGKILL');
        await exitCode(child);
      }
    },
  };
}
