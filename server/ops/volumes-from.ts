/** Mounts that a container takes over from others: their volumes and what they mount of the host. */
import type { BindMount, VolumeMount } from '../model/container.ts';
import { invalidArgument, quoteId } from '../model/error.ts';
import type { Engine } from './engine.ts';
import { findContainer } from './find-container.ts';

/** What others have. */
export interface Inherited {
  readonly mounts: readonly BindMount[];
  readonly volumes: readonly VolumeMount[];
}

const MODES: readonly string[] = ['ro', 'rw', 'z', 'Z'];

/**
 * @param from - `CONTAINER[:ro]`; of two that have something at the same place the later one counts.
 * @throws MydockerError `not-found`; `invalid-argument` for another mode.
 */
export function volumesFrom(engine: Pick<Engine, 'store'>, from: readonly string[]): Inherited {
  const mounts = new Map<string, BindMount>();
  const volumes = new Map<string, VolumeMount>();
  for (const text of from) {
    const [container = '', mode = 'rw', ...rest] = text.split(':');
    if (!MODES.includes(mode) || rest.length > 0)
      throw invalidArgument(`invalid volumes from ${quoteId(text)}: the mode is ro or rw`, {
        reason: 'CONFIG_INVALID',
        hint: 'for example --volumes-from web:ro',
      });
    const { config } = findContainer(engine, container);
    const closed = <T extends { readonly readOnly: boolean }>(mount: T): T =>
      mode === 'ro' ? { ...mount, readOnly: true } : mount;
    for (const mount of config.mounts) {
      mounts.set(mount.destination, closed(mount));
      volumes.delete(mount.destination);
    }
    for (const mount of config.volumes ?? []) {
      volumes.set(mount.destination, closed(mount));
      mounts.delete(mount.destination);
    }
  }
  return { mounts: [...mounts.values()], volumes: [...volumes.values()] };
}
