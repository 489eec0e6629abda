/**
 * What a network needs on the host: its bridge with the gateway's address, forwarding, and the instance's table
 * of rules. Made with the first start, looked for at each further one, and made again where somebody took it
 * away. The zygote's child talks to the kernel about links: the server never waits for that lock (RTNL).
 */
import { cannot, MydockerError } from '../model/error.ts';
import { hostInterface, type NetworkRecord } from '../model/network.ts';
import type { Op, Plan } from '../model/plan.ts';
import { isAlive } from '../model/task-state.ts';
import { isApart } from '../network/apart.ts';
import { driverOf } from '../network/driver.ts';
import { HostRules, indexOf, keepRouters } from '../network/host-state.ts';
import { Resolver } from '../network/resolver.ts';
import { encodePlan } from '../spec/plan-codec.ts';
import { findAsker } from './container-names.ts';
import { containersIn, HeldAddresses } from './container-places.ts';
import { defaultNetworkId } from './default-network.ts';
import type { Engine } from './engine.ts';
import { launchError } from './launch-error.ts';
import { PortRegistry } from './port-registry.ts';

type Host = Pick<Engine, 'store' | 'zygote' | 'instance' | 'log'>;

/** Makes sure of a network; undefined when all of it is there, which is the usual case. */
export type PrepareNetwork = (network: NetworkRecord) => Promise<void> | undefined;

/**
 * What a server has for its networks.
 * @param isDefaultRoot - the well known names are its own.
 * @param pools - subnets of networks that ask for none are taken out of these.
 */
export function networkEngine({
  isDefaultRoot,
  pools,
  ...host
}: Host & Pick<Engine['networks'], 'isDefaultRoot' | 'pools'>): Engine['networks'] {
  const rules = new HostRules(host.instance, (err) =>
    host.log.warn({ err }, 'nobody is held to his addresses: what passes inside bridges cannot be looked at'),
  );
  const resolver = new Resolver(findAsker(host), host.log);
  return {
    isDefaultRoot,
    pools,
    rules,
    ports: new PortRegistry((address) => isApart(host.store.networks.list(), address)),
    defaultBridge: isDefaultRoot ? 'mydocker0' : `mydocker-${host.instance.slice(0, 6)}`,
    held: new HeldAddresses(),
    resolver,
    ...networkPreparer(host, rules, resolver),
  };
}

/** The functions of one server; calls for one network at the same time are one. */
function networkPreparer(
  host: Host,
  rules: HostRules,
  resolver: Resolver,
): Pick<Engine['networks'], 'prepare' | 'forget'> {
  /** Indexes of the bridges as they were made. */
  const bridges = new Map<string, number>();
  const underWay = new Map<string, Promise<void>>();
  const prepare: PrepareNetwork = (network) => {
    const { id, bridge } = network;
    const busy = underWay.get(id);
    if (busy !== undefined) return busy;
    const index = bridges.get(id);
    const isThere = index !== undefined && index !== 0 && indexOf(bridge) === index;
    if (isThere && rules.isInPlace(id)) return undefined;
    const work = (async () => {
      try {
        if (index !== undefined) host.log.info({ network: network.name }, 'a network is made again');
        if (network.ipv6 !== undefined) keepRouters();
        await runNetworkOps(host, driverOf('').setup(network, portsOf(host, network)));
        bridges.set(id, indexOf(bridge));
        rules.bridgeMade(bridge);
        if (!rules.isInPlace(id)) rules.install(host.store.networks.list());
        if (id !== defaultNetworkId(host)) await resolver.serve(network);
      } catch (thrown) {
        throw prepareError(network, thrown);
      } finally {
        underWay.delete(id);
      }
    })();
    underWay.set(id, work);
    return work;
  };
  const forget = async (network: NetworkRecord): Promise<void> => {
    const { id } = network;
    await underWay.get(id)?.catch(() => undefined);
    await resolver.close(id);
    await runNetworkOps(host, driverOf('').teardown(network));
    bridges.delete(id);
    if (rules.knows(id)) rules.install(host.store.networks.list().filter((other) => other.id !== id));
  };
  return { prepare, forget };
}

/** Host's ends of its containers' interfaces, by index. */
function portsOf({ store }: Pick<Host, 'store'>, { id }: NetworkRecord): number[] {
  return containersIn({ store }, id).flatMap(({ status, run, endpoints = [] }) =>
    !isAlive(status) || run === undefined
      ? []
      : endpoints
          .filter(({ networkId }) => networkId === id)
          .map((endpoint) => indexOf(hostInterface(run.runId, endpoint)))
          .filter((index) => index !== 0),
  );
}

/**
 * Operations by a child of the zygote that ends with its last one: in the host's namespace, unless they enter another.
 * @param descriptors - for the plan's first slots.
 * @throws MydockerError naming the one that failed.
 */
export async function runNetworkOps(
  { zygote }: Pick<Engine, 'zygote'>,
  ops: readonly Op[],
  descriptors: readonly number[] = [],
): Promise<void> {
  const plan: Plan = {
    cloneFlags: 0n,
    head: '',
    title: 'mydocker-shim network',
    sections: { 'parent-before': ops, 'parent-after': [], child: [], 'after-exit': [] },
  };
  const connection = zygote.launch(encodePlan(plan), descriptors);
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
