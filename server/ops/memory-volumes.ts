/**
 * Volumes of memory while somebody has them. Each is a mount namespace without a process, and the shims of the containers
 * that have the volume keep it open: with the last of them it is gone, whatever became of the server meanwhile.
 */
import { closeSync } from 'node:fs';
import type { ContainerConfig, TmpfsMount } from '../model/container.ts';
import { SLOT_BASE, slotAllocator } from '../model/plan.ts';
import { planMemory } from '../spec/memory-plan.ts';
import { encodePlan } from '../spec/plan-codec.ts';
import { tmpfsMount } from '../spec/spec-mounts.ts';
import { openOfProcess } from '../task/held-process.ts';
import { takeNamespace } from '../task/take-namespace.ts';
import { containersWith } from './container-volumes.ts';
import type { Engine } from './engine.ts';
import { hostMounts } from './host-mounts.ts';
import { launchError } from './launch-error.ts';

/** A volume that a start is about to have. */
export interface OpenMemory {
  readonly volume: string;
  readonly destinations: readonly string[];
  /** Of its namespace; -1 where nothing is started. */
  readonly descriptor: number;
}

/** The mounts of a container that are volumes of memory, by volume. */
const memoryMounts = (
  engine: Pick<Engine, 'paths' | 'store'>,
  config: ContainerConfig,
): Map<string, TmpfsMount[]> =>
  Map.groupBy(
    hostMounts(engine, config).tmpfs.filter(({ volume }) => volume !== undefined),
    ({ volume = '' }) => volume,
  );

const opened = (volume: string, mounts: readonly TmpfsMount[], descriptor: number): OpenMemory => ({
  ...{ volume, descriptor },
  destinations: mounts.map(({ destination }) => destination),
});

/** What a container would have open, for those who only look. */
export const memoryOf = (engine: Pick<Engine, 'paths' | 'store'>, config: ContainerConfig): OpenMemory[] =>
  [...memoryMounts(engine, config)].map(([volume, mounts]) => opened(volume, mounts, -1));

/** What a start needs, until its shim keeps it. */
export interface HeldMemory extends Disposable {
  readonly volumes: readonly OpenMemory[];
}

const NOTHING: HeldMemory = { volumes: [], [Symbol.dispose]: () => undefined };

export class MemoryVolumes {
  /** What starts have open that are not over. */
  readonly #open = new Map<string, { readonly descriptor: number; users: number }>();

  /**
   * Finds the memory of a container's volumes, or makes it.
   * @throws MydockerError `failed-precondition` for options that the kernel refuses.
   */
  async hold(
    engine: Engine,
    { name, config }: { readonly name: string; readonly config: ContainerConfig },
  ): Promise<HeldMemory> {
    // Nearly always.
    if (config.volumes === undefined) return NOTHING;
    const held: OpenMemory[] = [];
    const dispose = (): void => {
      for (const { volume } of held.splice(0)) this.#drop(volume);
    };
    try {
      for (const [volume, mounts] of memoryMounts(engine, config)) {
        const find = async (): Promise<number> =>
          findKept(engine, volume) ?? (await make(engine, name, volume, mounts));
        const descriptor = await engine.queues.run('volume', volume, () => this.#take(volume, find));
        held.push(opened(volume, mounts, descriptor));
      }
    } catch (error) {
      dispose();
      throw error;
    }
    return { volumes: [...held], [Symbol.dispose]: dispose };
  }

  async #take(volume: string, find: () => Promise<number>): Promise<number> {
    const open = this.#open.get(volume);
    if (open !== undefined) {
      open.users++;
      return open.descriptor;
    }
    const descriptor = await find();
    this.#open.set(volume, { descriptor, users: 1 });
    return descriptor;
  }

  #drop(volume: string): void {
    const open = this.#open.get(volume);
    if (open === undefined || --open.users > 0) return;
    this.#open.delete(volume);
    closeSync(open.descriptor);
  }
}

/** From a shim that keeps it. */
function findKept(engine: Engine, volume: string): number | undefined {
  for (const { id, run } of containersWith(engine, volume)) {
    const live = engine.runs.initOf(id);
    const slot = run?.memory?.find((one) => one.volume === volume)?.slot;
    if (slot === undefined || live?.created === undefined || live.runId !== run?.runId) continue;
    const { shimPid, shimStartTime } = live.created;
    const descriptor = openOfProcess(shimPid, shimStartTime, `fd/${SLOT_BASE + slot}`);
    if (descriptor !== undefined) return descriptor;
  }
  return undefined;
}

async function make(
  engine: Engine,
  container: string,
  volume: string,
  [first]: readonly TmpfsMount[],
): Promise<number> {
  // What is only about the place where one container has it: all may write.
  const { subpath: _, ...whole } = { destination: '/', options: [], ...first, readOnly: false };
  const plan = planMemory(volume, tmpfsMount(whole), `${engine.paths.state}/mount/root`, 0, slotAllocator(1));
  try {
    return await takeNamespace(engine.zygote, encodePlan(plan), 'mnt');
  } catch (thrown) {
    throw launchError('start', container, plan, thrown);
  }
}
