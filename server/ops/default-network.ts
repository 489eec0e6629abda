/**
 * The network that containers join unless they say otherwise. Its record is made when somebody first needs it,
 * its bridge when the first container starts in it.
 */
import { hash } from 'node:crypto';
import { invalidArgument, notFound } from '../model/error.ts';
import { DEFAULT_NETWORK_NAMES, type NetworkRecord } from '../model/network.ts';
import { resolveNetwork } from '../model/resolve.ts';
import type { Engine } from './engine.ts';
import { freeSubnet } from './free-subnet.ts';

type Host = Pick<Engine, 'store' | 'queues' | 'instance' | 'networks'>;

/** Made from the root, so that a record that was lost comes back under the same id. */
export const defaultNetworkId = ({ instance }: Pick<Engine, 'instance'>): string =>
  hash('sha256', `default network of ${instance}`);

/**
 * The record of the default network.
 * @throws MydockerError `failed-precondition` where the machine's own routes occupy all subnets it may have.
 */
export async function ensureDefaultNetwork(engine: Host): Promise<NetworkRecord> {
  const id = defaultNetworkId(engine);
  return (
    engine.store.networks.get(id) ??
    (await engine.queues.run('network', id, async () => {
      const found = engine.store.networks.get(id);
      return found ?? (await engine.store.networks.put(newNetwork(engine, id)));
    }))
  );
}

function newNetwork(engine: Host, id: string): NetworkRecord {
  const { defaultBridge } = engine.networks;
  return {
    ...{ v: 1, rev: 0n, createdAt: 0n, updatedAt: 0n },
    ...{ id, name: defaultBridge, bridge: defaultBridge },
    ...freeSubnet(engine, 4, 'the default network'),
  };
}

/** All networks, the default one among them. */
export async function listNetworks(engine: Host): Promise<NetworkRecord[]> {
  await ensureDefaultNetwork(engine);
  return engine.store.networks.list();
}

/**
 * @param text - id, name, one of the default network's other names, or a unique prefix of an id.
 * @throws MydockerError `not-found`; `invalid-argument` when it is empty or means several.
 */
export async function findNetwork(engine: Host, text: string): Promise<NetworkRecord> {
  if (text === '')
    throw invalidArgument('cannot find network: none was named', { reason: 'NETWORK_MISSING' });
  const standard = await ensureDefaultNetwork(engine);
  if (DEFAULT_NETWORK_NAMES.includes(text)) return standard;
  const { networks } = engine.store;
  const idByName = (name: string): string | undefined => networks.list().find((n) => n.name === name)?.id;
  const record = networks.get(resolveNetwork(text, { ids: networks.ids(), idByName }));
  if (record === undefined) throw notFound('network', text);
  return record;
}
