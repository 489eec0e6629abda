/**
 * What a volume is, as a plain value: data that belongs to no container, kept below `volumes/<name>/data` or where its
 * options say, and mounted into whichever container names it.
 */
import { randomBytes } from 'node:crypto';
import { type ErrorDetails, invalidArgument, type MydockerError, quoteId } from './error.ts';
import { MAX_NAME_CHARS } from './name.ts';

/** A volume as the store keeps it. */
export interface VolumeRecord {
  /** Version of this shape. */
  readonly v: 1;
  /** Grows by one with each change. */
  readonly rev: bigint;
  /** ns since epoch. */
  readonly createdAt: bigint;
  /** ns since epoch. */
  readonly updatedAt: bigint;
  /** Names its folder. */
  readonly name: string;
  /** Made for one container without a name of its own; goes with that container when it is asked to. */
  readonly anonymous: boolean;
  readonly labels: Readonly<Record<string, string>>;
  /** `type`, `device`, `o`, as they were given. Absent: none, it is a folder of the server's. */
  readonly options?: Readonly<Record<string, string>>;
}

/** The one driver there is. */
export const VOLUME_DRIVER = 'local';

/** What is mounted of a volume. */
export type VolumeSource =
  | { readonly kind: 'folder' }
  | {
      readonly kind: 'bind';
      /** Absolute path of the host. */
      readonly device: string;
      readonly recursive: boolean;
      readonly readOnly: boolean;
    }
  | {
      readonly kind: 'filesystem';
      /** As in /proc/filesystems. */
      readonly type: string;
      readonly device: string;
      /** As fstab writes them. */
      readonly options: readonly string[];
    }
  | {
      readonly kind: 'tmpfs';
      readonly readOnly: boolean;
      /** Permission bits of its root; absent: the usual ones. */
      readonly mode?: number;
      /** As fstab writes them. */
      readonly options: readonly string[];
    };

/** A name for an anonymous volume: 64 hex digits. */
export function newVolumeName(): string {
  return randomBytes(32).toString('hex');
}

/** Whether a text names an anonymous volume, whether there is one or not. */
export function isAnonymousVolume(text: string): boolean {
  return /^[0-9a-f]{64}$/.test(text);
}

/** Whether a text can name a volume, and so a folder. */
export function isVolumeName(text: string): boolean {
  return text.length <= MAX_NAME_CHARS && /^[a-zA-Z0-9][a-zA-Z0-9_.-]+$/.test(text);
}

/** @throws MydockerError `invalid-argument`, naming the rule. */
export function parseVolumeName(text: string): string {
  if (isVolumeName(text)) return text;
  const why =
    text.length > MAX_NAME_CHARS
      ? `it is longer than ${MAX_NAME_CHARS} characters`
      : 'it must be a letter or digit, then one or more of letters, digits, _ . and -';
  throw invalidArgument(`invalid volume name ${quoteId(text)}: ${why}`, {
    reason: 'VOLUME_NAME_INVALID',
    hint: 'a path of the host begins with / or ./',
  });
}

const KEYS: readonly string[] = ['type', 'device', 'o'];
/** What a tmpfs may be told, tmpfs(5) and mount(8). */
const TMPFS_OPTION =
  /^(?:(?:no)?(?:exec|suid|dev)|r[ow]|noatime|nodiratime|relatime|strictatime|mode=[0-7]{1,4}|size=\d{1,19}[kmg%]?|(?:uid|gid)=\d{1,10}|nr_(?:inodes|blocks)=\d{1,15}[kmg]?)$/;

/**
 * What a volume's options mean.
 * @throws MydockerError `invalid-argument` (VOLUME_OPTION_INVALID) for what cannot be read or be mounted in a container.
 */
