/** Namespaces that a start needs before its container has any: of shared memory, and for mounts whose owners are mapped. */
import { closeSync, writeFileSync } from 'node:fs';
import type { ContainerConfig } from '../model/container.ts';
import { type IdMap, idMapFile } from '../model/id-map.ts';
import { planUserNamespace } from '../spec/id-map-plan.ts';
import { encodePlan } from '../spec/plan-codec.ts';
import { takeNamespace } from '../task/take-namespace.ts';
import type { Engine } from './engine.ts';
import { hostMounts } from './host-mounts.ts';
import { launchError } from './launch-error.ts';
import { memoryOf, type OpenMemory } from './memory-volumes.ts';

/** A user namespace for mounts. */
export interface OpenMap {
  readonly destinations: readonly string[];
  /** -1 where nothing is started. */
  readonly descriptor: number;
}

/** By descriptors, as long as the value lives. */
export interface HeldNamespaces {
  readonly memory: readonly OpenMemory[];
  readonly maps: readonly OpenMap[];
}

type Looking = Pick<Engine, 'paths' | 'store'>;

/** The maps of a container, each once, and the mounts that have it. */
function mapsOf(engine: Looking, config: ContainerConfig): (readonly [IdMap, string[]])[] {
  const { mounts, tmpfs, filesystems } = hostMounts(engine, config);
  const found = new Map<string, readonly [IdMap, string[]]>();
  for (const { idMap, destination } of [...mounts, ...tmpfs, ...filesystems]) {
    if (idMap === undefined) continue;
    const key = `${idMapFile(idMap.uids)} ${idMapFile(idMap.gids)}`;
    const [map, destinations] = found.get(key) ?? [idMap, []];
    found.set(key, [map, [...destinations, destination]]);
  }
  return [...found.values()];
}

/** What a start would hold, for those who only look. */
export const namespacesOf = (engine: Looking, config: ContainerConfig): HeldNamespaces => ({
  memory: memoryOf(engine, config),
  maps: mapsOf(engine, config).map(([, destinations]) => ({ destinations, descriptor: -1 })),
});

/** @throws MydockerError `failed-precondition` for what the kernel refuses. */
export async function holdNamespaces(
  engine: Engine,
  container: { readonly name: string; readonly config: ContainerConfig },
): Promise<HeldNamespaces & Disposable> {
  using opened = new DisposableStack();
  const memory = opened.use(await engine.memory.hold(engine, container)).volumes;
  const maps: OpenMap[] = [];
  for (const [map, destinations] of mapsOf(engine, container.config)) {
    const descriptor = opened.adopt(await makeMap(engine, container.name, map), closeSync);
    maps.push({ destinations, descriptor });
  }
  const held = opened.move();
  return { memory, maps, [Symbol.dispose]: () => held.dispose() };
}

async function makeMap({ zygote }: Pick<Engine, 'zygote'>, container: string, map: IdMap): Promise<number> {
  const plan = planUserNamespace(0);
  try {
    return await takeNamespace(zygote, encodePlan(plan), 'user', (pid) => {
      writeFileSync(`/proc/${pid}/uid_map`, idMapFile(map.uids), { flag: 'r+' });
      writeFileSync(`/proc/${pid}/gid_map`, idMapFile(map.gids), { flag: 'r+' });
    });
  } catch (thrown) {
    throw launchError('start', container, plan, thrown);
  }
}
