/**
 * A procfs of a plan's own, for kernel parameters of namespaces. Each procfs remembers an entry for each network
 * namespace whose parameters were looked up in it, all under one name, and a look goes through all of them: through
 * the host's a start would become slower with each container that runs.
 */
import type { Op, Slot } from './plan.ts';

/** MOUNT_ATTR_NOSUID, NODEV and NOEXEC of mount_setattr(2). */
const ATTRIBUTES = 0x2 | 0x4 | 0x8;
/** Of open(2). */
const O_PATH = 0o10000000;

/** @param tree - slot that has it afterwards, mounted nowhere. @param sys - slot that has its folder `sys`. */
export const ownProcfs = (tree: Slot, sys: Slot): Op[] => [
  { name: 'fs-open', a: tree, s1: 'proc', about: 'make a procfs' },
  { name: 'fs-mount', a: tree, b: tree, x: ATTRIBUTES, about: 'make a mount of it' },
  { name: 'open-in-root', a: sys, b: tree, s1: 'sys', x: O_PATH, about: 'open its kernel parameters' },
];

/** @param path - below `sys`: `net/ipv4/ip_forward`. */
export const setParameter = (sys: Slot, path: string, value: string, about: string): Op => ({
  name: 'write',
  a: sys,
  s1: path,
  s2: value,
  about,
});
