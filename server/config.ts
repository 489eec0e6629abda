/**
 * How the server is told what to do: flags, a JSON file with the same names, defaults. Pure but for reading
 * that file.
 */
import { readFileSync } from 'node:fs';
import { isIP } from 'node:net';
import { isAbsolute, normalize } from 'node:path';
import { parseArgs } from 'node:util';
import { invalidArgument, quoteId } from './model/error.ts';
import { type ProxySettings, parseProxies } from './model/proxy.ts';
import {
  parseRegistries,
  parseRegistryLimits,
  type Registries,
  type RegistryLimits,
} from './model/registry.ts';
import { slicePath } from './model/unit.ts';

/** `cgroupfs`: folders that this server makes. `systemd`: units that it asks systemd for. */
export type CgroupDriver = 'cgroupfs' | 'systemd';

/** What a server is started with. */
export interface ServerConfig {
  /** Folder of durable data; absolute. */
  readonly root: string;
  /** Folder of data that is gone at reboot; absolute. */
  readonly state: string;
  /** `unix:///run/mydocker/mydocker.sock`, at least one. */
  readonly listen: readonly string[];
  /** Who makes the groups of containers; absent: cgroupfs. */
  readonly cgroupDriver?: CgroupDriver;
  /** Begins with `/`; with systemd the path of a slice; absent: made from the root. */
  readonly cgroupParent?: string;
  readonly debug: boolean;
  /** As given, not yet understood; absent: overlay. */
  readonly storageDriver?: string;
  /** Whether the tars of layers are kept as they came; only a file says it. Default true. */
  readonly keepsLayers?: boolean;
  /** Limits of archives that are not the usual ones, by name; only a file gives them. */
  readonly archiveLimits?: ArchiveLimitSettings;
  /** How many starts are prepared ahead; only a file says it. */
  readonly launchers?: number;
  /** What subnets of networks are taken out of, CIDR; only a file gives them. */
  readonly networkPools?: readonly string[];
  /** How registries are reached; only a file says it. */
  readonly registries?: Registries;
  /** Ways to registries, over what the environment says; only a file says it. */
  readonly proxies?: ProxySettings;
  /** Limits of what registries send; only a file gives them. */
  readonly registryLimits?: RegistryLimits;
}

/** Limits of archives that may be set; what they mean is in docs/unpacking.md. */
export const ARCHIVE_LIMIT_NAMES = [
  'entries',
  'headerBytes',
  'unpackedBytes',
  'fileBytes',
  'pathBytes',
  'nameBytes',
  'sparseRegions',
] as const;

export type ArchiveLimitSettings = Readonly<Partial<Record<(typeof ARCHIVE_LIMIT_NAMES)[number], number>>>;

/** What the command line asks for. */
export type Invocation =
  | { readonly kind: 'serve'; readonly config: ServerConfig }
  | { readonly kind: 'help' | 'version' };

export const HELP: string = `mydockerd: runs containers and serves their API

  --root DIR             durable data (default /var/lib/mydocker)
  --state DIR            data that is gone at reboot (default /run/mydocker)
  --listen unix://PATH   where to serve; may be repeated (default unix://STATE/mydocker.sock)
  --cgroup-parent PATH   cgroup below which those of containers are made (default /mydocker-KEY,
                         KEY being made from the root)
  --cgroup-driver D      who makes them: cgroupfs (default, folders), systemd (units; PATH is then the
                         name of a slice, default mydocker-KEY.slice)
  -s, --storage-driver D how root filesystems are made: overlay (default), vfs (full copies)
  --config FILE          JSON object with the same names without dashes in front; flags win.
                         It may have archive-limits as well, see docs/unpacking.md, and
                         registries, registry-limits and proxies, see docs/registries.md, and
                         network-pools, see docs/networks.md, and launchers, see docs/cli.md
  --debug                log more
  --version, --help

It stops on SIGTERM and SIGINT; containers run on and are found again at the next start.
`;

/** Where durable data lies unless the server is told otherwise. */
export const DEFAULT_ROOT = '/var/lib/mydocker';
const DEFAULT_STATE = '/run/mydocker';

