/**
 * What of the networks is on the host, and whether somebody took it away: looked at before every start, so it
 * costs two system calls while nothing has changed.
 */
import { readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { interfaceIndex } from '../../native/interfaces.ts';
import { rulesGeneration, runNft } from '../../native/nftables.ts';
import type { NetworkRecord } from '../model/network.ts';
import { bridgeElements, bridgeScript, isHeld, placeLines } from './bridge-rules.ts';
import { elementKey, elementLines, elementValue, type PortElement, usesLoopback } from './port-map.ts';
import { type Elements, tableElements, tableName, tableScript } from './rules.ts';
import { type Plug, samePlace } from './veth.ts';

/** @returns 0 when there is no such interface. */
export const indexOf = (name: string): number => interfaceIndex(name);

/** What nft prints of the elements of a set or map. */
const ELEMENTS = /\n\s*elements = \{([^}]*)\}/;

/** @param listing - of nft. @returns its sets and maps with their elements, sorted. */
export function elementsIn(listing: string): Elements {
  const found: Record<string, string[]> = {};
  for (const [, name = '', body = ''] of listing.matchAll(/\t(?:set|map) (\w+) \{\n([\s\S]*?)\n\t\}/g)) {
    const text = ELEMENTS.exec(`\n${body}`)?.[1] ?? '';
    found[name] = text
      .split(',')
      .map((element) => element.trim().replace(/\s+/g, ' '))
      .filter((element) => element !== '')
      .sort();
  }
  return found;
}

/** Rules, chains and sets without what is in them. */
const structureOf = (listing: string): string => listing.replaceAll(new RegExp(ELEMENTS, 'g'), '');

const sameElements = (one: Elements, other: Elements): boolean =>
  Object.keys(one).every((name) => [...(one[name] ?? [])].sort().join() === (other[name] ?? []).join());

/** The table of rules as it was installed. */
interface InstalledRules {
  readonly networks: readonly NetworkRecord[];
  /** Generation of the rules at which the table was as it should be. */
  generation: number;
  /** As nft lists it, without elements. */
  readonly structure: string;
  /** The same of what passes inside the bridges; undefined where the kernel has no tables of the kind. */
  readonly bridges: string | undefined;
}

const keyOf = (port: PortElement): string => `${port.map} ${elementKey(port)}`;

/** The one table of rules of a server, and what the bridges need for it. */
export class HostRules {
  readonly #instance: string;
  readonly #ports = new Map<string, PortElement>();
  /** Interfaces that are held to their addresses, by the host's end. */
  readonly #places = new Map<string, Plug>();
  /** Host's ends of each container, by its id. */
  readonly #ends = new Map<string, readonly string[]>();
  /** Host's ends that no container has any more: while the interface is there, somebody may still send by it. */
  readonly #leaving = new Set<string>();
  /** Bridges that the host's 127.0.0.1 leads into. */
  #loopback: ReadonlySet<string> = new Set();
  #installed: InstalledRules | undefined;
  /** Generation of all rules of the host when it was last looked at, and how often somebody else had changed them. */
  #seen = 0;
  #foreign = 0;

  readonly #unguarded: (cause: unknown) => void;
  #toldUnguarded = false;

  /** @param unguarded - told once why what passes inside the bridges cannot be looked at. */
  constructor(instance: string, unguarded: (cause: unknown) => void) {
    this.#instance = instance;
    this.#unguarded = unguarded;
  }

