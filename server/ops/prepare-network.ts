/**
 * What a network needs on the host: its bridge with the gateway's address, forwarding, and the instance's table
 * of rules. Made with the first start, looked for at each further one, and made again where somebody took it
 * away. The zygote's child talks to the kernel about links: the server never waits for that lock (RTNL).
 */
import { cannot, MydockerError } from '../model/error.ts';
import { hostInterface, type NetworkRecord } from '../model/network.ts';
import type { Plan } from '../model/plan.ts';
import { isAlive } from '../model/task-state.ts';
import { bridgeOps } from '../network/bridge.ts';
import { type HostState, indexOf, installRules, isInPlace } from '../network/host-state.ts';
import { encodePlan } from '../spec/plan-codec.ts';
import { containersIn, HeldAddresses } from './container-places.ts';
import type { Engine } from './engine.ts';
import { launchError } from './launch-error.ts';

type Host = Pick<Engine, 'store' | 'zygote' | 'instance' | 'log'>;

/** Makes sure of a network; undefined when all of it is there, which is the usual case. */
export type PrepareNetwork = (network: NetworkRecord) => Promise<void> | undefined;

/**
 * What a server has for its networks.
 * @param isDefaultRoot - the well known names are its own.
 */
export function networkEngine({
  isDefaultRoot,
  ...host
}: Host & { isDefaultRoot: boolean }): Engine['networks'] {
  return {
    isDefaultRoot,
    defaultBridge: isDefaultRoot ? 'mydocker0' : `mydocker-${host.instance.slice(0, 6)}`,
    held: new HeldAddresses(),
    prepare: networkPreparer(host),
  };
}

/** @returns the function of one server; calls for one network at the same time are one. */
function networkPreparer(host: Host): PrepareNetwork {
  const states = new Map<string, HostState>();
  const underWay = new Map<string, Promise<void>>();
  return (network) => {
    const { id } = network;
    const busy = underWay.get(id);
    if (busy !== undefined) return busy;
    const state = states.get(id);
    if (state !== undefined && isInPlace(host.instance, network, state)) return undefined;
    const work = (async () => {
      try {
        if (state !== undefined) host.log.info({ network: network.name }, 'a network is made again');
        await runOps(host, network);
        states.set(id, installRules(host.instance, network));
      } catch (thrown) {
        throw prepareError(network, thrown);
      } finally {
        underWay.delete(id);
      }
    })();
    underWay.set(id, work);
    return work;
  };
}

/** In the host's namespace, by a child of the zygote that ends with its last operation. */
async function runOps({ store, zygote }: Host, network: NetworkRecord): Promise<void> {
  const ports = containersIn({ store }, network.id)
    .filter(({ status }) => isAlive(status))
    .map(({ run }) => (run === undefined ? 0 : indexOf(hostInterface(run.runId))))
    .filter((index) => index !== 0);
  const plan: Plan = {
    cloneFlags: 0n,
    head: '',
    title: 'mydocker-shim network',
    sections: {
      'parent-before': bridgeOps(network, ports),
      'parent-after': [],
      child: [],
      'after-exit': [],
    },
  };
  const connection = zygote.launch(encodePlan(plan), []);
  try {
    await connection.exited;
  } catch (thrown) {
    throw launchError('start', '', plan, thrown);
  } finally {
    connection.close();
  }
}

function prepareError({ name }: NetworkRecord, cause: unknown): MydockerError {
  const words =
    cause instanceof MydockerError ? cause.message.replace(/^cannot start container: /, '') : String(cause);
  return cannot('failed-precondition', 'prepare', 'network', name, words.split('\n', 1)[0] ?? '', {
    reason: 'NETWORK_UNAVAILABLE',
    exitStatus: 125,
    hint: 'the server needs CAP_NET_ADMIN and a kernel with bridge, veth and nf_tables; --network none and host do not',
    cause,
  });
}
