/**
 * What of a network is on the host, and whether somebody took it away: looked at before every start, so it
 * costs two system calls while nothing has changed.
 */
import { interfaceIndex } from '../../native/interfaces.ts';
import { rulesGeneration, runNft } from '../../native/nftables.ts';
import type { NetworkRecord } from '../model/network.ts';
import { tableName, tableScript } from './rules.ts';

/** A network's things as they were when it was prepared. */
export interface HostState {
  /** Index of the bridge. */
  readonly bridge: number;
  /** Generation of the rules at which the table was as it should be. */
  generation: number;
  /** The table as nft lists it. */
  readonly table: string;
}

/** @returns 0 when there is no such interface. */
export const indexOf = (name: string): number => interfaceIndex(name);

const listTable = (instance: string): string => runNft(`list table ip ${tableName(instance)}`);

/**
 * Puts the table in place; the bridge is there already.
 * @throws NftError where the kernel lacks nftables, SyscallError.
 */
export function installRules(instance: string, network: NetworkRecord): HostState {
  runNft(tableScript(instance, network));
  // Before the look at it: what changes meanwhile is seen the next time.
  const generation = rulesGeneration();
  return { bridge: interfaceIndex(network.bridge), generation, table: listTable(instance) };
}

/** Whether bridge and table are as they were. Changes of other tables are looked at once, and forgotten. */
export function isInPlace(instance: string, { bridge }: NetworkRecord, state: HostState): boolean {
  if (state.bridge === 0 || interfaceIndex(bridge) !== state.bridge) return false;
  const generation = rulesGeneration();
  if (generation === state.generation) return true;
  try {
    if (listTable(instance) !== state.table) return false;
  } catch {
    // It is gone.
    return false;
  }
  state.generation = generation;
  return true;
}