export function volumeSource(options: Readonly<Record<string, string>> = {}): VolumeSource {
  if (Object.keys(options).length === 0) return { kind: 'folder' };
  for (const key of Object.keys(options))
    if (!KEYS.includes(key)) throw invalid(key, 'there is no such option', { hint: KEYS.join(', ') });
  const { type = '', device = '', o = '' } = options;
  if (device === '') throw invalid('device', 'it is missing', { hint: 'for example device=/data, o=bind' });
  const words = o.split(',').filter(Boolean);
  if (type === 'tmpfs') return tmpfsSource(words);
  if (words.includes('bind') || words.includes('rbind')) return bindSource(device, words);
  if (type === '' || type === 'none')
    throw invalid(type === '' ? 'type' : `type=${type}`, 'nothing says what to mount', {
      hint: 'type=tmpfs, type=nfs, type=ext4, or type=none with device=FOLDER, o=bind',
    });
  return filesystemSource(type, device, words);
}

/** Of IPv4 or IPv6, or a name. */
const SERVER = /^(?:[0-9a-f.]*:[0-9a-f:.]*(?:%\w+)?|[a-z0-9_](?:[a-z0-9_.-]{0,252}[a-z0-9_.])?)$/i;
/** Of the kernel's own, not of data. */
const NO_DATA =
  /^(?:proc|sysfs|cgroup2?|devpts|devtmpfs|mqueue|bpf|debugfs|tracefs|securityfs|configfs|overlay|autofs|fuse.*)$/;

function filesystemSource(type: string, device: string, options: readonly string[]): VolumeSource {
  if (!/^[a-z0-9_.]{1,32}$/.test(type) || NO_DATA.test(type))
    throw invalid(`type=${type}`, 'no data is on such a filesystem', {
      hint: 'for example nfs, cifs, ext4, tmpfs',
    });
  const address = options.find((option) => option.startsWith('addr='))?.slice('addr='.length);
  if (address !== undefined && !SERVER.test(address))
    throw invalid(`addr=${address}`, 'it is no IP address and no name', {
      hint: 'for example addr=10.0.0.2',
    });
  return { kind: 'filesystem', type, device, options };
}

function bindSource(device: string, words: readonly string[]): VolumeSource {
  if (!device.startsWith('/') || device.includes('\0'))
    throw invalid(`device=${device}`, 'it is not an absolute path');
  const [bad] = words.filter((word) => !['bind', 'rbind', 'ro', 'rw'].includes(word));
  if (bad !== undefined)
    throw invalid(`o=${bad}`, 'it does not go with bind', { hint: 'bind, rbind, ro, rw' });
  return { kind: 'bind', device, recursive: words.includes('rbind'), readOnly: isReadOnly(words) };
}

function tmpfsSource(words: readonly string[]): VolumeSource {
  const [bad] = words.filter((word) => !TMPFS_OPTION.test(word));
  if (bad !== undefined)
    throw invalid(`o=${bad}`, 'there is no such option of a tmpfs', {
      hint: 'size, mode, uid, gid, nr_inodes, ro',
    });
  const mode = words.findLast((word) => word.startsWith('mode='))?.slice('mode='.length);
  return {
    kind: 'tmpfs',
    readOnly: isReadOnly(words),
    ...(mode === undefined ? {} : { mode: Number.parseInt(mode, 8) }),
    options: words.filter((word) => !/^(?:r[ow]$|mode=)/.test(word)),
  };
}

const isReadOnly = (words: readonly string[]): boolean =>
  words.findLast((word) => word === 'ro' || word === 'rw') === 'ro';

const invalid = (option: string, why: string, details: ErrorDetails = {}): MydockerError =>
  invalidArgument(`invalid volume option ${quoteId(option)}: ${why}`, {
    reason: 'VOLUME_OPTION_INVALID',
    ...details,
  });

/** Whether an existing volume is what somebody asks for. */
export function sameOptions(
  a: Readonly<Record<string, string>> = {},
  b: Readonly<Record<string, string>> = {},
): boolean {
  const keys = Object.keys(a);
  return keys.length === Object.keys(b).length && keys.every((key) => a[key] === b[key]);
}
