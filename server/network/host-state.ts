/**
 * What of the networks is on the host, and whether somebody took it away: looked at before every start, so it
 * costs two system calls while nothing has changed.
 */
import { readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { interfaceIndex } from '../../native/interfaces.ts';
import { rulesGeneration, runNft } from '../../native/nftables.ts';
import type { NetworkRecord } from '../model/network.ts';
import { elementKey, elementLines, elementValue, type PortElement, usesLoopback } from './port-map.ts';
import { type Elements, gatewayScript, tableElements, tableName, tableScript } from './rules.ts';

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
  /** The table for what passes inside the bridges, as nft lists it; undefined where the kernel has none of the kind. */
  readonly gateways: string | undefined;
}

const keyOf = (port: PortElement): string => `${port.map} ${elementKey(port)}`;

/** The one table of rules of a server, and what the bridges need for it. */
export class HostRules {
  readonly #instance: string;
  readonly #ports = new Map<string, PortElement>();
  /** Bridges that the host's 127.0.0.1 leads into. */
  #loopback: ReadonlySet<string> = new Set();
  #installed: InstalledRules | undefined;
  /** Generation of all rules of the host when it was last looked at, and how often somebody else had changed them. */
  #seen = 0;
  #foreign = 0;

  constructor(instance: string) {
    this.#instance = instance;
  }

  #list(terse = false): string {
    return runNft(`list table inet ${tableName(this.#instance)}`, terse);
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
    const isGuarded = this.#guardGateways(networks);
    // Before the look at it: what changes meanwhile is seen the next time.
    const generation = rulesGeneration();
    const gateways = isGuarded ? this.#listGateways() : undefined;
    this.#installed = { networks, generation, structure: structureOf(this.#list(true)), gateways };
    this.#leadLoopback(true);
  }

  /** @returns false where the kernel cannot look into bridges: then members of a network trust each other. */
  #guardGateways(networks: readonly NetworkRecord[]): boolean {
    try {
      runNft(gatewayScript(this.#instance, networks));
      return true;
    } catch {
      return false;
    }
  }

  #listGateways(): string {
    return runNft(`list table bridge ${tableName(this.#instance)}`);
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
      if (installed.gateways !== undefined && this.#listGateways() !== installed.gateways) return false;
    } catch {
      // It is gone.
      return false;
    }
    installed.generation = generation;
    return true;
  }

  /**
   * Publishes ports and ends the publishing of others, in one step. Before the table is there they are only noted.
   * @throws NftError.
   */
  changePorts(gone: readonly PortElement[], added: readonly PortElement[]): void {
    const has = (port: PortElement): boolean => {
      const now = this.#ports.get(keyOf(port));
      return now !== undefined && elementValue(now) === elementValue(port);
    };
    const deleted = gone.filter(has);
    for (const port of deleted) this.#ports.delete(keyOf(port));
    for (const port of added) this.#ports.set(keyOf(port), port);
    const installed = this.#installed;
    if (installed === undefined || deleted.length + added.length === 0) return;
    const table = tableName(this.#instance);
    try {
      const before = rulesGeneration();
      runNft(elementLines('delete', table, deleted) + elementLines('add', table, added));
      // One change, and it was ours; else somebody else made one, too, which is looked at the next time.
      if (rulesGeneration() === before + 1) {
        if (installed.generation === before) installed.generation += 1;
        if (this.#seen === before) this.#seen += 1;
      }
      this.#leadLoopback(false);
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
