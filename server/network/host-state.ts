/**
 * What of the networks is on the host, and whether somebody took it away: looked at before every start, so it
 * costs two system calls while nothing has changed.
 */
import { interfaceIndex } from '../../native/interfaces.ts';
import { rulesGeneration, runNft } from '../../native/nftables.ts';
import type { NetworkRecord } from '../model/network.ts';
import { tableName, tableScript } from './rules.ts';

/** @returns 0 when there is no such interface. */
export const indexOf = (name: string): number => interfaceIndex(name);

/** The table of rules as it was installed. */
interface InstalledRules {
  /** Networks that it knows. */
  readonly networks: ReadonlySet<string>;
  /** Generation of the rules at which the table was as it should be. */
  generation: number;
  /** The table as nft lists it. */
  readonly table: string;
}

/** The one table of rules of a server. */
export class HostRules {
  readonly #instance: string;
  #installed: InstalledRules | undefined;

  constructor(instance: string) {
    this.#instance = instance;
  }

  #list(): string {
    return runNft(`list table inet ${tableName(this.#instance)}`);
  }

  /**
   * Puts the table in place, for these networks and no others.
   * @throws NftError where the kernel lacks nftables, SyscallError.
   */
  install(networks: readonly NetworkRecord[]): void {
    runNft(tableScript(this.#instance, networks));
    // Before the look at it: what changes meanwhile is seen the next time.
    const generation = rulesGeneration();
    this.#installed = {
      networks: new Set(networks.map(({ id }) => id)),
      generation,
      table: this.#list(),
    };
  }

  /** Whether the table was installed for this network. */
  knows(networkId: string): boolean {
    return this.#installed?.networks.has(networkId) === true;
  }

  /** Whether the table is as it was installed and knows this network. Changes of other tables are looked at once. */
  isInPlace(networkId: string): boolean {
    const installed = this.#installed;
    if (installed?.networks.has(networkId) !== true) return false;
    const generation = rulesGeneration();
    if (generation === installed.generation) return true;
    try {
      if (this.#list() !== installed.table) return false;
    } catch {
      // It is gone.
      return false;
    }
    installed.generation = generation;
    return true;
  }
}
