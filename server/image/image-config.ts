/**
 * The OCI image config as JSON: what an image's id is the hash of. Keys in a fixed order, so that equal
 * images have equal ids.
 * Source: OCI image-spec, config.md.
 */
import type { Digest } from '../model/digest.ts';
import type { HealthCheck, HistoryEntry, ImageConfig } from '../model/image.ts';

/** What an image config says. */
export interface ImageDescription {
  readonly config: ImageConfig;
  /** ns since epoch; 0n is left out. */
  readonly builtAt: bigint;
  readonly author: string;
  /** Go's words: `amd64`, `arm64`. */
  readonly architecture: string;
  readonly variant: string;
  readonly os: string;
  /** Base first. */
  readonly diffIds: readonly Digest[];
  readonly history: readonly HistoryEntry[];
}

/** @returns the bytes whose digest is the image's id. */
export function encodeImageConfig(image: ImageDescription): Buffer {
  const { config } = image;
  const json = {
    ...(image.builtAt === 0n ? {} : { created: isoTime(image.builtAt) }),
    ...text('author', image.author),
    architecture: image.architecture,
    ...text('variant', image.variant),
    os: image.os,
    config: {
      ...text('User', config.user),
      ...set('ExposedPorts', config.exposedPorts),
      ...list('Env', config.env),
      ...list('Entrypoint', config.entrypoint),
      ...list('Cmd', config.command),
      ...set('Volumes', config.volumes),
      ...text('WorkingDir', config.workingDir),
      ...(Object.keys(config.labels).length === 0 ? {} : { Labels: sorted(config.labels) }),
      ...text('StopSignal', config.stopSignal),
      ...list('Shell', config.shell),
      ...(config.healthCheck === undefined ? {} : { Healthcheck: goHealthCheck(config.healthCheck) }),
    },
    rootfs: { type: 'layers', diff_ids: image.diffIds },
    history: image.history.map((entry) => ({
      ...(entry.createdAt === undefined ? {} : { created: isoTime(entry.createdAt) }),
      ...text('created_by', entry.createdBy),
      ...text('comment', entry.comment),
      ...(entry.emptyLayer ? { empty_layer: true } : {}),
    })),
  };
  return Buffer.from(JSON.stringify(json));
}

/** As Docker has it in image configs; OCI reserves the name. Durations are ns. */
function goHealthCheck(check: HealthCheck): object {
  const duration = (key: string, ms: number): object => (ms === 0 ? {} : { [key]: ms * 1_000_000 });
  return {
    Test: check.disabled ? ['NONE'] : ['CMD', ...check.args],
    ...duration('Interval', check.intervalMs),
    ...duration('Timeout', check.timeoutMs),
    ...duration('StartPeriod', check.startPeriodMs),
    ...duration('StartInterval', check.startIntervalMs),
    ...(check.retries === 0 ? {} : { Retries: check.retries }),
  };
}

/** RFC 3339 in UTC with nanoseconds, trailing zeros cut as Go does. */
function isoTime(timeNs: bigint): string {
  const second = 1_000_000_000n;
  const nanos = ((timeNs % second) + second) % second;
  const whole = new Date(Number((timeNs - nanos) / 1_000_000n)).toISOString().slice(0, 19);
  const fraction = String(nanos).padStart(9, '0').replace(/0+$/, '');
  return `${whole}${fraction === '' ? '' : `.${fraction}`}Z`;
}

function text(key: string, value: string): Record<string, string> {
  return value === '' ? {} : { [key]: value };
}

function list(key: string, values: readonly string[]): Record<string, readonly string[]> {
  return values.length === 0 ? {} : { [key]: values };
}

/** Go's sets are maps to nothing. */
function set(key: string, values: readonly string[]): Record<string, Record<string, object>> {
  return values.length === 0
    ? {}
    : { [key]: Object.fromEntries([...values].sort().map((value) => [value, {}])) };
}

function sorted(record: Readonly<Record<string, string>>): Record<string, string> {
  return Object.fromEntries(Object.entries(record).sort(([a], [b]) => (a < b ? -1 : 1)));
}

/** The architecture of this machine in Go's words. */
export function hostArchitecture(): string {
  return process.arch === 'x64' ? 'amd64' : process.arch;
}
