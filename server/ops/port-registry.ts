/**
 * Which container has which ports of the host, and the sockets that keep other processes away from them. In memory
 * alone: what a run has stands in its record, from which a new server takes the ports again.
 */
import { cannot, failedPrecondition, type MydockerError } from '../model/error.ts';
import { MAX_PORT, type PublishedPort, portText } from '../model/port.ts';
import { errnoOf, type HeldPort, holdPort } from '../network/held-port.ts';
import {
  elementKey,
  elementValue,
  type PortElement,
  type PortTargets,
  portElements,
} from '../network/port-map.ts';
import { findPortOwner } from '../network/port-owner.ts';
import type { Refuses } from '../network/udp-relay.ts';
import { meet } from './check-ports.ts';

/** First of the ports that nobody is given by name (RFC 6335). */
const FIRST_EPHEMERAL = 49_152;

/** Whose ports they are. */
export interface PortHolder {
  readonly id: string;
  readonly name: string;
}

/** A port of the host that is taken. */
interface Taken {
  port: PublishedPort;
  readonly holder: PortHolder;
  held: HeldPort | undefined;
  elements: readonly PortElement[];
}

/** Ports that are taken and lead nowhere yet; given back by its disposal unless they are kept. */
export interface PortReservation extends Disposable {
  /** Single ones, with the host's ports that were picked. */
  readonly ports: readonly PublishedPort[];
  /** They stay taken until they are released. */
  keep(): void;
}

/** Ports of all containers of one server. */
export class PortRegistry {
  readonly #taken = new Map<string, Taken[]>();
  readonly #refuses: Refuses;

  /** @param refuses - for whom nothing is passed on. */
  constructor(refuses: Refuses = () => false) {
    this.#refuses = refuses;
  }

  *#all(): Generator<Taken> {
    for (const list of this.#taken.values()) yield* list;
  }