/** More at a time than a machine starts in the time that one takes. */
const MAX_LAUNCHERS = 16;

/** Names in the file and on the command line. */
const OPTIONS = {
  root: { type: 'string' },
  state: { type: 'string' },
  listen: { type: 'string', multiple: true },
  'cgroup-driver': { type: 'string' },
  'cgroup-parent': { type: 'string' },
  'storage-driver': { type: 'string', short: 's' },
  config: { type: 'string' },
  debug: { type: 'boolean' },
  version: { type: 'boolean' },
  help: { type: 'boolean', short: 'h' },
} as const;

interface Settings {
  root?: string | undefined;
  state?: string | undefined;
  listen?: string[] | undefined;
  'cgroup-driver'?: string | undefined;
  'cgroup-parent'?: string | undefined;
  'storage-driver'?: string | undefined;
  debug?: boolean | undefined;
  'archive-limits'?: ArchiveLimitSettings | undefined;
  'network-pools'?: readonly string[] | undefined;
  launchers?: number | undefined;
  'keep-packed-layers'?: boolean | undefined;
  registries?: Registries | undefined;
  proxies?: ProxySettings | undefined;
  'registry-limits'?: RegistryLimits | undefined;
}

/**
 * @param args - without program and script.
 * @throws MydockerError `invalid-argument` for an option that is not there or cannot be read.
 */
export function parseInvocation(args: readonly string[]): Invocation {
  const flags = parseFlags(args);
  if (flags.help === true) return { kind: 'help' };
  if (flags.version === true) return { kind: 'version' };
  const file = flags.config === undefined ? {} : readFile(flags.config);
  const state = absolute('state', flags.state ?? file.state ?? DEFAULT_STATE);
  const cgroupDriver = driver(flags['cgroup-driver'] ?? file['cgroup-driver'] ?? 'cgroupfs');
  const parent = flags['cgroup-parent'] ?? file['cgroup-parent'];
  const storageDriver = flags['storage-driver'] ?? file['storage-driver'];
  const { 'archive-limits': limits, 'registry-limits': registryLimits, registries, proxies } = file;
  const { 'network-pools': networkPools, launchers } = file;
  const { 'keep-packed-layers': keepsLayers } = file;
  return {
    kind: 'serve',
    config: {
      root: absolute('root', flags.root ?? file.root ?? DEFAULT_ROOT),
      state,
      listen: flags.listen ?? file.listen ?? [`unix://${state}/mydocker.sock`],
      ...(cgroupDriver === 'cgroupfs' ? {} : { cgroupDriver }),
      ...(parent === undefined ? {} : { cgroupParent: cgroupParent(cgroupDriver, parent) }),
      ...(storageDriver === undefined ? {} : { storageDriver }),
      debug: flags.debug ?? file.debug ?? false,
      ...(limits === undefined ? {} : { archiveLimits: limits }),
      ...(networkPools === undefined ? {} : { networkPools }),
      ...(launchers === undefined ? {} : { launchers }),
      ...(keepsLayers === undefined ? {} : { keepsLayers }),
      ...(registries === undefined ? {} : { registries }),
      ...(proxies === undefined ? {} : { proxies }),
      ...(registryLimits === undefined ? {} : { registryLimits }),
    },
  };
}

function parseFlags(
  args: readonly string[],
): Settings & { config?: string; version?: boolean; help?: boolean } {
  try {
    return parseArgs({ args: [...args], options: OPTIONS, strict: true, allowPositionals: false }).values;
  } catch (error) {
    const why = error instanceof Error ? (error.message.split('. ')[0] ?? '') : String(error);
    throw invalidArgument(why, { reason: 'OPTION_INVALID', hint: 'mydockerd --help shows the options' });
  }
}

