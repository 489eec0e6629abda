/** From what was typed after `create` and `run` to the contract's configuration of a container. */
import { resolve } from 'node:path';
import { type ContainerConfig, RestartMode } from '../proto/gen/mydocker/v1/config.ts';
import type { CreateOptions } from './grammar/container-options.ts';
import type { Arguments } from './grammar/option.ts';
import { parseHost } from './parse/parse-host.ts';
import { parseDevice, parseDeviceRule, parseSysctls, parseUlimit } from './parse/parse-kernel.ts';
import { type Environment, parseEnvironment, parseLabels } from './parse/parse-key-value.ts';
import { parseMount, parseTmpfs } from './parse/parse-mount.ts';
import { parseNamespace } from './parse/parse-namespace.ts';
import { parseNetworks } from './parse/parse-network.ts';
import { parseSize, parseWhole } from './parse/parse-number.ts';
import { parseExpose, parsePublish } from './parse/parse-port.ts';
import { parseRestart } from './parse/parse-restart.ts';
import { parseVolumes } from './parse/parse-volume.ts';
import { resourceFields } from './resources.ts';
import { UsageError } from './usage-error.ts';

/** What create is given: fields that are left out have their default. */
export type ConfigFields = NonNullable<Parameters<typeof ContainerConfig.create>[0]>;
type Given = Arguments<CreateOptions>['options'];

/** Longest time that the contract can say, in s. */
const MAX_TIMEOUT_S = 2_147_483;

/** Surroundings that the arguments refer to. */
export interface ConfigSurroundings {
  readonly env: Environment;
  /** What relative paths begin at. */
  readonly folder: string;
}

/**
 * The configuration that arguments ask for.
 * @param detached - nobody attaches at once, so input stays open when the first client leaves.
 * @throws UsageError
 */
export function containerConfig(
  { options, positionals }: Arguments<CreateOptions>,
  detached: boolean,
  { env, folder }: ConfigSurroundings,
): ConfigFields {
  const { rootfs, words } = rootfsAndCommand(options, positionals, env, folder);
  const { entrypoint, workdir, user, stopTimeout, shmSize } = options;
  const limits = resourceFields(options);
  const deviceRules = options.deviceCgroupRule.map(parseDeviceRule);
  const resources = deviceRules.length === 0 ? limits : { ...limits, deviceRules };
  return {
    rootfs,
    ...(entrypoint === undefined ? {} : { entrypoint: { values: entrypoint === '' ? [] : [entrypoint] } }),
    ...(words.length === 0 ? {} : { command: { values: words } }),
    env: parseEnvironment(options.env, options.envFile, env),
    ...(workdir === undefined ? {} : { workingDir: workdir }),
    ...(user === undefined ? {} : { user }),
    hostname: options.hostname ?? '',
    terminal: options.tty ?? false,
    openStdin: options.interactive ?? false,
    // A terminal is left and come back to; a pipe ends once.
    stdinOnce: (options.interactive ?? false) && !options.tty && !detached,
    mounts: [
      ...options.volume.flatMap((volume) => parseVolumes(volume, folder)),
      ...options.mount.map((mount) => parseMount(mount, folder)),
      ...options.tmpfs.map(parseTmpfs),
    ],
    volumesFrom: options.volumesFrom,
    additionalGroups: options.groupAdd,
    ...(shmSize === undefined ? {} : { shmSizeBytes: shmSizeBytes(shmSize) }),
    init: options.init ?? false,
    readOnlyRootfs: options.readOnly ?? false,
    ...network(options),
    ...namespaces(options),
    ...(resources === undefined ? {} : { resources }),
    ...kernel(options),
    stopSignal: options.stopSignal ?? '',
    ...(stopTimeout === undefined ? {} : { stopTimeoutMs: timeoutMs('--stop-timeout', stopTimeout) }),
    autoRemove: options.rm ?? false,
    labels: parseLabels(options.label, options.labelFile),
    ...restart(options),
    // Its second version is the only one that there is today.
    storageDriver: options.storageDriver === 'overlay2' ? 'overlay' : (options.storageDriver ?? ''),
  };
}

