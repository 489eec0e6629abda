/**
 * What a container is given of the kernel, beside its namespaces: limits, parameters, devices. From what a client asks
 * for, and whether it can be on this host.
 */
import { readFileSync, statSync } from 'node:fs';
import { posix } from 'node:path';
import type { ContainerConfig, DeviceMapping, Ulimit } from '../model/container.ts';
import type { Resources } from '../model/resources.ts';
import type { HostFacts } from '../spec/defaults.ts';
import { isRlimit, RLIM_INFINITY, rlimitsOf } from '../spec/rlimits.ts';
import { checkPath, invalid } from './check-mounts.ts';
import { checkSysctls } from './check-sysctls.ts';

export interface KernelOptions {
  readonly resources?: Resources;
  readonly ulimits?: readonly Ulimit[];
  readonly sysctls?: Readonly<Record<string, string>>;
  /** The path inside may be empty: as on the host; so may the access: all of it. */
  readonly devices?: readonly DeviceMapping[];
  readonly privileged?: boolean;
  readonly oomScoreAdj?: number;
  /** `''`: the server's. */
  readonly cgroupParent?: string;
}

type KernelConfig = Pick<
  ContainerConfig,
  'resources' | 'ulimits' | 'sysctls' | 'devices' | 'privileged' | 'oomScoreAdj' | 'cgroupParent'
>;

const MAX_DEVICES = 256;
/** Made by the server or covered by a mount of its own. */
const RESERVED_DEVICES = /^\/dev\/(?:fd|stdin|stdout|stderr|ptmx|core|console|(?:pts|shm|mqueue)(?:\/.*)?)$/;

const normal = (path: string): string => posix.normalize(path).replace(/(?<=.)\/$/, '');

/** What a record keeps; what was not asked for is absent. */
export function mergeKernel(options: KernelOptions): KernelConfig {
  const {
    resources = {},
    ulimits = [],
    sysctls = {},
    devices = [],
    privileged = false,
    oomScoreAdj,
    cgroupParent = '',
  } = options;
  const mapped = devices.map(({ hostPath, containerPath, access }) => ({
    hostPath: normal(hostPath),
    containerPath: normal(containerPath === '' ? hostPath : containerPath),
    access: access === '' ? 'rwm' : access,
  }));
  return {
    resources,
    ...(ulimits.length === 0 ? {} : { ulimits }),
    ...(Object.keys(sysctls).length === 0 ? {} : { sysctls }),
    ...(mapped.length === 0 ? {} : { devices: mapped }),
    ...(privileged ? { privileged } : {}),
    ...(oomScoreAdj === undefined ? {} : { oomScoreAdj }),
    ...(cgroupParent === '' ? {} : { cgroupParent: cgroupParent.replace(/^\/?(.*?)\/?$/s, '/$1') }),
  };
}

/** @throws MydockerError `invalid-argument` for the first thing that cannot be. */
export function checkKernel(config: ContainerConfig, host: Pick<HostFacts, 'capabilities'>): void {
  const mayRaise = host.capabilities.includes('SYS_RESOURCE');
  checkUlimits(config.ulimits ?? [], mayRaise);
  checkOomScore(config.oomScoreAdj, mayRaise);
  checkSysctls(config);
  checkDevices(config.devices ?? []);
  const { cgroupParent } = config;
  // Names that the kernel itself uses in a group would be taken for its files.
  if (cgroupParent !== undefined && !/^(?:\/(?!\.)[\w@:.-]{1,255}){1,16}$/.test(cgroupParent))
    throw invalid(
      'cgroup parent',
      cgroupParent,
      'it is not a path of names, each of letters, digits and _ . - @ :',
    );
}

function checkUlimits(ulimits: readonly Ulimit[], mayRaise: boolean): void {
  const current =
    mayRaise || ulimits.length === 0 ? [] : rlimitsOf(readFileSync('/proc/self/limits', 'utf8'));
  for (const { name, soft, hard } of ulimits) {
    const shown = `${name}=${soft}:${hard}`;
    if (!isRlimit(name))
      throw invalid('ulimit', shown, 'there is no such limit', { hint: 'for example nofile' });
    if (soft < -1n || hard < -1n)
      throw invalid('ulimit', shown, 'it is negative', { hint: '-1 is no limit' });
    if (hard !== -1n && (soft === -1n || soft > hard))
      throw invalid('ulimit', shown, 'the soft limit is above the hard one');
    const most = current.find(({ type }) => type === name.toUpperCase())?.hard ?? RLIM_INFINITY;
    if ((hard === -1n ? RLIM_INFINITY : hard) > most)
      throw invalid('ulimit', shown, `the server itself has at most ${most}, and may not raise it`, {
        hint: 'give the server CAP_SYS_RESOURCE, or a higher limit',
      });
  }
}

function checkOomScore(score: number | undefined, mayLower: boolean): void {
  if (score === undefined) return;
  if (!Number.isInteger(score) || score < -1000 || score > 1000)
    throw invalid('oom score', String(score), 'it is not between -1000 and 1000');
  const own = Number(readFileSync('/proc/self/oom_score_adj', 'utf8'));
  if (score < own && !mayLower)
    throw invalid('oom score', String(score), `the server itself has ${own}, and may not lower it`, {
      hint: 'give the server CAP_SYS_RESOURCE, or a lower score',
    });
}

function checkDevices(devices: readonly DeviceMapping[]): void {
  if (devices.length > MAX_DEVICES)
    throw invalid('devices', String(devices.length), `there are more than ${MAX_DEVICES}`);
  for (const { hostPath, containerPath, access } of devices) {
    checkPath('device', hostPath);
    if (!/^(?=.)r?w?m?$/.test(sorted(access)))
      throw invalid('access to a device', access, 'it is not some of r, w and m');
    if (!containerPath.startsWith('/dev/') || RESERVED_DEVICES.test(containerPath))
      throw invalid('path of a device', containerPath, 'it is not below /dev, or taken there', {
        hint: `${hostPath}:/dev/NAME`,
      });
    const found = statSync(hostPath, { throwIfNoEntry: false });
    if (found === undefined || !(found.isBlockDevice() || found.isCharacterDevice() || found.isDirectory()))
      throw invalid('device', hostPath, 'the host has no such device', { reason: 'DEVICE_NOT_FOUND' });
  }
}

const sorted = (access: string): string =>
  [...access].sort((a, b) => 'rwm'.indexOf(a) - 'rwm'.indexOf(b)).join('');
