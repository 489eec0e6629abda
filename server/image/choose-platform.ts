/**
 * Which of several images for different platforms is taken: the one made for the machine, or else the one
 * made for the nearest older model of it. Go's words throughout.
 */
import { quoteId } from '../model/error.ts';
import { hostArchitecture } from './image-config.ts';

/** What an image is made for. */
export interface Platform {
  readonly os: string;
  /** `amd64`, `arm64` */
  readonly architecture: string;
  /** `v7`, or `''`. */
  readonly variant: string;
}

/** What a processor also runs, best first; a variant that is not named is the first of its kind. */
const ALSO: Readonly<Record<string, readonly string[]>> = {
  amd64: ['amd64/v1', '386'],
  'amd64/v2': ['amd64/v1', '386'],
  'amd64/v3': ['amd64/v2', 'amd64/v1', '386'],
  'amd64/v4': ['amd64/v3', 'amd64/v2', 'amd64/v1', '386'],
  arm64: ['arm64/v8', 'arm/v8', 'arm/v7', 'arm/v6', 'arm/v5'],
  arm: ['arm/v7', 'arm/v6', 'arm/v5'],
  'arm/v8': ['arm/v7', 'arm/v6', 'arm/v5'],
  'arm/v7': ['arm/v6', 'arm/v5'],
  'arm/v6': ['arm/v5'],
};

/** Names of the same thing. */
const SAME: Readonly<Record<string, string>> = {
  x86_64: 'amd64',
  'amd64/v1': 'amd64',
  aarch64: 'arm64',
  'arm64/v8': 'arm64',
  'arm/v7': 'arm',
  armhf: 'arm',
  armel: 'arm/v6',
  i386: '386',
};

/** The platform of this machine. */
export function hostPlatform(): Platform {
  return { os: 'linux', architecture: hostArchitecture(), variant: '' };
}

/** `linux/arm64/v8` */
export function platformText({ os, architecture, variant }: Platform): string {
  return quoteId([os, architecture, ...(variant === '' ? [] : [variant])].join('/'));
}

/**
 * How well an image fits.
 * @returns 0 for exactly what is wanted, more for what also runs, undefined for what does not.
 */
export function platformRank(wanted: Platform, offered: Platform): number | undefined {
  if (offered.os !== wanted.os) return undefined;
  const asked = modelOf(wanted);
  const has = modelOf(offered);
  if (asked === has) return 0;
  const place = (ALSO[asked] ?? []).map(canonical).indexOf(has);
  return place < 0 ? undefined : place + 1;
}

function modelOf({ architecture, variant }: Platform): string {
  const base = canonical(architecture);
  return canonical(variant === '' || base.includes('/') ? base : `${base}/${variant}`);
}

function canonical(model: string): string {
  return SAME[model] ?? model;
}
