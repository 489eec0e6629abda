/**
 * How ports of the host come to lead to a container, and end to. The ports of a run stand in its record before they are
 * in the kernel's maps, so that a server that dies in between leaves nothing that the next one does not know.
 */
import type { ContainerRecord } from '../model/container.ts';
import { wayOut } from '../model/network.ts';
import { portText } from '../model/port.ts';
import { isAlive } from '../model/task-state.ts';
import { forgetAnswers, forgetRequests } from '../network/conversations.ts';
import { observe } from '../network/observe.ts';
import type { PortElement, PortTargets } from '../network/port-map.ts';
import { wantedPorts } from './check-ports.ts';
import type { Engine } from './engine.ts';
import type { PortReservation } from './port-registry.ts';

type Host = Pick<Engine, 'store' | 'networks' | 'log'>;
type Placed = Pick<ContainerRecord, 'endpoints'>;

/**
 * Takes the ports that a start needs; they lead nowhere yet.
 * @throws MydockerError `already-exists`, reason PORT_IN_USE; `failed-precondition` for an address that the host lacks.
 */
export async function reservePorts({ networks }: Host, record: ContainerRecord): Promise<PortReservation> {
  // Whatever it still had is of a run that is over.
  networks.ports.release(record.id);
  return await networks.ports.reserve(record, wantedPorts(record.config), record.run?.ports);
}

/** Addresses that its answers leave by: those of the network that its default route leads to. */
function targetsOf({ store }: Host, { endpoints = [] }: Placed): PortTargets {
  const networks = endpoints.flatMap(({ networkId }) => store.networks.get(networkId) ?? []);
  const find = (family: 4 | 6): PortTargets['ipv4'] => {
    const network = wayOut(networks, family);
    const endpoint = endpoints.find(({ networkId }) => networkId === network?.id);
    const address = family === 4 ? endpoint?.ipv4 : endpoint?.ipv6;
    return network === undefined || address === undefined ? undefined : { address, bridge: network.bridge };
  };
  const [ipv4, ipv6] = [find(4), find(6)];
  return { ...(ipv4 === undefined ? {} : { ipv4 }), ...(ipv6 === undefined ? {} : { ipv6 }) };
}

/**
 * From now on the ports that a container has taken lead to where it stands. Called again when it stands elsewhere.
 * @throws NftError.
 */
export function leadPorts(engine: Host, id: string, placed: Placed): void {
  const { ports, rules } = engine.networks;
  const { added, gone } = ports.lead(id, targetsOf(engine, placed));
  if (added.length + gone.length === 0) return;
  rules.changePorts(gone, added);
  const begun = added.filter(isUdp);
  forget(engine, () => {
    forgetAnswers(gone.filter(isUdp));
    // Not by getifaddrs(3): it waits for RTNL, which is held for as long as the kernel takes interfaces away.
    if (begun.length > 0) forgetRequests(begun, [...observe('self').addresses]);
  });
}

/** A conversation of UDP has no end that the kernel could see. */
const isUdp = ({ protocol }: PortElement): boolean => protocol === 'udp';

/** Gives all ports of a container back. */
export function releasePorts(engine: Host, id: string): void {
  endPorts(engine, engine.networks.ports.release(id), isUdp);
}

/** Takes elements away. @param which - whose conversations end now. */
export function endPorts(
  engine: Host,
  gone: readonly PortElement[],
  which: (element: PortElement) => boolean,
): void {
  if (gone.length === 0) return;
  try {
    engine.networks.rules.changePorts(gone, []);
  } catch (err) {
    engine.log.error({ err }, 'ports are still published until the rules can be changed');
  }
  forget(engine, () => forgetAnswers(gone.filter(which)));
}

function forget({ log }: Host, work: () => void): void {
  try {
    work();
  } catch (err) {
    log.warn({ err }, 'conversations from before go on as they began');
  }
}

/** What the containers of an earlier server have, as their records say it; and what no record says goes. */
export async function restorePorts(engine: Host): Promise<void> {
  const { store, networks, log } = engine;
  for (const id of store.containers.ids()) {
    const record = store.containers.get(id);
    if (record?.run?.ports === undefined || !isAlive(record.status)) continue;
    const { name, run, endpoints = [] } = record;
    for (const port of await networks.ports.restore({ id, name }, run.ports ?? []))
      log.warn({ container: id, port: portText(port) }, 'a process of the host has taken a published port');
    leadPorts(engine, id, { endpoints });
  }
  if (networks.ports.elements().length > 0 || networks.rules.isThere())
    networks.rules.install(store.networks.list());
}
