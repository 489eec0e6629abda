/**
 * Addresses of servers whose filesystems are volumes. The kernel takes numbers; mount(8) elsewhere looks names up, and so
 * does each start here, which asks as the host does.
 */
import { lookup } from 'node:dns/promises';
import { isIP } from 'node:net';
import { setTimeout as sleep } from 'node:timers/promises';
import type { ContainerConfig, FilesystemMount } from '../model/container.ts';
import { cannot } from '../model/error.ts';
import type { Engine } from './engine.ts';
import { hostMounts } from './host-mounts.ts';

const DEADLINE_MS = 10_000;

/** Addresses by the names that options have. */
export type Addresses = ReadonlyMap<string, string>;

const OPTION = 'addr=';

/** What a filesystem calls its server; undefined: nothing, or by its address. */
function serverOf({ type, device, options }: FilesystemMount): string | undefined {
  const given = options.find((option) => option.startsWith(OPTION))?.slice(OPTION.length);
  const isNamed = given !== undefined || options.some((option) => option.startsWith('ip='));
  // `//SERVER/SHARE` says it where the options do not.
  const name = isNamed || type !== 'cifs' ? given : /^\/\/([^/]+)\//.exec(device)?.[1];
  return name === undefined || (given !== undefined && isIP(given) !== 0) ? undefined : name;
}

/**
 * Looks up whom a container's volumes ask.
 * @throws MydockerError `failed-precondition` (SERVER_UNKNOWN) for a name that has no address, or none in time.
 */
export async function lookUpServers(
  engine: Pick<Engine, 'paths' | 'store'>,
  { name: container, config }: { readonly name: string; readonly config: ContainerConfig },
): Promise<Addresses> {
  const found = new Map<string, string>();
  // Nearly always.
  if (config.volumes === undefined) return found;
  for (const filesystem of hostMounts(engine, config).filesystems) {
    const server = serverOf(filesystem);
    if (server === undefined || found.has(server)) continue;
    const answer = await Promise.race([
      lookup(server).catch((cause: NodeJS.ErrnoException) => cause),
      sleep(DEADLINE_MS, undefined, { ref: false }),
    ]);
    if (answer === undefined || answer instanceof Error) {
      const why =
        answer === undefined ? `no answer in ${DEADLINE_MS / 1000} s` : (answer.code ?? answer.message);
      throw cannot(
        'failed-precondition',
        'start',
        'container',
        container,
        `mount ${filesystem.destination}: look up ${server}: ${why}`,
        { reason: 'SERVER_UNKNOWN', hint: `getent ahosts ${server}`, exitStatus: 125, cause: answer },
      );
    }
    found.set(server, answer.address);
  }
  return found;
}

/** The mount as the kernel takes it; as it is where nothing was looked up. */
export function withAddress(filesystem: FilesystemMount, addresses: Addresses): FilesystemMount {
  const server = serverOf(filesystem);
  const address = server === undefined ? undefined : addresses.get(server);
  if (address === undefined) return filesystem;
  const others = filesystem.options.filter((option) => !option.startsWith(OPTION));
  return { ...filesystem, options: [...others, `${OPTION}${address}`] };
}
