/** What a kind of network is: the one thing that operations know of it. There is one kind. */
import { invalidArgument, quoteId } from '../model/error.ts';
import type { NetworkRecord } from '../model/network.ts';
import type { Op } from '../model/plan.ts';
import { bridgeOps, removeLink } from './bridge.ts';

/** What a driver makes of its options. */
export type DriverSettings = Pick<NetworkRecord, 'mtu' | 'spoofing'>;

export interface NetworkDriver {
  readonly name: string;
  /** @throws MydockerError `invalid-argument` for an option that it does not know, or cannot be. */
  readonly validate: (options: Readonly<Record<string, string>>) => DriverSettings;
  /**
   * Operations in the host's namespace that make what a network needs there; where it is there they do no harm.
   * @param ports - indexes of interfaces that stood in it before somebody removed it.
   */
  readonly setup: (network: NetworkRecord, ports: readonly number[]) => Op[];
  /** Operations that take it all away, as far as it is there. */
  readonly teardown: (network: NetworkRecord) => Op[];
}

/** What IPv6 needs at least, and the most that the kernel takes for a pair. */
const MTU = { least: 68, least6: 1280, most: 65_535 } as const;
const MTU_OPTIONS: readonly string[] = ['mtu', 'com.docker.network.driver.mtu'];

function checkMtu(key: string, value: string): number {
  const mtu = /^\d{1,5}$/.test(value) ? Number(value) : 0;
  if (mtu >= MTU.least && mtu <= MTU.most) return mtu;
  throw invalid(`${key}=${value}`, `it is not between ${MTU.least} and ${MTU.most}`, 'for example 1400');
}

const bridge: NetworkDriver = {
  name: 'bridge',
  validate: (options) => {
    let settings: DriverSettings = {};
    for (const [key, value] of Object.entries(options)) {
      if (MTU_OPTIONS.includes(key)) settings = { ...settings, mtu: checkMtu(key, value) };
      else if (key !== 'spoofing')
        throw invalid(key, 'a bridge has no such option', 'it has mtu and spoofing');
      else if (value === 'allow') settings = { ...settings, spoofing: true };
      else if (value !== 'deny')
        throw invalid(`${key}=${value}`, 'it is neither allow nor deny', 'leave it out to deny it');
    }
    return settings;
  },
  setup: bridgeOps,
  teardown: (network) => [removeLink(network.bridge)],
};

const invalid = (text: string, why: string, hint: string): Error =>
  invalidArgument(`invalid network option ${quoteId(text)}: ${why}`, {
    reason: 'NETWORK_OPTION_INVALID',
    hint,
  });

/** Least size of packets that a network with IPv6 may have. */
export const LEAST_MTU6: number = MTU.least6;

/** Names of all there are. */
export const DRIVERS: readonly string[] = [bridge.name];

/** @param name - `''`: the usual one. @throws MydockerError `invalid-argument` for one that there is not. */
export function driverOf(name: string): NetworkDriver {
  if (name === '' || name === bridge.name) return bridge;
  throw invalidArgument(`invalid network driver ${quoteId(name)}: there is none of this name`, {
    reason: 'NETWORK_DRIVER_UNKNOWN',
    hint: 'the one there is is bridge',
  });
}
