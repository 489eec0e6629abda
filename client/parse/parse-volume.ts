/** `-v`: what is mounted where. */
import { resolve } from 'node:path';
import { MountPropagation } from '../../proto/gen/mydocker/v1/config.ts';
import { UsageError } from '../usage-error.ts';
import { type IdMapFields, parseIdMap } from './parse-id-map.ts';
import { PROPAGATION } from './parse-mount.ts';

/** A mount as create sends it. */
export type VolumeMount = {
  readonly destination: string;
  readonly readOnly: boolean;
  readonly idMap?: IdMapFields;
  readonly source:
    | {
        readonly $case: 'bind';
        readonly value: { readonly source: string; readonly propagation: MountPropagation };
      }
    | { readonly $case: 'volume'; readonly value: { readonly name: string; readonly noCopy: boolean } };
};

// SELinux labels and consistency mean nothing here, and copy is so anyway, but they are in many people's scripts.
const IGNORED = new Set(['z', 'Z', 'cached', 'delegated', 'consistent', 'copy']);
/** What does what podman's options do. */
const INSTEAD = new Map([
  ['U', 'chown the folder, or idmap=uids=…;gids=… maps its owners'],
  ['rbind', 'it is so anyway; --mount with bind-recursive=disabled leaves out what is mounted below'],
  ['bind', '--mount with bind-recursive=disabled'],
]);
const HINT = 'for example -v /src:/dst or -v /src:/dst:ro';

/**
 * Mounts of one `-v`.
 * @param text - `SRC:DST[:OPTIONS]`, `DST` alone for an anonymous volume, or several of them joined with commas. SRC is
 * a path of the host (`/…`, `./…`, `../…`) or a volume's name.
 * @param folder - what relative paths begin at.
 * @throws UsageError
 */
export function parseVolumes(text: string, folder: string): VolumeMount[] {
  // A comma may also stand between options, so only one before another `/src:/dst` separates.
  return text.split(/,(?=\/[^:,]+:\/)/).map((part) => parseVolume(part, folder));
}

function parseVolume(text: string, folder: string): VolumeMount {
  const parts = text.split(':');
  const [source = '', destination = '', options = ''] = parts.length === 1 ? ['', text] : parts;
  const bad = (why: string, hint = HINT): UsageError =>
    new UsageError(`invalid volume ${JSON.stringify(text)}: ${why}`, { hint });
  if (parts.length > 3) throw bad('it has more than three parts');
  if (!destination.startsWith('/')) throw bad('the path inside is not absolute');
  if (/^\/+$/.test(destination)) throw bad('the path inside is the root');
  if (parts.length > 1 && source === '') throw bad('the path of the host is empty');
  let readOnly = false;
  let isWritable = false;
  let noCopy = false;
  let map: string | undefined;
  let propagation: MountPropagation = MountPropagation.UNSPECIFIED;
  for (const option of options.split(',').filter(Boolean)) {
    const named = PROPAGATION[option];
    if (option === 'ro') readOnly = true;
    else if (option === 'rw') isWritable = true;
    else if (option === 'nocopy') noCopy = true;
    else if (/^idmap(?:=|$)/.test(option)) map = option.slice('idmap='.length);
    else if (named !== undefined) {
      if (propagation !== MountPropagation.UNSPECIFIED) throw bad('it has two propagations');
      propagation = named;
    } else if (!IGNORED.has(option))
      throw bad(`unknown option ${JSON.stringify(option)}`, INSTEAD.get(option));
  }
  if (readOnly && isWritable) throw bad('ro and rw exclude each other');
  const how = { destination, readOnly, ...(map === undefined ? {} : { idMap: parseIdMap(map, bad) }) };
  if (/^\.{0,2}\//.test(source) || source === '.' || source === '..') {
    const value = { source: resolve(folder, source), propagation };
    return { ...how, source: { $case: 'bind', value } };
  }
  if (/^[^/]*\//.test(source)) throw bad('a path of the host begins with / or ./');
  if (propagation !== MountPropagation.UNSPECIFIED)
    throw bad('propagation is about paths of the host alone', 'nothing is ever mounted below a volume');
  return { ...how, source: { $case: 'volume', value: { name: source, noCopy } } };
}
