/** A container's mounts as Docker lists them: `Mounts` of an inspect, and `Binds` of its HostConfig. */
import { type Mount, MountPropagation } from '../../proto/gen/mydocker/v1/config.ts';

/** A mount with Docker's names; what does not apply is undefined. */
export interface DockerMount {
  readonly Type: 'bind' | 'volume' | 'tmpfs' | 'image';
  readonly Name?: string | undefined;
  readonly Source: string;
  readonly Destination: string;
  readonly Driver?: string | undefined;
  readonly Mode: string;
  readonly RW: boolean;
  readonly Propagation: string;
}

/** Whether a volume has a name that nobody chose. */
export const isAnonymousName = (name: string): boolean => /^[0-9a-f]{64}$/.test(name);

/**
 * In order of their destinations.
 * @param folder - the container's; volumes lie beside the folder of all containers.
 */
export function dockerMounts(mounts: readonly Mount[], folder: string): readonly DockerMount[] {
  const root = folder.replace(/\/containers\/[^/]*$/, '');
  return mounts
    .map((mount) => dockerMount(mount, root))
    .sort((a, b) => (a.Destination < b.Destination ? -1 : 1));
}

/** `SRC:DST[:ro]` of what `-v` mounted; anonymous volumes are not in there. */
export function dockerBinds(mounts: readonly Mount[]): readonly string[] {
  return mounts.flatMap(({ source, destination, readOnly }) => {
    if (source?.$case !== 'bind' && source?.$case !== 'volume') return [];
    const from = source.$case === 'bind' ? source.value.source : source.value.name;
    if (source.$case === 'volume' && isAnonymousName(from)) return [];
    return [`${from}:${destination}${readOnly ? ':ro' : ''}`];
  });
}

function dockerMount({ source, destination, readOnly }: Mount, root: string): DockerMount {
  const where = { Destination: destination, Driver: undefined, Mode: readOnly ? 'ro' : '', RW: !readOnly };
  switch (source?.$case) {
    case 'volume': {
      const { name } = source.value;
      const path = root === '' ? '' : `${root}/volumes/${name}/data`;
      // Docker's word for a label that several containers share, where nothing else was said.
      const Mode = readOnly || isAnonymousName(name) ? where.Mode : 'z';
      return { Type: 'volume', Name: name, Source: path, ...where, Mode, Driver: 'local', Propagation: '' };
    }
    case 'tmpfs':
      return { Type: 'tmpfs', Name: undefined, Source: '', ...where, Propagation: '' };
    case 'image':
      return { Type: 'image', Name: undefined, Source: source.value.image, ...where, Propagation: '' };
    default: {
      const { source: path = '', propagation = MountPropagation.UNSPECIFIED } = source?.value ?? {};
      return { Type: 'bind', Name: undefined, Source: path, ...where, Propagation: nameOf(propagation) };
    }
  }
}

function nameOf(propagation: MountPropagation): string {
  if (propagation === MountPropagation.UNSPECIFIED) return 'rprivate';
  const names: Readonly<Record<string, number>> = MountPropagation;
  return (Object.keys(names).find((name) => names[name] === propagation) ?? '').toLowerCase();
}
