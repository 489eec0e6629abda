/**
 * How a network goes: its bridge and rules first, its record last. A server that dies in between has a network that
 * is made again with the next container in it, and never a bridge that no record names.
 */
import { failpoint } from '../failpoint.ts';
import { aborted, cannot, MydockerError } from '../model/error.ts';
import type { NetworkRecord } from '../model/network.ts';
import { containersIn } from './container-places.ts';
import { defaultNetworkId, findNetwork } from './default-network.ts';
import type { Engine } from './engine.ts';
import { networkEvent } from './network-event.ts';
import { isMeant, type PruneFilter } from './prune-filter.ts';

export interface RemoveNetworkRequest {
  /** Id, name or unique prefix. */
  readonly network: string;
  /** Refused unless it has this rev; absent or 0n: whatever. */
  readonly expectedRev?: bigint;
}

/** How many of those that stand in it are named. */
const SHOWN = 5;

/**
 * @returns its id.
 * @throws MydockerError `not-found`; `failed-precondition` while containers stand in it, and for the default network;
 * `aborted` for another rev.
 */
export async function removeNetwork(
  engine: Engine,
  { network: text, expectedRev = 0n }: RemoveNetworkRequest,
): Promise<string> {
  const { id } = await findNetwork(engine, text);
  return await engine.queues.run('network', id, async () => {
    const network = await findNetwork(engine, id);
    if (expectedRev !== 0n && network.rev !== expectedRev)
      throw aborted(`cannot remove network ${network.name}: it was changed meanwhile`, {
        reason: 'REV_MISMATCH',
        hint: 'read it again, then decide again',
      });
    if (id === defaultNetworkId(engine))
      throw cannot('failed-precondition', 'remove', 'network', network.name, 'it is the default network', {
        reason: 'NETWORK_IS_DEFAULT',
        hint: 'containers that shall not stand in it are created with another --network',
      });
    refuseUsed(engine, network);
    // From here nobody gets a place in it.
    using _leaving = engine.networks.held.leave(id);
    await failpoint('network.remove');
    await engine.networks.forget(network);
    await failpoint('network.forgotten');
    await engine.store.networks.delete(id, { event: networkEvent(network, 'destroy') });
    return id;
  });
}

function refuseUsed(engine: Engine, { id, name, subnet }: NetworkRecord): void {
  const users = containersIn(engine, id).map((container) => container.name);
  const coming = engine.networks.held.of(id).size;
  if (users.length + coming === 0) return;
  const more = users.length > SHOWN ? ` and ${users.length - SHOWN} more` : '';
  const count = Math.max(users.length, coming);
  throw cannot(
    'failed-precondition',
    'remove',
    'network',
    name,
    `${count} container${count === 1 ? ' stands' : 's stand'} in it: ${users.slice(0, SHOWN).join(', ')}${more}`,
    {
      reason: 'NETWORK_IN_USE',
      hint: 'remove them, or take them out with mydocker network disconnect',
      metadata: { network: id, subnet, count: String(count) },
    },
  );
}

/** Removes networks that no container stands in. @returns their names. */
export async function pruneNetworks(engine: Engine, filter: PruneFilter): Promise<string[]> {
  const removed: string[] = [];
  for (const { id, name, createdAt, labels = {} } of engine.store.networks.list()) {
    if (id === defaultNetworkId(engine) || !isMeant(filter, { createdAt, labels })) continue;
    try {
      await removeNetwork(engine, { network: id });
      removed.push(name);
    } catch (error) {
      // In use, or gone already.
      if (!(error instanceof MydockerError && /^(?:failed-precondition|not-found)$/.test(error.code)))
        throw error;
    }
  }
  await engine.store.events.append({ type: 'network.prune', kind: 'network', id: '' });
  return removed;
}
