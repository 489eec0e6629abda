/** mydocker.v1.VolumesService: decode, one operation, encode. */
import type { Volume, VolumesServiceDefinition } from '../../proto/gen/mydocker/v1/volumes.ts';
import { VOLUME_DRIVER, type VolumeRecord } from '../model/volume.ts';
import { containersWith } from '../ops/container-volumes.ts';
import type { Engine } from '../ops/engine.ts';
import { pruneVolumes } from '../ops/prune-volumes.ts';
import { volumeData } from '../ops/volume-folders.ts';
import { createVolume, findVolume, listVolumes, removeVolume } from '../ops/volumes.ts';
import { decodeLabels, decodePrune } from './decode-filter.ts';
import type { Implementation } from './handlers.ts';
import { pages } from './streams.ts';
import { toTimestamp } from './timestamp.ts';

export function volumesService(engine: Engine): Implementation<typeof VolumesServiceDefinition> {
  return {
    createVolume: async ({ name, driver, options, labels }) => ({
      volume: encodeVolume(engine, await createVolume(engine, { name, driver, options, labels })),
    }),
    getVolume: ({ volume }) => ({ volume: encodeVolume(engine, findVolume(engine, volume)) }),
    *listVolumes({ names, drivers, labels, unused }) {
      const found = listVolumes(engine, { names, drivers, labels: decodeLabels(labels), unused });
      const volumes = found.map((record) => encodeVolume(engine, record));
      for (const page of pages(volumes, volumeSize)) yield { volumes: page };
    },
    removeVolume: async ({ volume, force }) => {
      await removeVolume(engine, volume, force);
      return { volume };
    },
    pruneVolumes: async ({ all, filter }, { signal }) => {
      const { removed, reclaimedBytes } = await pruneVolumes(engine, {
        ...decodePrune(filter),
        all,
        abort: signal,
      });
      return { removed: [...removed], reclaimedBytes };
    },
  };
}

function encodeVolume(engine: Engine, record: VolumeRecord): Volume {
  const { name, rev, anonymous, labels, options = {}, createdAt, updatedAt } = record;
  return {
    ...{ name, rev, anonymous, labels, options, driver: VOLUME_DRIVER },
    mountpoint: volumeData(engine.paths, name),
    createdAt: toTimestamp(createdAt),
    updatedAt: toTimestamp(updatedAt),
    containers: containersWith(engine, name)
      .map((container) => container.name)
      .sort(),
  };
}

/** Rough size in bytes. */
function volumeSize({ labels, options, containers, mountpoint }: Volume): number {
  let chars = 256 + mountpoint.length;
  for (const text of [...Object.entries({ ...labels, ...options }).flat(), ...containers])
    chars += text.length + 8;
  return chars;
}
