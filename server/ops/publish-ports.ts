/**
 * How ports of the host come to lead to a container, and end to; and how its interfaces are held to its addresses. The ports of a run stand in its record before they are
 * in the kernel's maps, so that a server that dies in between leaves nothing that the next one does not know.
 */
import type { ContainerRecord } from '../model/container.ts';
import { wayOut } from '../model/network.ts';
import { portText } from '../model/port.ts';
import { isAlive } from '../model/task-state.ts';
import { forgetAnswers, forgetRequests } from '../network/conversations.ts';
import { indexOf } from '../network/host-state.ts';
import { observe } from '../network/observe.ts';
import type { PortElement, PortTargets } from '../network/port-map.ts';
import type { Plug } from '../network/veth.ts';
import { wantedPorts } from './check-ports.ts';
import { plugsOf } from './container-places.ts';
import type { Engine } from './engine.ts';
import type { PortReservation } from './port-registry.ts';

type Host = Pick<Engine, 'store' | 'networks' | 'log'>;
type Placed = Pick<ContainerRecord, 'id' | 'status' | 'endpoints' | 'run'>;

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
function targetsOf({ store }: Host, { endpoints = [] }: Pick<Placed, 'endpoints'>): PortTargets {
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
 * From now on the ports that a container has taken lead to where it stands, and its interfaces send under its addresses
 * alone. Called again when it stands elsewhere.
 * @param placed - as it is stored, or about to be.
 * @throws NftError.
 */
export function leadPorts(engine: Host, placed: Placed): void {
  const { ports, rules } = engine.networks;
  const { added, gone } = ports.lead(placed.id, targetsOf(engine, placed));
  rules.change(gone, added, { id: placed.id, plugs: plugsNow(engine, placed) });
  if (added.length + gone.length === 0) return;
  const begun = added.filter(isUdp);
  forget(engine, () => {
    forgetAnswers(gone.filter(isUdp));
    // Not by getifaddrs(3): it waits for RTNL, which is held for as long as the kernel takes interfaces away.
    if (begun.length > 0) forgetRequests(begun, [...observe('self').addresses]);
  });
}

/** The interfaces of a container that runs. */
function plugsNow(engine: Host, { status, run, endpoints = [] }: Placed): Plug[] {
  return !isAlive(status) || run === undefined ? [] : plugsOf(engine, endpoints, run.runId);
}

/**
 * Holds the interface of a place to its addresses before there is one.
 * @throws NftError.
 */
export const holdPlaces = (engine: Host, placed: Placed): void =>
  engine.networks.rules.change([], [], { id: placed.id, plugs: plugsNow(engine, placed) });

/** A conversation of UDP has no end that the kernel could see. */
const isUdp = ({ protocol }: PortElement): boolean => protocol === 'udp';

/** Gives all ports of a container back, and its interfaces up. */
export function releasePorts(engine: Host, id: string): void {
  engine.networks.rules.leave(id);
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
    engine.networks.rules.change(gone, []);
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
  let some = false;
  for (const record of store.containers.list()) {
    const { id, name, run, endpoints = [], status } = record;
    if (run === undefined || endpoints.length === 0) continue;
    if (!isAlive(status)) {
      holdLeft(engine, record);
      continue;
    }
    some = true;
    if (run.ports !== undefined)
      for (const port of await networks.ports.restore({ id, name }, run.ports))
        log.warn({ container: id, port: portText(port) }, 'a process of the host has taken a published port');
    leadPorts(engine, record);
  }
  try {
    if (some || networks.rules.isThere()) networks.rules.install(store.networks.list());
  } catch (err) {
    // Containers run on; who looks after the networks tries again.
    log.error({ err }, 'the rules of the networks cannot be put in place');
  }
}

/** Of a run that is over an interface is there while another container shares its network. */
function holdLeft(engine: Host, { id, run, endpoints = [] }: ContainerRecord): void {
  const plugs = plugsOf(engine, endpoints, run?.runId ?? '').filter(({ hostEnd }) => indexOf(hostEnd) !== 0);
  if (plugs.length === 0) return;
  engine.networks.rules.change([], [], { id, plugs });
  engine.networks.rules.leave(id);
}