function readFile(path: string): Settings {
  let values: unknown;
  try {
    values = JSON.parse(readFileSync(path, 'utf8'));
  } catch (cause) {
    const why = (cause as NodeJS.ErrnoException).code ?? 'it is not JSON';
    throw invalidArgument(`cannot read configuration ${path}: ${why}`, {
      reason: 'CONFIG_FILE_INVALID',
      cause,
    });
  }
  if (typeof values !== 'object' || values === null || Array.isArray(values))
    throw invalidArgument(`cannot read configuration ${path}: it is no JSON object`, {
      reason: 'CONFIG_FILE_INVALID',
    });
  return Object.fromEntries(Object.entries(values).map(([key, value]) => [key, setting(path, key, value)]));
}

function setting(path: string, key: string, value: unknown): unknown {
  const wrong = (why: string): Error =>
    invalidArgument(`cannot read configuration ${path}: ${quoteId(key)} ${why}`, {
      reason: 'CONFIG_FILE_INVALID',
    });
  switch (key) {
    case 'root':
    case 'state':
    case 'cgroup-driver':
    case 'cgroup-parent':
    case 'storage-driver':
      if (typeof value !== 'string') throw wrong('is no text');
      return value;
    case 'listen':
      if (typeof value === 'string') return [value];
      if (Array.isArray(value) && value.length > 0 && value.every((each) => typeof each === 'string'))
        return value;
      throw wrong('is neither a text nor a list of texts');
    case 'debug':
    case 'keep-packed-layers':
      if (typeof value !== 'boolean') throw wrong('is neither true nor false');
      return value;
    case 'archive-limits':
      if (!isLimits(value))
        throw wrong(`is no object of numbers above 0 named ${ARCHIVE_LIMIT_NAMES.join(', ')}`);
      return value;
    case 'network-pools':
      if (!isPools(value)) throw wrong('is no list of subnets: IPv4 of /24 or wider, IPv6 of /64 or wider');
      return value;
    case 'launchers':
      if (!Number.isInteger(value) || Number(value) < 0 || Number(value) > MAX_LAUNCHERS)
        throw wrong(`is no whole number from 0 to ${MAX_LAUNCHERS}`);
      return value;
    case 'registries':
      return parseRegistries(path, value);
    case 'proxies':
      return parseProxies(path, value);
    case 'registry-limits':
      return parseRegistryLimits(path, value);
    default:
      throw wrong('is no setting');
  }
}

/** A network takes a /24 out of it, of IPv6 a /64. */
function isPools(value: unknown): value is readonly string[] {
  const isPool = (one: unknown): boolean => {
    const [, address = '', prefix = ''] = /^([^/]+)\/(\d{1,3})$/.exec(String(one)) ?? [];
    const family = isIP(address);
    return family !== 0 && Number(prefix) >= 8 && Number(prefix) <= (family === 4 ? 24 : 64);
  };
  return Array.isArray(value) && value.length > 0 && value.every(isPool);
}

function isLimits(value: unknown): value is ArchiveLimitSettings {
  if (typeof value !== 'object' || value === null || Array.isArray(value)) return false;
  return Object.entries(value).every(
    ([name, limit]) =>
      ARCHIVE_LIMIT_NAMES.some((known) => known === name) && Number.isSafeInteger(limit) && limit > 0,
  );
}

function driver(name: string): CgroupDriver {
  if (name === 'cgroupfs' || name === 'systemd') return name;
  throw invalidArgument(`invalid --cgroup-driver ${quoteId(name)}: there is no such driver`, {
    reason: 'OPTION_INVALID',
    hint: 'cgroupfs or systemd',
  });
}

function cgroupParent(driver: CgroupDriver, parent: string): string {
  if (driver === 'cgroupfs') return absolute('cgroup-parent', parent);
  const path = slicePath(parent);
  if (path === undefined || path === '')
    throw invalidArgument(`invalid --cgroup-parent ${quoteId(parent)}: it is not the name of a slice`, {
      reason: 'OPTION_INVALID',
      hint: 'with --cgroup-driver systemd it is one, for example machine.slice',
    });
  return path;
}

function absolute(option: string, path: string): string {
  if (!isAbsolute(path) || path.includes('\0'))
    throw invalidArgument(`invalid --${option} ${quoteId(path)}: it is not an absolute path`, {
      reason: 'OPTION_INVALID',
    });
  return normalize(path).replace(/(?<=.)\/+$/, '');
}
