/** The commands about volumes, and their options. */
import { type AnyCommand, command } from './command.ts';
import { CONTAINER_PRUNE_OPTIONS, FORMAT, IMAGE_INSPECT_OPTIONS } from './command-options.ts';

const MANY = Number.POSITIVE_INFINITY;

/** Options of `volume ls`. */
export const VOLUMES_OPTIONS = {
  quiet: { names: ['-q', '--quiet'], type: 'flag', about: 'names only' },
  format: FORMAT as typeof FORMAT,
  filter: {
    names: ['-f', '--filter'],
    type: 'list',
    value: 'KEY=VALUE',
    about: 'dangling, driver, label or name',
  },
} as const;

/** Options of `volume create`. */
export const VOLUME_CREATE_OPTIONS = {
  driver: { names: ['-d', '--driver'], type: 'text', value: 'DRIVER', about: 'local' },
  label: { names: ['--label'], type: 'list', value: 'KEY[=VALUE]', about: 'say something about it' },
  opt: {
    names: ['-o', '--opt'],
    type: 'list',
    value: 'KEY=VALUE',
    about: 'type, device and o, as for mount: a folder of the host (o=bind), or type=tmpfs',
  },
  name: { names: ['--name'], type: 'text', value: 'NAME', about: 'its name, instead of the argument' },
} as const;

/** Options of `volume rm`. */
export const VOLUME_REMOVE_OPTIONS = {
  force: { names: ['-f', '--force'], type: 'flag', about: 'one that is not there is no error' },
} as const;

/** Options of `volume prune`. */
export const VOLUME_PRUNE_OPTIONS = {
  all: { names: ['-a', '--all'], type: 'flag', about: 'also those that have a name' },
  force: CONTAINER_PRUNE_OPTIONS.force as typeof CONTAINER_PRUNE_OPTIONS.force,
  filter: CONTAINER_PRUNE_OPTIONS.filter as typeof CONTAINER_PRUNE_OPTIONS.filter,
} as const;

/** In the order in which help shows them. */
export const VOLUME_COMMANDS: readonly AnyCommand[] = [
  command({
    names: ['volumes', 'volume ls', 'volume list'],
    about: 'list volumes',
    usage: '[OPTIONS]',
    count: [0, 0],
    options: VOLUMES_OPTIONS,
    load: async () => (await import('../commands/volumes.ts')).listVolumes,
  }),
  command({
    names: ['volume create'],
    about: 'make a volume',
    usage: '[OPTIONS] [NAME]',
    count: [0, 1],
    options: VOLUME_CREATE_OPTIONS,
    load: async () => (await import('../commands/volumes.ts')).createVolume,
  }),
  command({
    names: ['volume inspect'],
    about: 'print everything about volumes as JSON',
    usage: '[OPTIONS] VOLUME…',
    count: [1, MANY],
    options: IMAGE_INSPECT_OPTIONS,
    load: async () => (await import('../commands/inspect.ts')).inspectVolume,
  }),
  command({
    names: ['volume rm', 'volume remove'],
    about: 'remove volumes with their data',
    usage: '[OPTIONS] VOLUME…',
    count: [1, MANY],
    options: VOLUME_REMOVE_OPTIONS,
    load: async () => (await import('../commands/volumes.ts')).removeVolumes,
  }),
  command({
    names: ['volume prune'],
    about: 'remove anonymous volumes that no container has, with -a all of those',
    usage: '[OPTIONS]',
    count: [0, 0],
    options: VOLUME_PRUNE_OPTIONS,
    load: async () => (await import('../commands/prune.ts')).pruneVolumes,
  }),
];