  /** Elements of the maps for all that is published. */
  elements(): PortElement[] {
    return [...this.#all()].flatMap(({ elements }) => elements);
  }

  /** Ports of one container, with those of its elements. */
  elementsOf(id: string): PortElement[] {
    return (this.#taken.get(id) ?? []).flatMap(({ elements }) => elements);
  }

  /**
   * Takes ports of the host for a container, all or none.
   * @param wanted - single ones.
   * @param before - what its last run had: a port that is picked is the same again where it is free.
   * @throws MydockerError `already-exists`, reason PORT_IN_USE, naming the container or process that has it.
   */
  async reserve(
    holder: PortHolder,
    wanted: readonly PublishedPort[],
    before: readonly PublishedPort[] = [],
  ): Promise<PortReservation> {
    const own: Taken[] = wanted.map((port) => ({ port, holder, held: undefined, elements: [] }));
    for (const taken of own) this.#refuseTaken(taken.port);
    // Before the first wait: of two at once the second one is told who has it.
    this.#taken.set(holder.id, [...(this.#taken.get(holder.id) ?? []), ...own]);
    try {
      for (const taken of own) await this.#hold(taken, before);
    } catch (error) {
      this.#drop(holder.id, own);
      throw error;
    }
    let kept = false;
    return {
      ports: own.map(({ port }) => port),
      keep: () => {
        kept = true;
      },
      [Symbol.dispose]: () => {
        if (!kept) this.#drop(holder.id, own);
      },
    };
  }

  #refuseTaken(port: PublishedPort): void {
    const other = [...this.#all()].find((taken) => meet(port, taken.port));
    if (other !== undefined)
      throw inUse(port, `container ${other.holder.name}`, { container: other.holder.id });
  }

  async #hold(taken: Taken, before: readonly PublishedPort[]): Promise<void> {
    if (taken.port.hostPort !== 0) {
      taken.held = await holdOrSay(taken.port, this.#refuses);
      return;
    }
    const again = before.find(
      ({ protocol, hostIp, containerPort }) =>
        protocol === taken.port.protocol &&
        hostIp === taken.port.hostIp &&
        containerPort === taken.port.containerPort,
    );
    if (again !== undefined && ![...this.#all()].some((other) => meet(again, other.port))) {
      taken.port = again;
      taken.held = await holdPort(again, this.#refuses).catch(() => undefined);
      if (taken.held !== undefined) return;
    }
    const free = { ...taken.port, hostPort: taken.port.protocol === 'sctp' ? this.#freePort(taken.port) : 0 };
    taken.port = free;
    taken.held = await holdOrSay(free, this.#refuses);
    taken.port = { ...free, hostPort: taken.held.port };
  }

  /** Of a protocol whose ports no socket of ours holds. */
  #freePort(port: PublishedPort): number {
    for (let hostPort = FIRST_EPHEMERAL; hostPort <= MAX_PORT; hostPort += 1)
      if (![...this.#all()].some((other) => meet({ ...port, hostPort }, other.port))) return hostPort;
    throw failedPrecondition('cannot publish a port: none of the host is free', {
      reason: 'PORTS_EXHAUSTED',
    });
  }

  /**
   * Takes ports that a container has had since before this server, whoever else has them by now.
   * @returns those that a process of the host has meanwhile.
   */
  async restore(holder: PortHolder, ports: readonly PublishedPort[]): Promise<PublishedPort[]> {
    const own: Taken[] = ports.map((port) => ({ port, holder, held: undefined, elements: [] }));
    this.#taken.set(holder.id, own);
    for (const taken of own) taken.held = await holdPort(taken.port, this.#refuses).catch(() => undefined);
    // It ended meanwhile.
    if (this.#taken.get(holder.id) !== own) for (const { held } of own) held?.close();
    return own.filter(({ held }) => held === undefined).map(({ port }) => port);
  }

  /**
   * Says where a container's ports lead from now on.
   * @returns elements that it has now, and those that it had and has no more.
   */
  lead(id: string, targets: PortTargets): { readonly added: PortElement[]; readonly gone: PortElement[] } {
    const before = this.elementsOf(id);
    const address = (targets.ipv4 ?? targets.ipv6)?.address;
    for (const taken of this.#taken.get(id) ?? []) {
      taken.elements = portElements([taken.port], targets);
      if (taken.held !== undefined)
        taken.held.target = address === undefined ? undefined : { address, port: taken.port.containerPort };
    }
    const added = this.elementsOf(id);
    const texts = new Set(added.map(textOf));
    return { added, gone: before.filter((element) => !texts.has(textOf(element))) };
  }

  /**
   * Gives ports back. @param ports - single ones; absent: all of the container.
   * @returns what they had of elements.
   */
  release(id: string, ports?: readonly PublishedPort[]): PortElement[] {
    const texts = ports === undefined ? undefined : new Set(ports.map(portText));
    const own = (this.#taken.get(id) ?? []).filter(
      ({ port }) => texts === undefined || texts.has(portText(port)),
    );
    this.#drop(id, own);
    return own.flatMap(({ elements }) => elements);
  }

  #drop(id: string, gone: readonly Taken[]): void {
    for (const { held } of gone) held?.close();
    const left = (this.#taken.get(id) ?? []).filter((taken) => !gone.includes(taken));
    if (left.length === 0) this.#taken.delete(id);
    else this.#taken.set(id, left);
  }
}

const textOf = (port: PortElement): string => `${port.map} ${elementKey(port)} ${elementValue(port)}`;

async function holdOrSay(port: PublishedPort, refuses: Refuses): Promise<HeldPort> {
  try {
    return await holdPort(port, refuses);
  } catch (error) {
    const errno = errnoOf(error);
    if (errno === 'EADDRINUSE') throw usedByProcess(port);
    if (errno === 'EADDRNOTAVAIL')
      throw failedPrecondition(`cannot publish port ${portText(port)}: the host has no such address`, {
        reason: 'HOST_ADDRESS_MISSING',
        hint: 'leave the address out to publish on all addresses of the host',
        metadata: { address: port.hostIp },
      });
    throw cannot('internal', 'publish', 'port', portText(port), `the host refuses it (${errno})`, {
      cause: error,
    });
  }
}

function usedByProcess(port: PublishedPort): MydockerError {
  const owner = findPortOwner(port.protocol, port.hostIp, port.hostPort);
  return owner === undefined
    ? inUse(port, 'a process of the host', {})
    : inUse(port, `process ${owner.pid} (${owner.name}) of the host`, {
        pid: String(owner.pid),
        process: owner.name,
      });
}

const inUse = (port: PublishedPort, who: string, metadata: Readonly<Record<string, string>>): MydockerError =>
  cannot('already-exists', 'publish', 'port', portText(port), `${who} has it`, {
    reason: 'PORT_IN_USE',
    hint: 'publish on another port of the host, or leave the port out to have one picked',
    exitStatus: 125,
    metadata: { port: portText(port), ...metadata },
  });
