/**
 * Interfaces of a container that runs, as operations of a plan without a process: the zygote's child enters the
 * container's network namespace and comes back, so neither the server nor a shim ever does.
 */
import { interfaceOf, type NetworkRecord } from '../model/network.ts';
import { CLONE, type Op } from '../model/plan.ts';
import { ownProcfs } from '../model/procfs-plan.ts';
import { removeLink } from './bridge.ts';
import { defaultRoutes, makePair, type Plug, quietBirth, setUp } from './veth.ts';

/** Slot of the container's first process, as a pidfd that comes with the launch. */
const INIT = 0;
const HOME = 1;
const THERE = 2;
const PROCFS = 3;
const SYS = 4;

const enter = (a: number, about: string): Op => ({ name: 'setns', a, x: CLONE.newNet, about });
const openOwn = (a: number, about: string): Op => ({ name: 'open', a, s1: '/proc/self/ns/net', about });

/**
 * Makes an interface in the namespace of the process that comes with the launch.
 * @param networks - all that the container stands in now.
 */
export function plugIn(plug: Plug, networks: readonly NetworkRecord[]): Op[] {
  const name = interfaceOf(plug.endpoint);
  return [
    ...ownProcfs(PROCFS, SYS),
    openOwn(HOME, 'remember the host’s network namespace'),
    enter(INIT, `enter the container’s network namespace`),
    ...quietBirth(SYS),
    openOwn(THERE, 'open the container’s network namespace'),
    enter(HOME, 'come back'),
    // There already where a server that died has made it.
    { ...makePair(plug, THERE), existsOk: true },
    enter(THERE, `enter it again, where ${name} is`),
    ...setUp(plug, SYS),
    ...defaultRoutes(networks),
  ];
}

/**
 * Takes an interface away; its routes go with it.
 * @param networks - those that the container still stands in.
 */
export const unplug = (hostEnd: string, networks: readonly NetworkRecord[]): Op[] => [
  removeLink(hostEnd),
  enter(INIT, 'enter the container’s network namespace'),
  ...defaultRoutes(networks),
];
