/**
 * Reads the config of an image that came from outside: what containers are started with is taken field by
 * field, everything else in it (what Docker once kept of the building host among it) is not looked at.
 * Source: OCI image-spec, config.md; Docker's Healthcheck, which OCI reserves.
 */
import type { Digest } from '../model/digest.ts';
import { invalidArgument } from '../model/error.ts';
import type { HealthCheck, HistoryEntry, ImageConfig } from '../model/image.ts';
import type { ImageDescription } from './image-config.ts';
import { Fields } from './json-fields.ts';
import { parseTime } from './parse-time.ts';
import { parseStrictJson } from './strict-json.ts';

/** Largest config that is read: an answer of the API must hold it. */
export const MAX_CONFIG_BYTES: number = 2 * 2 ** 20;
/** Most layers of an image. The kernel stacks 500, and a plan must name each. */
const MAX_LAYERS = 127;

const MAX_TEXTS = 10_000;
const MAX_HISTORY = 10_000;
const NS_PER_MS = 1_000_000;
const MAX_UINT32 = 2 ** 32 - 1;
const DEFAULT_SHELL = ['/bin/sh', '-c'];

/**
 * @param bytes - the JSON as it is hashed.
 * @throws MydockerError `invalid-argument` (DOCUMENT_INVALID, JSON_INVALID) naming the field.
 */
export function parseImageConfig(bytes: Uint8Array): ImageDescription {
  const root = new Fields(parseStrictJson(bytes), 'config');
  const rootfs = root.object('rootfs');
  if (rootfs === undefined) throw invalid('it has no rootfs: it is no image of layers');
  if (rootfs.text('type') !== 'layers') throw invalid('its rootfs is not of the type layers');
  return {
    config: containerDefaults(root.object('config')),
    builtAt: parseTime(root.text('created')) ?? 0n,
    author: root.text('author'),
    architecture: root.text('architecture'),
    variant: root.text('variant'),
    os: root.text('os'),
    diffIds: diffIdsOf(rootfs),
    history: root.objects('history', MAX_HISTORY).map(historyEntry),
  };
}

function diffIdsOf(rootfs: Fields): readonly Digest[] {
  const ids = rootfs.digests('diff_ids', MAX_TEXTS);
  if (ids.length <= MAX_LAYERS) return ids;
  throw invalidArgument(`cannot read config: it has ${ids.length} layers`, {
    reason: 'IMAGE_TOO_MANY_LAYERS',
    hint: `at most ${MAX_LAYERS} are supported; build it with fewer steps`,
    metadata: { why: `it has ${ids.length} layers, at most ${MAX_LAYERS} are supported` },
  });
}

function containerDefaults(config: Fields = new Fields({}, 'config.config')): ImageConfig {
  const shell = config.texts('Shell', MAX_TEXTS);
  const healthCheck = healthCheckOf(config.object('Healthcheck'), shell);
  return {
    entrypoint: config.texts('Entrypoint', MAX_TEXTS),
    command: config.texts('Cmd', MAX_TEXTS),
    env: config.texts('Env', MAX_TEXTS),
    workingDir: config.cleanText('WorkingDir'),
    user: config.cleanText('User'),
    labels: config.map('Labels', MAX_TEXTS),
    exposedPorts: [...config.keys('ExposedPorts', MAX_TEXTS)].sort(),
    volumes: [...config.keys('Volumes', MAX_TEXTS)].sort(),
    stopSignal: config.cleanText('StopSignal'),
    shell,
    ...(healthCheck === undefined ? {} : { healthCheck }),
  };
}

/** Nothing, an empty test (as below: inherited from nowhere), `NONE`, `CMD` with arguments, `CMD-SHELL` with a line. */
function healthCheckOf(check: Fields | undefined, shell: readonly string[]): HealthCheck | undefined {
  const [kind, ...args] = check?.texts('Test', MAX_TEXTS) ?? [];
  if (check === undefined || kind === undefined) return undefined;
  if (kind !== 'NONE' && kind !== 'CMD' && kind !== 'CMD-SHELL')
    throw invalid('its Healthcheck is none of NONE, CMD and CMD-SHELL');
  const line = shell.length === 0 ? DEFAULT_SHELL : shell;
  const ms = (key: string): number => boundedMs(check.number(key) ?? 0, key);
  return {
    disabled: kind === 'NONE',
    args: kind === 'NONE' ? [] : kind === 'CMD' ? args : [...line, ...args],
    intervalMs: ms('Interval'),
    timeoutMs: ms('Timeout'),
    retries: Math.min(Math.max(check.number('Retries') ?? 0, 0), MAX_UINT32),
    startPeriodMs: ms('StartPeriod'),
    startIntervalMs: ms('StartInterval'),
  };
}

/** Rounded up: a short time is not none. */
function boundedMs(ns: number, key: string): number {
  if (ns < 0) throw invalid(`the ${key} of its Healthcheck is negative`);
  return Math.min(Math.ceil(ns / NS_PER_MS), MAX_UINT32);
}

function historyEntry(entry: Fields): HistoryEntry {
  const createdAt = parseTime(entry.text('created'));
  return {
    ...(createdAt === undefined ? {} : { createdAt }),
    createdBy: entry.text('created_by'),
    comment: entry.text('comment'),
    emptyLayer: entry.flag('empty_layer'),
  };
}

function invalid(why: string): Error {
  return invalidArgument(`cannot read config: ${why}`, { reason: 'DOCUMENT_INVALID', metadata: { why } });
}
