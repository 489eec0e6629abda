/**
 * What a volume is, as a plain value: data that belongs to no container, kept below `volumes/<name>/data` and
 * mounted into whichever container names it.
 */
import { randomBytes } from 'node:crypto';

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
}

/** A name for an anonymous volume: 64 hex digits. */
export function newVolumeName(): string {
  return randomBytes(32).toString('hex');
}

/** Whether a text names an anonymous volume, whether there is one or not. */
export function isAnonymousVolume(text: string): boolean {
  return /^[0-9a-f]{64}$/.test(text);
}
