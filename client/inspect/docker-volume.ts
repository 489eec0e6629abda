/** `volume inspect` in Docker's form. */
import type { Volume } from '../../proto/gen/mydocker/v1/volumes.ts';
import { goMap, goTime } from './go-values.ts';

/** The object for JSON and templates. */
export function dockerVolume(volume: Volume): Readonly<Record<string, unknown>> {
  return {
    CreatedAt: goTime(volume.createdAt),
    Driver: volume.driver,
    Labels: goMap(Object.entries(volume.labels)),
    Mountpoint: volume.mountpoint,
    Name: volume.name,
    Options: goMap(Object.entries(volume.options)),
    Scope: 'local',
    Mydocker: {
      Rev: Number(volume.rev),
      Anonymous: volume.anonymous,
      Containers: volume.containers,
    },
  };
}
