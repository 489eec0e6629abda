/**
 * Bridges and rules that somebody takes away under running containers are made again: a firewall that is reloaded
 * removes them with all that is not its own. The kernel tells whether anything changed by one number, which is asked for
 * so often that nobody waits long.
 */
import { readFileSync } from 'node:fs';
import type { ContainerConfig } from '../model/container.ts';
import type { NetworkRecord } from '../model/network.ts';
import { isAlive } from '../model/task-state.ts';
import { findForwardConflicts } from '../network/forward-conflicts.ts';
import { type HostRules, indexOf } from '../network/host-state.ts';
import { tableName } from '../network/rules.ts';
import { findNetwork } from './default-network.ts';
import type { Engine } from './engine.ts';
import { runNetworkOps } from './prepare-network.ts';

/** A look costs some ten microseconds while nothing has changed. */
const LOOK_EVERY_MS = 500;

const FORWARD = '/proc/sys/net/ipv4/ip_forward';

type Host = Pick<Engine, 'store' | 'networks' | 'log' | 'queues' | 'instance' | 'zygote'>;

/** Networks that running containers stand in. */
function networksInUse({ store }: Pick<Engine, 'store'>): NetworkRecord[] {
  const ids = new Set<string>();
  for (const { status, endpoints = [] } of store.containers.list())
    if (isAlive(status)) for (const { networkId } of endpoints) ids.add(networkId);
  return [...ids].flatMap((id) => store.networks.get(id) ?? []);
}

/** Looks after the networks for the life of the server. */
export function watchNetworks(engine: Host): void {
  let busy = false;
  let told = '';
  const look = async (): Promise<void> => {
    engine.networks.rules.sweep();
    for (const network of networksInUse(engine)) await engine.networks.prepare(network);
    told = '';
  };
  setInterval(() => {
    if (busy) return;
    busy = true;
    look()
      .catch((err: unknown) => {
        // What cannot be repaired is said once.
        if (String(err) !== told) engine.log.error({ err }, 'a network cannot be made again');
        told = String(err);
      })
      .finally(() => {
        busy = false;
      });
  }, LOOK_EVERY_MS).unref();
}

/**
 * Makes bridges, addresses and rules as they should be; what is right is left alone.
 * @param names - ids, unique prefixes or names; none: all that are in use.
 * @returns what was wrong, in sentences, and what still keeps packets away.
 * @throws MydockerError `not-found`; `failed-precondition` for what cannot be made.
 */
export async function reloadNetworks(engine: Host, names: readonly string[]): Promise<string[]> {
  const named: NetworkRecord[] = [];
  for (const name of names) named.push(await findNetwork(engine, name));
  const said: string[] = [];
  for (const network of names.length === 0 ? networksInUse(engine) : named) {
    const { name, bridge } = network;
    const isThere = indexOf(bridge) !== 0;
    const rules = engine.networks.rules.isInPlace(network.id);
    const forwards = readFileSync(FORWARD, 'utf8').trim() === '1';
    await engine.networks.prepare(network);
    if (!forwards)
      await runNetworkOps(engine, [
        { name: 'write', s1: FORWARD, s2: '1', about: 'let the host forward packets' },
      ]);
    said.push(
      ...(isThere ? [] : [`the bridge ${bridge} of network ${name} was not there`]),
      ...(rules ? [] : [`the rules for network ${name} were not as they should be`]),
      ...(forwards ? [] : ['the host did not forward packets: net.ipv4.ip_forward was 0']),
    );
  }
  return [...new Set([...said, ...forwardWarnings(engine)])];
}

/** What was found, as long as neither the rules of others nor our bridges change. */
const found = new WeakMap<HostRules, { readonly key: string; readonly warnings: string[] }>();

/** What of others keeps packets from containers, in sentences with their cures. */
function forwardWarnings({
  store,
  instance,
  networks,
}: Pick<Host, 'store' | 'instance' | 'networks'>): string[] {
  try {
    const bridges = store.networks.list().map(({ bridge }) => bridge);
    const key = [networks.rules.foreignChanges(), ...bridges].join(' ');
    const known = found.get(networks.rules);
    if (known?.key === key) return known.warnings;
    const warnings = findForwardConflicts(tableName(instance), bridges);
    found.set(networks.rules, { key, warnings });
    return warnings;
  } catch {
    // Without nftables there are no rules, neither ours nor theirs.
    return [];
  }
}

/** What somebody who publishes ports may not expect. */
export function portWarnings(
  host: Parameters<typeof forwardWarnings>[0],
  { network, ports = [], publishAll }: ContainerConfig,
): string[] {
  if (ports.length === 0 && publishAll !== true) return [];
  return network === 'host'
    ? ['ports are not published in the host’s network: the service has them as they are']
    : forwardWarnings(host);
}
