/**
 * What is said to systemd about a unit: properties by name, each with its D-Bus type, because two that look alike here
 * are different there.
 */

/** A value as D-Bus has them; `t` and `x` are bigints, structures are lists, a variant says its own type. */
export type BusValue = string | number | bigint | boolean | readonly BusValue[] | BusVariant;

/** A value with its type. */
export interface BusVariant {
  /** D-Bus signature of one complete type: `t`, `a(ss)`. */
  readonly signature: string;
  readonly value: BusValue;
}

/** One property of a unit. */
export interface UnitProperty extends BusVariant {
  /** As D-Bus has it, not the unit file: `CPUQuotaPerSecUSec`. */
  readonly name: string;
}

/** `infinity` of limits and times. */
export const UNLIMITED: bigint = 2n ** 64n - 1n;

/** Name of the unit that a container runs in. */
export const scopeName = (id: string): string => `mydocker-${id}.scope`;

/**
 * The container's own group, below its slice: one level below its unit's, where what keeps the unit is not counted, and
 * which systemd never writes to.
 */
export const scopeGroup = (id: string): string => `${scopeName(id)}/container`;

/** The unit of the container that has this group; undefined for one that is no unit's. */
export const scopeOfGroup = (path: string): string | undefined =>
  /\/(mydocker-[^/]+\.scope)\/container$/.exec(path)?.[1];

/** The container whose unit this is. */
export const scopeOwner = (name: string): string | undefined => /^mydocker-([^/]+)\.scope$/.exec(name)?.[1];

/**
 * Where systemd puts a slice: each dash of its name is a level.
 * @param slice - `a-b.slice`; `-.slice` is the root.
 * @returns `/a.slice/a-b.slice`, `''` for the root; undefined for what is no name of a slice.
 * Source: systemd.slice(5).
 */
export function slicePath(slice: string): string | undefined {
  if (slice === '-.slice') return '';
  const stem = /^([\w.:@\\]+(?:-[\w.:@\\]+)*)\.slice$/.exec(slice)?.[1];
  if (stem === undefined || slice.length > 255) return undefined;
  const parts = stem.split('-');
  return parts.map((_, index) => `/${parts.slice(0, index + 1).join('-')}.slice`).join('');
}

/** Path of the slice for the containers of one server. @param instance - its key. */
export const ownSlice = (instance: string): string => `/mydocker.slice/mydocker-${instance}.slice`;

/** The slice that a path is of; undefined for a path that systemd would not have made. */
export function sliceOf(path: string): string | undefined {
  const slice = path === '' ? '-.slice' : path.slice(path.lastIndexOf('/') + 1);
  return slicePath(slice) === path ? slice : undefined;
}
