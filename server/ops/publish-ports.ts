/**
 * How ports of the host come to lead to a container, and end to. The ports of a run stand in its record before they are
 * in the kernel's maps, so that a server that dies in between leaves nothing that the next one does not know.
 */
import { networkInterfaces } from 'node:os';
import type { ContainerRecord } from '../model/container.ts';
import { cannot } from '../model/error.ts';
import { wayOut } from '../model/network.ts';
import { joinPorts, type PublishedPort, portText, singlePorts } from '../model/port.ts';
import { isAlive } from '../model/task-state.ts';
import { forgetAnswers, forgetRequests } from '../network/conversations.ts';
import type { PortElement, PortTargets } from '../network/port-map.ts';
import { checkPorts, checkPortsAndNetwork, wantedPorts } from './check-ports.ts';
import type { Engine } from './engine.ts';
import { expectRev, findContainer } from './find-container.ts';
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
  forget(engine, () => {
    forgetAnswers(gone.filter(isUdp));
    forgetRequests(added.filter(isUdp), hostAddresses());
  });
}

/** A conversation of UDP has no end that the kernel could see. */
const isUdp = ({ protocol }: PortElement): boolean => protocol === 'udp';

/** Gives all ports of a container back. */
export function releasePorts(engine: Host, id: string): void {
  endPorts(engine, engine.networks.ports.release(id), isUdp);
}

/** @param which - whose conversations end now. */
function endPorts(
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

const hostAddresses = (): string[] =>
  Object.values(networkInterfaces()).flatMap((all) => (all ?? []).map(({ address }) => address));

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

/** Which ports of which container. */
export interface PortsRequest {
  /** Id, name or unique prefix. */
  readonly container: string;
  readonly ports: readonly PublishedPort[];
  /** Refused unless the container has this rev; 0n: whatever. */
  readonly expectedRev: bigint;
}

/** What it publishes: now, where it runs, else from its next start on. */
const shown = ({ config, status, run }: ContainerRecord): readonly PublishedPort[] =>
  isAlive(status) ? (run?.ports ?? []) : (config.ports ?? []);

/**
 * Publishes further ports, of a running container at once. All or nothing.
 * @returns all that it publishes.
 * @throws MydockerError as a create and as {@link reservePorts}.
 */
export function publishPorts(engine: Engine, request: PortsRequest): Promise<readonly PublishedPort[]> {
  const { id } = findContainer(engine, request.container);
  return engine.queues.run('container', id, async () => {
    const record = findContainer(engine, id);
    expectRev('update', record, request.expectedRev);
    const { config } = record;
    const ports = checkPorts([...(config.ports ?? []), ...request.ports]);
    checkPortsAndNetwork({ ...config, ports }, 'update');
    const next = { ...record, config: { ...config, ports } };
    const { run } = record;
    if (!isAlive(record.status) || run === undefined || config.network !== 'networks')
      return shown(await engine.store.containers.put(next));
    const wanted = singlePorts(ports).slice(singlePorts(config.ports ?? []).length);
    using reserved = await engine.networks.ports.reserve(record, wanted);
    const stored = await engine.store.containers.put({
      ...next,
      run: { ...run, ports: [...(run.ports ?? []), ...reserved.ports] },
    });
    reserved.keep();
    leadPorts(engine, id, stored);
    return shown(stored);
  });
}

/**
 * Ends the publishing of ports; conversations in progress end, too.
 * @param request - its ports are patterns: an address that is empty and a number that is 0 match any.
 * @returns those that are left.
 * @throws MydockerError `not-found`, reason PORT_NOT_PUBLISHED; then nothing is changed.
 */
export function unpublishPorts(engine: Engine, request: PortsRequest): Promise<readonly PublishedPort[]> {
  const { id } = findContainer(engine, request.container);
  return engine.queues.run('container', id, async () => {
    const record = findContainer(engine, id);
    expectRev('update', record, request.expectedRev);
    const patterns = singlePatterns(request.ports);
    const { config, run } = record;
    const matches = (port: PublishedPort): boolean => patterns.some((pattern) => isMeant(pattern, port));
    const running = isAlive(record.status) ? (run?.ports ?? []) : [];
    const all = [...singlePorts(config.ports ?? []), ...running];
    const missing = patterns.find((pattern) => !all.some((port) => isMeant(pattern, port)));
    if (missing !== undefined) throw notPublished(record, missing);
    const gone = running.filter(matches);
    // A port that was picked is known by what it leads to.
    const isGone = (port: PublishedPort): boolean =>
      matches(port) || (port.hostPort === 0 && gone.some((one) => isMeant(port, one)));
    const ports = singlePorts(config.ports ?? []).filter((port) => !isGone(port));
    const { ports: _, ...rest } = config;
    const stored = await engine.store.containers.put({
      ...record,
      config: ports.length === 0 ? rest : { ...rest, ports: joinPorts(ports) },
      ...(run === undefined
        ? {}
        : { run: { ...run, ports: (run.ports ?? []).filter((port) => !matches(port)) } }),
    });
    if (gone.length > 0) endPorts(engine, engine.networks.ports.release(id, gone), () => true);
    return shown(stored);
  });
}

/** A range of patterns without a port inside matches by the host's ports alone. */
const singlePatterns = (ports: readonly PublishedPort[]): PublishedPort[] =>
  ports.flatMap((port) =>
    Array.from({ length: port.count }, (_, n) => ({
      ...port,
      count: 1,
      hostPort: port.hostPort === 0 ? 0 : port.hostPort + n,
      containerPort: port.containerPort === 0 ? 0 : port.containerPort + n,
    })),
  );

const isMeant = (pattern: PublishedPort, port: PublishedPort): boolean =>
  pattern.protocol === port.protocol &&
  (pattern.hostIp === '' || pattern.hostIp === port.hostIp) &&
  (pattern.hostPort === 0 || pattern.hostPort === port.hostPort) &&
  (pattern.containerPort === 0 || pattern.containerPort === port.containerPort);

function notPublished(
  { id, name }: ContainerRecord,
  { hostPort, containerPort, protocol }: PublishedPort,
): Error {
  const what = `${hostPort === 0 ? containerPort : hostPort}/${protocol}`;
  return cannot('not-found', 'update', 'container', name, `port ${what} is not published`, {
    reason: 'PORT_NOT_PUBLISHED',
    hint: `see mydocker port ${name}`,
    metadata: { container: id, port: what },
  });
}
