/** The commands about images, networks and the server. */
import { type AnyCommand, command } from './command.ts';
import {
  DF_OPTIONS,
  HISTORY_OPTIONS,
  IMAGE_INSPECT_OPTIONS,
  IMAGE_PRUNE_OPTIONS,
  IMAGES_OPTIONS,
  IMPORT_OPTIONS,
  LOAD_OPTIONS,
  NO_OPTIONS,
  PULL_OPTIONS,
  RMI_OPTIONS,
  SYSTEM_PRUNE_OPTIONS,
} from './command-options.ts';
import {
  EVENTS_OPTIONS,
  NETWORK_CREATE_OPTIONS,
  NETWORKS_OPTIONS,
  OBJECT_OPTIONS,
} from './server-options.ts';

const MANY = Number.POSITIVE_INFINITY;

/** In the order in which help shows them. */
export const IMAGE_COMMANDS: readonly AnyCommand[] = [
  command({
    names: ['images', 'image ls', 'image list'],
    about: 'list images',
    usage: '[OPTIONS] [REFERENCE…]',
    count: [0, MANY],
    options: IMAGES_OPTIONS,
    load: async () => (await import('../commands/images.ts')).images,
  }),
  command({
    names: ['import', 'image import'],
    about: 'make an image from the tar of a root filesystem',
    usage: '[OPTIONS] FILE|- [REFERENCE]',
    count: [1, 2],
    options: IMPORT_OPTIONS,
    load: async () => (await import('../commands/import.ts')).importImage,
  }),
  command({
    names: ['load', 'image load'],
    about: 'take images out of an archive',
    usage: '[OPTIONS]',
    count: [0, 0],
    options: LOAD_OPTIONS,
    load: async () => (await import('../commands/load.ts')).load,
  }),
  command({
    names: ['pull', 'image pull'],
    about: 'fetch images from a registry',
    usage: '[OPTIONS] REFERENCE…',
    count: [1, MANY],
    options: PULL_OPTIONS,
    load: async () => (await import('../commands/pull.ts')).pull,
  }),
  command({
    names: ['push', 'image push'],
    about: 'send images to a registry',
    usage: 'REFERENCE…',
    count: [1, MANY],
    options: NO_OPTIONS,
    load: async () => (await import('../commands/push.ts')).push,
  }),
  command({
    names: ['tag', 'image tag'],
    about: 'make a reference point at an image',
    usage: 'IMAGE REFERENCE',
    count: [2, 2],
    options: NO_OPTIONS,
    load: async () => (await import('../commands/tag.ts')).tag,
  }),
  command({
    names: ['rmi', 'image rm', 'image remove'],
    about: 'remove images',
    usage: '[OPTIONS] IMAGE…',
    count: [1, MANY],
    options: RMI_OPTIONS,
    load: async () => (await import('../commands/rmi.ts')).rmi,
  }),
  command({
    names: ['image inspect'],
    about: 'print everything about images as JSON',
    usage: '[OPTIONS] IMAGE…',
    count: [1, MANY],
    options: IMAGE_INSPECT_OPTIONS,
    load: async () => (await import('../commands/inspect.ts')).inspectImage,
  }),
  command({
    names: ['history', 'image history'],
    about: 'print the steps that made an image, newest first',
    usage: '[OPTIONS] IMAGE',
    count: [1, 1],
    options: HISTORY_OPTIONS,
    load: async () => (await import('../commands/history.ts')).history,
  }),
  command({
    names: ['image prune'],
    about: 'remove images that nothing uses: those without a name, with -a all',
    usage: '[OPTIONS]',
    count: [0, 0],
    options: IMAGE_PRUNE_OPTIONS,
    load: async () => (await import('../commands/prune.ts')).pruneImages,
  }),
];

/** In the order in which help shows them. */
export const NETWORK_COMMANDS: readonly AnyCommand[] = [
  command({
    names: ['networks', 'network ls', 'network list'],
    about: 'list networks',
    usage: '',
    count: [0, 0],
    options: NETWORKS_OPTIONS,
    load: async () => (await import('../commands/networks.ts')).listNetworks,
  }),
  command({
    names: ['network create'],
    about: 'make a network',
    usage: '[OPTIONS] NAME',
    count: [1, 1],
    options: NETWORK_CREATE_OPTIONS,
    load: async () => (await import('../commands/networks.ts')).createNetwork,
  }),
  command({
    names: ['rmn', 'network rm', 'network remove'],
    about: 'remove networks',
    usage: 'NETWORK…',
    count: [1, MANY],
    options: NO_OPTIONS,
    load: async () => (await import('../commands/networks.ts')).removeNetworks,
  }),
  command({
    names: ['network inspect'],
    about: 'print everything about networks as JSON',
    usage: '[OPTIONS] NETWORK…',
    count: [1, MANY],
    options: IMAGE_INSPECT_OPTIONS,
    load: async () => (await import('../commands/inspect.ts')).inspectNetwork,
  }),
  command({
    names: ['network connect'],
    about: 'put a container into a network',
    usage: 'NETWORK CONTAINER',
    count: [2, 2],
    options: NO_OPTIONS,
    load: async () => (await import('../commands/networks.ts')).connectNetwork,
  }),
  command({
    names: ['network disconnect'],
    about: 'take a container out of a network',
    usage: 'NETWORK CONTAINER',
    count: [2, 2],
    options: NO_OPTIONS,
    load: async () => (await import('../commands/networks.ts')).disconnectNetwork,
  }),
];

/** In the order in which help shows them. */
export const SYSTEM_COMMANDS: readonly AnyCommand[] = [
  command({
    names: ['events', 'system events'],
    about: 'print what changes as it happens',
    usage: '[OPTIONS]',
    count: [0, 0],
    options: EVENTS_OPTIONS,
    load: async () => (await import('../commands/events.ts')).events,
  }),
  command({
    names: ['info', 'system info'],
    about: 'print the state of server and host',
    usage: '',
    count: [0, 0],
    options: OBJECT_OPTIONS,
    load: async () => (await import('../commands/info.ts')).info,
  }),
  command({
    names: ['system df'],
    about: 'print how much of the disk is taken, and how much of that could be free',
    usage: '[OPTIONS]',
    count: [0, 0],
    options: DF_OPTIONS,
    load: async () => (await import('../commands/disk-usage.ts')).diskUsage,
  }),
  command({
    names: ['system prune'],
    about: 'remove containers that do not run, then images that nothing uses',
    usage: '[OPTIONS]',
    count: [0, 0],
    options: SYSTEM_PRUNE_OPTIONS,
    load: async () => (await import('../commands/prune.ts')).pruneSystem,
  }),
  command({
    names: ['version'],
    about: 'print the versions of client and server',
    usage: '',
    count: [0, 0],
    options: OBJECT_OPTIONS,
    load: async () => (await import('../commands/version.ts')).version,
  }),
];
