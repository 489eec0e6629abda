/**
 * What a client asks for, joined with what the image says: the rules are Docker's. Pure; whether the result
 * is possible is another file's question.
 */
import { posix } from 'node:path';
import type {
  BindMount,
  ContainerConfig,
  HostEntry,
  NetworkMode,
  RestartPolicy,
  RootfsSource,
  SharedNamespaces,
  StorageDriver,
  TmpfsMount,
} from '../model/container.ts';
import { invalidArgument, MydockerError, quoteId } from '../model/error.ts';
import { EMPTY_IMAGE_CONFIG, type HealthCheck, type ImageConfig } from '../model/image.ts';
import type { Attachment, DnsConfig } from '../model/network.ts';
import { type PublishedPort, singlePorts } from '../model/port.ts';
import { parseSignal, SIGTERM } from '../model/signal.ts';
import { parseUserSpec } from '../model/user-spec.ts';
import { DEFAULT_PATH } from '../spec/defaults.ts';
import { checkPorts } from './check-ports.ts';
import { type KernelOptions, mergeKernel } from './kernel-options.ts';
import { mergeMounts, normalPath, present, type VolumeChoice } from './merge-mounts.ts';
import type { Inherited } from './volumes-from.ts';

/** How a container shall run; what is absent is left to the image, then to the server. */
export interface ContainerOptions extends KernelOptions {
  readonly rootfs:
    | { readonly kind: 'image'; readonly reference: string }
    | { readonly kind: 'directory'; readonly path: string };
  /** First part of the arguments; given, also empty, it replaces the image's together with its command. */
  readonly entrypoint?: readonly string[];
  /** Second part of the arguments; given, also empty, it replaces the image's. */
  readonly command?: readonly string[];
  /** `KEY=VALUE`; `KEY` alone removes the image's. */
  readonly env?: readonly string[];
  readonly workingDir?: string;
  readonly user?: string;
  readonly additionalGroups?: readonly string[];
  /** `''`: the first 12 digits of the id, or the host's name in the host's network. */
  readonly hostname?: string;
  readonly terminal?: boolean;
  readonly openStdin?: boolean;
  readonly stdinOnce?: boolean;
  readonly init?: boolean;
  readonly mounts?: readonly BindMount[];
  /** Volumes; one without a name is made for this container. */
  readonly volumes?: readonly VolumeChoice[];
  /** `CONTAINER[:ro]`. */
  readonly volumesFrom?: readonly string[];
  readonly tmpfs?: readonly TmpfsMount[];
  /** Absent: 64 MiB. */
  readonly shmSizeBytes?: bigint;
  /** Default `networks`. */
  readonly network?: NetworkMode;
  /** With the mode `networks`; none: the default network. */
  readonly attachments?: readonly Attachment[];
  /** Other containers as the client names them. */
  readonly namespaces?: SharedNamespaces;
  readonly dns?: DnsConfig;
  readonly extraHosts?: readonly HostEntry[];
  readonly readOnlyRootfs?: boolean;
  /** Name or number; `''`: the image's, or SIGTERM. */
  readonly stopSignal?: string;
  /** -1: without end. Default 10 s. */
  readonly stopTimeoutMs?: number;
  readonly autoRemove?: boolean;
  readonly labels?: Readonly<Record<string, string>>;
  /** `80/tcp`; told beside the image's. */
  readonly exposedPorts?: readonly string[];
  readonly ports?: readonly PublishedPort[];
  readonly publishAll?: boolean;
  readonly restartPolicy?: RestartPolicy;
  /** Replaces the image's. */
  readonly healthCheck?: HealthCheck;
  /** `overlay`, `overlay2`, `vfs`. Absent: the server's. */
  readonly storageDriver?: string;
}

/** What is known by now but not from the options. */
export interface MergeFacts {
  readonly rootfs: RootfsSource;
  /** Absent for a rootfs directory. */
  readonly image?: ImageConfig;
  /** Used where the options name none. */
  readonly hostname: string;
  /** Those of the options, other containers by their ids. */
  readonly namespaces: SharedNamespaces;
  /** What the options name, or the server's. */
  readonly storageDriver: StorageDriver;
  /** Of other containers; absent: nothing. */
  readonly inherited?: Inherited;
}

/** A configuration, and what the client may not expect of it, in sentences. */
export interface Merged {
  readonly config: ContainerConfig;
  readonly warnings: readonly string[];
}

const DEFAULT_STOP_TIMEOUT_MS = 10_000;

/** Labels that are ours to give; an image must not speak for the server. */
const RESERVED_LABEL = /^mydocker(?:\.|$)/;

/**
 * The configuration that a container gets.
 * @throws MydockerError `invalid-argument` for what cannot be read: a signal, a user, an environment entry.
 */