  #list(terse = false, family = 'inet'): string {
    return runNft(`list table ${family} ${tableName(this.#instance)}`, terse);
  }

  /** Whether a server before this one has left its table. */
  isThere(): boolean {
    try {
      return this.#list(true) !== '';
    } catch {
      return false;
    }
  }

  /** Another number when anybody else has changed rules of his, or of ours, since. */
  foreignChanges(): number {
    const generation = rulesGeneration();
    if (generation !== this.#seen) this.#foreign += 1;
    this.#seen = generation;
    return this.#foreign;
  }

  #elements(networks: readonly NetworkRecord[]): Elements {
    return tableElements(networks, [...this.#ports.values()]);
  }

  /**
   * Puts the table in place, for these networks and no others, with all ports.
   * @throws NftError where the kernel lacks nftables, SyscallError.
   */
  install(networks: readonly NetworkRecord[]): void {
    this.#installed = undefined;
    runNft(tableScript(this.#instance, networks, [...this.#ports.values()]));
    const isGuarded = this.#guardBridges(networks);
    // Before the look at it: what changes meanwhile is seen the next time.
    const generation = rulesGeneration();
    const bridges = isGuarded ? structureOf(this.#list(true, 'bridge')) : undefined;
    this.#installed = { networks, generation, structure: structureOf(this.#list(true)), bridges };
    this.#leadLoopback(true);
  }

  /** @returns false where the kernel cannot look into bridges: then members of a network trust each other. */
  #guardBridges(networks: readonly NetworkRecord[]): boolean {
    try {
      runNft(bridgeScript(this.#instance, networks, [...this.#places.values()]));
      return true;
    } catch (cause) {
      if (!this.#toldUnguarded) this.#unguarded(cause);
      this.#toldUnguarded = true;
      return false;
    }
  }

  /** Whether what passes inside the bridges is looked at. */
  get guardsBridges(): boolean {
    return this.#installed?.bridges !== undefined;
  }

  /** Whether the interface of this name is held to its addresses. */
  holds(hostEnd: string): boolean {
    return this.#places.has(hostEnd);
  }

  /** Whether the table was installed for this network. */
  knows(networkId: string): boolean {
    return this.#installed?.networks.some(({ id }) => id === networkId) === true;
  }

  /** Whether the table is as it was installed and knows this network. Changes of other tables are looked at once. */
  isInPlace(networkId?: string): boolean {
    const installed = this.#installed;
    if (installed === undefined || (networkId !== undefined && !this.knows(networkId))) return false;
    const generation = rulesGeneration();
    if (generation === installed.generation) return true;
    try {
      const listing = this.#list();
      if (structureOf(listing) !== installed.structure) return false;
      if (!sameElements(this.#elements(installed.networks), elementsIn(listing))) return false;
      if (installed.bridges !== undefined) {
        const inside = this.#list(false, 'bridge');
        if (structureOf(inside) !== installed.bridges) return false;
        const wanted = bridgeElements(installed.networks, [...this.#places.values()]);
        if (!sameElements(wanted, elementsIn(inside))) return false;
      }
    } catch {
      // It is gone.
      return false;
    }
    installed.generation = generation;
    return true;
  }

  /**
   * Publishes ports, ends the publishing of others, and holds the interfaces of a container to their addresses, in one
   * step. Before the table is there they are only noted.
   * @param plugs - interfaces that the container of this id has, or is about to have.
   * @throws NftError.
   */
  change(
    gone: readonly PortElement[],
    added: readonly PortElement[],
    { id, plugs }: { readonly id: string; readonly plugs: readonly Plug[] } = { id: '', plugs: [] },
  ): void {
    const has = (port: PortElement): boolean => {
      const now = this.#ports.get(keyOf(port));
      return now !== undefined && elementValue(now) === elementValue(port);
    };
    const deleted = gone.filter(has);
    for (const port of deleted) this.#ports.delete(keyOf(port));
    for (const port of added) this.#ports.set(keyOf(port), port);
    const table = tableName(this.#instance);
    this.#run(
      elementLines('delete', table, deleted) + elementLines('add', table, added),
      id === '' ? '' : this.#hold(id, plugs.filter(isHeld)),
    );
    if (deleted.length + added.length > 0 && this.#installed !== undefined) this.#leadLoopback(false);
  }

  /** @returns lines of a script. */
  #hold(id: string, plugs: readonly Plug[]): string {
    this.leave(id);
    this.#ends.set(
      id,
      plugs.map(({ hostEnd }) => hostEnd),
    );
    for (const { hostEnd } of plugs) this.#leaving.delete(hostEnd);
    const fresh = plugs.filter((plug) => !samePlace(this.#places.get(plug.hostEnd), plug));
    const stale = fresh.flatMap(({ hostEnd }) => this.#places.get(hostEnd) ?? []);
    for (const plug of fresh) this.#places.set(plug.hostEnd, plug);
    return placeLines('delete', this.#instance, stale) + placeLines('add', this.#instance, fresh);
  }

  /** A container has no interfaces any more. They are held to its addresses for as long as they are there all the same. */
  leave(id: string): void {
    for (const hostEnd of this.#ends.get(id) ?? []) this.#leaving.add(hostEnd);
    this.#ends.delete(id);
  }

  /** Forgets interfaces that are gone. @throws NftError. */
  sweep(): void {
    const gone = [...this.#leaving].filter((hostEnd) => indexOf(hostEnd) === 0);
    if (gone.length === 0) return;
    const plugs = gone.flatMap((hostEnd) => this.#places.get(hostEnd) ?? []);
    for (const hostEnd of gone) {
      this.#leaving.delete(hostEnd);
      this.#places.delete(hostEnd);
    }
    this.#run('', placeLines('delete', this.#instance, plugs));
  }

  /** @param inside - lines about the second table. */
  #run(lines: string, inside: string): void {
    const installed = this.#installed;
    if (installed === undefined) return;
    const script = installed.bridges === undefined ? lines : lines + inside;
    if (script === '') return;
    try {
      const before = rulesGeneration();
      runNft(script);
      // One change, and it was ours; else somebody else made one, too, which is looked at the next time.
      if (rulesGeneration() === before + 1) {
        if (installed.generation === before) installed.generation += 1;
        if (this.#seen === before) this.#seen += 1;
      }
    } catch {
      // Somebody took the table or elements of it away.
      this.install(installed.networks);
    }
  }

  /** A bridge that was made again has the kernel's defaults. */
  bridgeMade(bridge: string): void {
    if (this.#loopback.has(bridge)) setRouteLocalnet(bridge, true);
  }

  /** Packets from 127.0.0.1 may leave by the bridges that need it, and by no other. */
  #leadLoopback(again: boolean): void {
    const needed = new Set([...this.#ports.values()].filter(usesLoopback).map(({ bridge }) => bridge));
    for (const bridge of needed) if (again || !this.#loopback.has(bridge)) setRouteLocalnet(bridge, true);
    for (const bridge of this.#loopback) if (!needed.has(bridge)) setRouteLocalnet(bridge, false);
    this.#loopback = needed;
  }
}

function setRouteLocalnet(bridge: string, on: boolean): void {
  try {
    writeFileSync(`/proc/sys/net/ipv4/conf/${bridge}/route_localnet`, on ? '1' : '0');
  } catch {
    // The bridge is gone; who makes it again comes here again.
  }
}

/**
 * A host that forwards IPv6 packets takes no announcements of routers any more, unless it is told to: interfaces that
 * did so go on. Called before the forwarding is switched on.
 */
export function keepRouters(): void {
  const folder = '/proc/sys/net/ipv6/conf';
  const read = (path: string): string => readFileSync(`${folder}/${path}`, 'utf8').trim();
  try {
    if (read('all/forwarding') !== '0') return;
    for (const name of readdirSync(folder))
      if (name !== 'all' && name !== 'default' && read(`${name}/accept_ra`) === '1')
        writeFileSync(`${folder}/${name}/accept_ra`, '2');
  } catch {
    // A kernel may have no IPv6, an interface may go meanwhile.
  }
}
