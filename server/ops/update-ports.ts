/** Ports of a container that exists are published, and are not any more: at once where it runs. All or nothing. */
import { failpoint } from '../failpoint.ts';
import type { ContainerRecord } from '../model/container.ts';
import { cannot } from '../model/error.ts';
import { joinPorts, MAX_PUBLISHED, type PublishedPort, singlePorts } from '../model/port.ts';
import { isAlive } from '../model/task-state.ts';
import { invalid } from './check-mounts.ts';
import { checkPorts, checkPortsAndNetwork } from './check-ports.ts';
import { containerEvent } from './container-event.ts';
import { writeConfig } from './container-folders.ts';
import { containerFolder, type Engine } from './engine.ts';
import { expectRev, findContainer } from './find-container.ts';
import { endPorts, leadPorts } from './publish-ports.ts';

/** What may be published: what is empty, 0 or absent matches any. */
export type PortPattern = Omit<PublishedPort, 'protocol'> & Partial<Pick<PublishedPort, 'protocol'>>;

/** Which ports of which container. */
export interface PortsRequest<P = PublishedPort> {
  /** Id, name or unique prefix. */
  readonly container: string;
  readonly ports: readonly P[];
  /** Refused unless the container has this rev; 0n: whatever. */
  readonly expectedRev: bigint;
}

/** What it publishes: now, where it runs, else from its next start on. */
const shown = ({ config, status, run }: ContainerRecord): readonly PublishedPort[] =>
  isAlive(status) ? (run?.ports ?? []) : (config.ports ?? []);

/**
 * Publishes further ports, of a running container at once. All or nothing.
 * @returns all that it publishes.
 * @throws MydockerError as a create; `already-exists`, reason PORT_IN_USE.
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
      return shown(await put(engine, next));
    const wanted = singlePorts(ports).slice(singlePorts(config.ports ?? []).length);
    using reserved = await engine.networks.ports.reserve(record, wanted);
    const held = [...(run.ports ?? []), ...reserved.ports];
    const stored = await put(engine, { ...next, run: { ...run, ports: held } });
    reserved.keep();
    await failpoint('publish.put');
    leadPorts(engine, stored);
    await failpoint('publish.led');
    return shown(stored);
  });
}

/**
 * Ends the publishing of ports; conversations in progress end, too.
 * @param request - its ports are patterns: an address that is empty and a number that is 0 match any.
 * @returns those that are left.
 * @throws MydockerError `not-found`, reason PORT_NOT_PUBLISHED; then nothing is changed.
 */
export function unpublishPorts(
  engine: Engine,
  request: PortsRequest<PortPattern>,
): Promise<readonly PublishedPort[]> {
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
    const stored = await put(engine, {
      ...record,
      config: ports.length === 0 ? rest : { ...rest, ports: joinPorts(ports) },
      ...(run === undefined
        ? {}
        : { run: { ...run, ports: (run.ports ?? []).filter((port) => !matches(port)) } }),
    });
    await failpoint('unpublish.put');
    if (gone.length > 0) endPorts(engine, engine.networks.ports.release(id, gone), () => true);
    return shown(stored);
  });
}

/** A range of patterns without a port inside matches by the host's ports alone. */
function singlePatterns(ports: readonly PortPattern[]): PortPattern[] {
  const count = ports.reduce((sum, port) => sum + port.count, 0);
  if (count > MAX_PUBLISHED) throw invalid('ports', String(count), `there are more than ${MAX_PUBLISHED}`);
  return ports.flatMap((port) =>
    Array.from({ length: port.count }, (_, n) => ({
      ...port,
      count: 1,
      hostPort: port.hostPort === 0 ? 0 : port.hostPort + n,
      containerPort: port.containerPort === 0 ? 0 : port.containerPort + n,
    })),
  );
}

const isMeant = (pattern: PortPattern, port: PublishedPort): boolean =>
  (pattern.protocol === undefined || pattern.protocol === port.protocol) &&
  (pattern.hostIp === '' || pattern.hostIp === port.hostIp) &&
  (pattern.hostPort === 0 || pattern.hostPort === port.hostPort) &&
  (pattern.containerPort === 0 || pattern.containerPort === port.containerPort);

function notPublished(
  { id, name }: ContainerRecord,
  { hostPort, containerPort, protocol = 'tcp' }: PortPattern,
): Error {
  const what = `${hostPort === 0 ? containerPort : hostPort}/${protocol}`;
  return cannot('not-found', 'update', 'container', name, `port ${what} is not published`, {
    reason: 'PORT_NOT_PUBLISHED',
    hint: `see mydocker port ${name}`,
    metadata: { container: id, port: what },
  });
}

/** The record, and before it the copy that a lost one would be rebuilt from. */
async function put(engine: Engine, record: ContainerRecord): Promise<ContainerRecord> {
  writeConfig(containerFolder(engine.paths, record.id), record);
  await failpoint('publish.config');
  return await engine.store.containers.put(record, { event: containerEvent(record, 'update') });
}