/** As with Docker, 0 is the default. */
function shmSizeBytes(text: string): bigint {
  const size = parseSize('--shm-size', text);
  if (size >= 0n) return size;
  throw new UsageError('invalid size "-1" for --shm-size: it is negative', { hint: 'for example 64m' });
}

/** Seconds, or -1 for no end, in ms. @throws UsageError */
export function timeoutMs(option: string, text: string): number {
  const seconds = parseWhole(option, text, -1, MAX_TIMEOUT_S);
  return seconds < 0 ? -1 : seconds * 1000;
}

/** Exactly one of image, folder and default image; what is left is the command. */
function rootfsAndCommand(
  { image, rootfs }: Given,
  positionals: readonly string[],
  env: Environment,
  folder: string,
): { rootfs: NonNullable<ConfigFields['rootfs']>; words: string[] } {
  if (image !== undefined && rootfs !== undefined) {
    throw new UsageError('--image and --rootfs exclude each other');
  }
  if (rootfs !== undefined) {
    return { rootfs: { $case: 'rootfsDir', value: resolve(folder, rootfs) }, words: [...positionals] };
  }
  const standing = image ?? env['MYDOCKER_IMAGE'];
  const [first, ...rest] = positionals;
  if (standing !== undefined && standing !== '') {
    return { rootfs: { $case: 'image', value: standing }, words: [...positionals] };
  }
  if (first === undefined || first === '') {
    throw new UsageError('no image given', {
      hint: 'mydocker run IMAGE [COMMAND…], or --image, --rootfs, MYDOCKER_IMAGE',
    });
  }
  return { rootfs: { $case: 'image', value: first }, words: rest };
}

function network(options: Given): Pick<ConfigFields, 'network'> {
  const { dns, dnsSearch, dnsOption, addHost } = options;
  const mode = parseNetworks(options);
  const given = dns.length + dnsSearch.length + dnsOption.length + addHost.length > 0;
  const ports = publishing(options);
  if (mode === undefined && !given && ports === undefined) return {};
  return {
    network: {
      ...mode,
      ...ports,
      ...(given
        ? { dnsServers: dns, dnsSearch, dnsOptions: dnsOption, extraHosts: addHost.map(parseHost) }
        : {}),
    },
  };
}

/** @returns undefined where nothing is said of ports. */
function publishing({ publish, publishAll, expose }: Given): ConfigFields['network'] {
  if (publish.length + expose.length === 0 && publishAll !== true) return undefined;
  return {
    ports: publish.flatMap((text) => parsePublish(text)),
    publishAll: publishAll ?? false,
    exposedPorts: expose.map(parseExpose),
  };
}

/** What is removed at its end cannot be started again. */
function restart({ restart: text, rm }: Given): Pick<ConfigFields, 'restartPolicy'> {
  if (text === undefined) return {};
  const restartPolicy = parseRestart(text);
  if (restartPolicy.mode === RestartMode.NEVER) return {};
  if (rm) throw new UsageError('--rm and --restart exclude each other');
  return { restartPolicy };
}

function kernel({ ulimit, sysctl, device, privileged, oomScoreAdj, cgroupParent }: Given): ConfigFields {
  return {
    ulimits: ulimit.map(parseUlimit),
    sysctls: parseSysctls(sysctl),
    devices: device.map(parseDevice),
    ...(privileged === true ? { security: { privileged } } : {}),
    ...(oomScoreAdj === undefined
      ? {}
      : { oomScoreAdj: parseWhole('--oom-score-adj', oomScoreAdj, -1000, 1000) }),
    cgroupParent: cgroupParent ?? '',
  };
}

function namespaces({ pid, ipc, uts, cgroupns }: Given): Pick<ConfigFields, 'namespaces'> {
  if ([pid, ipc, uts, cgroupns].every((whose) => whose === undefined)) return {};
  return {
    namespaces: {
      ...(pid === undefined ? {} : { pid: parseNamespace('--pid', pid) }),
      ...(ipc === undefined ? {} : { ipc: parseNamespace('--ipc', ipc) }),
      ...(uts === undefined ? {} : { uts: parseNamespace('--uts', uts) }),
      ...(cgroupns === undefined ? {} : { cgroup: parseNamespace('--cgroupns', cgroupns) }),
    },
  };
}
