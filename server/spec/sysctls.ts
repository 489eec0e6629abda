/** Kernel parameters that belong to a container: which namespace each is part of, and where it is written. */

/** Of the IPC namespace, beside fs.mqueue. */
const IPC = new Set([
  'kernel.msgmax',
  'kernel.msgmnb',
  'kernel.msgmni',
  'kernel.sem',
  'kernel.shmall',
  'kernel.shmmax',
  'kernel.shmmni',
  'kernel.shm_rmid_forced',
]);

/** Names of an interface may have dots, so where slashes come first they alone are the separators: sysctl(8). */
export function sysctlParts(name: string): string[] {
  const dot = name.indexOf('.');
  const slash = name.indexOf('/');
  if (slash < 0 || (dot >= 0 && dot < slash)) return name.split('.').map((part) => part.replaceAll('/', '.'));
  return name.split('/');
}

/** Absolute path of its file. */
export const sysctlPath = (name: string): string => `/proc/sys/${sysctlParts(name).join('/')}`;

/** The namespace that it is part of; undefined: the whole machine's, or nothing that can be a parameter. */
export function sysctlNamespace(name: string): 'network' | 'ipc' | undefined {
  const parts = sysctlParts(name);
  if (!parts.every((part) => /^(?!\.{1,2}$)[\w.@:-]+$/.test(part))) return undefined;
  if (parts[0] === 'net' && parts.length > 2) return 'network';
  if (parts[0] === 'fs' && parts[1] === 'mqueue' && parts.length === 3) return 'ipc';
  return IPC.has(parts.join('.')) ? 'ipc' : undefined;
}

/** It is there once the container has its interfaces. */
export const isOfInterface = (name: string): boolean =>
  /^net\/(?:ipv4|ipv6|mpls)\/(?:conf|neigh)\/(?!all\/|default\/)/.test(sysctlParts(name).join('/'));