export function mergeOptions(options: ContainerOptions, facts: MergeFacts): Merged {
  const image = facts.image ?? EMPTY_IMAGE_CONFIG;
  const warnings: string[] = [];
  const user = options.user ?? image.user;
  parseUserSpec(user);
  const config: ContainerConfig = {
    rootfs: facts.rootfs,
    ...mergeArgs(options, image),
    env: mergeEnv(image.env, options.env ?? []),
    // What an image says is made absolute, what somebody typed is refused where it is not.
    workingDir: options.workingDir ? normalPath(options.workingDir) : absolute(image.workingDir),
    user,
    hostname: options.hostname === undefined || options.hostname === '' ? facts.hostname : options.hostname,
    terminal: options.terminal ?? false,
    openStdin: options.openStdin ?? false,
    ...(options.stdinOnce === true ? { stdinOnce: true } : {}),
    ...(options.init === true ? { init: true } : {}),
    ...mergeMounts(options, image, facts.inherited),
    network: options.network ?? 'networks',
    ...(options.dns === undefined ? {} : { dns: options.dns }),
    ...(Object.keys(facts.namespaces).length === 0 ? {} : { namespaces: facts.namespaces }),
    ...present('extraHosts', options.extraHosts),
    ...present('additionalGroups', options.additionalGroups),
    ...(options.shmSizeBytes === undefined ? {} : { shmSizeBytes: options.shmSizeBytes }),
    readOnlyRootfs: options.readOnlyRootfs ?? false,
    ...mergeKernel(options),
    stopSignal: stopSignal(options.stopSignal ?? '', image.stopSignal, warnings),
    stopTimeoutMs: options.stopTimeoutMs ?? DEFAULT_STOP_TIMEOUT_MS,
    autoRemove: options.autoRemove ?? false,
    labels: mergeLabels(image.labels, options.labels ?? {}),
    ...mergeFacts(options, image, warnings),
    ...(facts.rootfs.kind === 'image' ? { storageDriver: facts.storageDriver } : {}),
  };
  return { config, warnings };
}

function mergeArgs(
  options: ContainerOptions,
  image: ImageConfig,
): Pick<ContainerConfig, 'args' | 'entrypointLength'> {
  const { entrypoint, command } = options;
  // An entrypoint of one empty word is how a command line says "none".
  const given = entrypoint?.length === 1 && entrypoint[0] === '' ? [] : entrypoint;
  // The image's command was written for the image's entrypoint.
  const first = given ?? image.entrypoint;
  const args = [...first, ...(command ?? (given === undefined ? image.command : []))];
  if (args.length > 0 && args[0] !== '')
    return { args, ...(first.length === 0 ? {} : { entrypointLength: first.length }) };
  throw invalidArgument(
    args.length === 0
      ? 'cannot create container: no command was given and the image has none'
      : 'cannot create container: the command is an empty word',
    {
      reason: 'COMMAND_MISSING',
      hint: 'give the command after the image: mydocker run IMAGE COMMAND',
      // An empty word is a program that is not found.
      exitStatus: args.length === 0 ? 125 : 127,
    },
  );
}

/** The last of a key wins and stays where the first stood; PATH is always there. */
function mergeEnv(image: readonly string[], given: readonly string[]): readonly string[] {
  const merged = new Map<string, string>();
  for (const entry of image) {
    const key = keyOf(entry);
    // What an image says wrong cannot be put right by whoever uses it.
    if (key !== '' && entry.includes('=') && !entry.includes('\0')) merged.set(key, entry);
  }
  for (const entry of given) {
    const key = keyOf(entry);
    if (key === '' || entry.includes('\0')) throw badEnv(entry);
    if (entry.includes('=')) merged.set(key, entry);
    else merged.delete(key);
  }
  return merged.has('PATH') ? [...merged.values()] : [DEFAULT_PATH, ...merged.values()];
}

function keyOf(entry: string): string {
  const end = entry.indexOf('=');
  return end < 0 ? entry : entry.slice(0, end);
}

function badEnv(entry: string): MydockerError {
  return invalidArgument(`invalid environment variable ${quoteId(entry)}: it has no name, or a NUL in it`, {
    reason: 'ENV_INVALID',
    hint: 'the form is KEY=VALUE',
  });
}

function absolute(path: string): string {
  return posix.join('/', path).replace(/(?<=.)\/$/, '');
}

/** What is told of a container and not acted on. */
function mergeFacts(
  options: ContainerOptions,
  image: ImageConfig,
  warnings: string[],
): Pick<ContainerConfig, 'exposedPorts' | 'ports' | 'publishAll' | 'healthCheck' | 'restartPolicy'> {
  const ports = checkPorts(options.ports ?? []);
  // What is published is listened on, too.
  const published = singlePorts(ports).map(({ containerPort, protocol }) => `${containerPort}/${protocol}`);
  const exposedPorts = [...new Set([...image.exposedPorts, ...(options.exposedPorts ?? []), ...published])];
  const healthCheck = options.healthCheck ?? image.healthCheck;
  if (options.healthCheck !== undefined && !options.healthCheck.disabled)
    warnings.push('the health check is kept, but this version of the server does not run it');
  const { restartPolicy, autoRemove } = options;
  if (restartPolicy !== undefined && autoRemove === true)
    throw invalidArgument('cannot create container: what is removed at its end cannot start again', {
      reason: 'CONFIG_INVALID',
      hint: 'leave out the restart policy or the automatic removal',
    });
  if (restartPolicy !== undefined)
    warnings.push('the restart policy is kept, but this version of the server does not act on it');
  return {
    ...(restartPolicy === undefined ? {} : { restartPolicy }),
    ...present('exposedPorts', exposedPorts),
    ...present('ports', ports),
    ...(options.publishAll === true ? { publishAll: true } : {}),
    ...(healthCheck === undefined ? {} : { healthCheck }),
  };
}

function stopSignal(given: string, image: string, warnings: string[]): number {
  if (given !== '') return parseSignal(given);
  if (image === '') return SIGTERM;
  try {
    return parseSignal(image);
  } catch (error) {
    if (!(error instanceof MydockerError)) throw error;
    warnings.push(`the image's stop signal ${quoteId(image)} is unknown; SIGTERM is used`);
    return SIGTERM;
  }
}

function mergeLabels(
  image: Readonly<Record<string, string>>,
  given: Readonly<Record<string, string>>,
): Readonly<Record<string, string>> {
  const own = Object.entries(image).filter(([key]) => !RESERVED_LABEL.test(key));
  return Object.fromEntries([...own, ...Object.entries(given)]);
}
