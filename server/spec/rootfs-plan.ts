/**
 * The container's tree of mounts, as operations of the child. All of it is mounted in the child's own mount
 * namespace: when the process is gone, the mounts are. Every target below the root is opened inside the root
 * and used by descriptor.
 */
import { constants } from 'node:fs';
import type { OciDevice, OciMount, OciSpec } from '../model/oci-spec.ts';
import type { Op, Slot, SlotAllocator } from '../model/plan.ts';
import { slotPath } from '../model/plan.ts';
import { bindMount, type MountSlots } from './bind-mount.ts';
import type { CgroupMount } from './cgroup-view.ts';
import { DEV_SYMLINKS } from './defaults.ts';
import { isFilesystem } from './filesystems.ts';
import { MOUNT_ATTR_RDONLY, MS_PRIVATE, splitMountOptions } from './mount-options.ts';
import {
  ANY,
  bind,
  FOLDER,
  mkdirs,
  mknod,
  mount,
  O,
  open,
  openInRoot,
  symlink,
  touch,
  writeSlot,
} from './ops.ts';
import type { SharedTrees } from './shared-trees.ts';
import { sourceKey, subdirOf } from './spec-mounts.ts';

const { S_IFBLK, S_IFCHR } = constants;

/** Where the root filesystem comes from. */
export type Rootfs =
  | {
      readonly kind: 'overlay';
      /** Topmost first. */
      readonly lowerDirs: readonly string[];
      readonly upperDir: string;
      readonly workDir: string;
      readonly options: string;
    }
  | { readonly kind: 'directory'; readonly path: string };

/** What the tree is made of, beside the spec. */
export interface RootfsParts {
  readonly rootfs: Rootfs;
  /** Empty host folders to mount on, seen by nobody else. */
  readonly mountPoint: string;
  readonly filesPoint: string;
  /** What comes onto /proc, mounted nowhere yet. */
  readonly procfs: Slot;
  /** Files of /etc that the server writes: name and content. */
  readonly etcFiles: readonly (readonly [name: string, content: string])[];
  /** Which bind sources are files, by their keys; all others are folders. */
  readonly fileSources: ReadonlySet<string>;
  /** What is shared with the host, taken before. Default nothing. */
  readonly sharedTrees?: SharedTrees;
  /** User namespaces of mounts whose owners are mapped, by destination. Default none. */
  readonly maps?: ReadonlyMap<string, Slot>;
  /** What comes onto /dev/shm instead of one of its own. Default nothing. */
  readonly mountShm?: (root: Slot) => readonly Op[];
  /** Empty on v2, where there is one hierarchy. */
  readonly cgroupMounts: readonly CgroupMount[];
}

/** As a bind's folder: the image may have a link there, which stays below the root. */
const FOLLOWED_FOLDER = O.path | O.directory;
const MAX_LAYERS_HINT = 'too many layers';

/** Device number as makedev(3) makes it, for what fits into the kernel's 32 bits. */
const makedev = (major: number, minor: number): bigint =>
  (BigInt(major) << 8n) | BigInt(minor & 0xff) | (BigInt(minor & ~0xff) << 12n);
const inside = (path: string): string => path.replace(/^\/+/, '');

function overlay(rootfs: Extract<Rootfs, { kind: 'overlay' }>, mountPoint: Slot, slots: SlotAllocator): Op[] {
  const opened: Op[] = [];
  const bySlot = (path: string): string => {
    const slot = slots.take();
    opened.push(open(slot, path, O.path | O.directory));
    return slotPath(slot);
  };
  const lower = rootfs.lowerDirs.map(bySlot).join(':');
  const data = `lowerdir=${lower},upperdir=${bySlot(rootfs.upperDir)},workdir=${bySlot(rootfs.workDir)},${rootfs.options}`;
  // mount(2) copies one page of options; descriptors keep 127 layers below it whatever their paths are.
  if (data.length > 4095)
    throw new RangeError(`${MAX_LAYERS_HINT}: the overlay options have ${data.length} bytes`);
  return [...opened, mount(mountPoint, 'overlay', 'overlay', 0, data, '/ (overlay)')];
}

/** The root filesystem in its place, opened as `root`. */
function rootMount(parts: RootfsParts, root: Slot, slots: SlotAllocator): Op[] {
  const { rootfs, mountPoint } = parts;
  const at = slots.take();
  const first = open(at, mountPoint, O.path | O.directory);
  const last = open(root, mountPoint, O.path | O.directory);
  if (rootfs.kind === 'overlay') return [first, ...overlay(rootfs, at, slots), last];
  const source = slots.take();
  return [first, open(source, rootfs.path, O.path | O.directory), bind(at, source, 0, true, '/'), last];
}

/** A filesystem of the kernel: proc, tmpfs, devpts, mqueue, sysfs. @param tree - it, where it is made already. */
function kernelMount(m: OciMount, root: Slot, target: Slot, how = FOLDER, tree?: Slot): Op[] {
  const path = inside(m.destination);
  const { flags, data } = splitMountOptions(m.options);
  return [
    ...mkdirs(root, path),
    openInRoot(target, root, path, how),
    tree === undefined
      ? mount(target, m.type, m.source, flags, data, m.destination)
      : { name: 'place', a: target, b: tree, about: `mount ${m.destination}` },
  ];
}

function deviceNode(d: OciDevice, dev: Slot, target: Slot): Op[] {
  const path = inside(d.path).slice('dev/'.length);
  const type = d.type === 'b' ? S_IFBLK : S_IFCHR;
  const { uid = 0, gid = 0 } = d;
  const owner: Op = { name: 'fchown', a: target, x: uid, y: gid, about: `give ${d.path} to its owner` };
  return [
    ...mkdirs(dev, path.slice(0, Math.max(path.lastIndexOf('/'), 0))),
    mknod(dev, path, type | d.fileMode, makedev(d.major, d.minor)),
    ...(uid === 0 && gid === 0 ? [] : [openInRoot(target, dev, path, ANY), owner]),
  ];
}

function devices(spec: OciSpec, root: Slot, dev: Slot, target: Slot): Op[] {
  return [
    openInRoot(dev, root, 'dev', FOLDER),
    ...spec.linux.devices.flatMap((d) => deviceNode(d, dev, target)),
    ...DEV_SYMLINKS.map(([name, target]) => symlink(dev, name, target)),
  ];
}

/** What the user mounts, parents first. */
function userMounts(
  spec: OciSpec,
  mounts: readonly OciMount[],
  fileSources: ReadonlySet<string>,
  slots: MountSlots,
): Op[] {
  return mounts.flatMap((m) => {
    if (m.type !== 'bind' && !isFilesystem(m) && !slots.trees.has(m.destination)) {
      const open = { ...m, options: m.options.filter((option) => option !== 'ro') };
      return kernelMount(open, slots.root, slots.target, FOLLOWED_FOLDER);
    }
    const isSlave = m.options.includes('rslave') || m.options.includes('slave');
    const propagation = spec.linux.rootfsPropagation === 'rslave' && !isSlave ? MS_PRIVATE : 0;
    return bindMount(m, propagation, slots, fileSources.has(sourceKey(m.source, subdirOf(m))));
  });
}

/** Empty file systems of the user's: closed once everything that lies on them has its place. */
const closeEmpty = (mounts: readonly OciMount[], { root, target }: MountSlots): Op[] =>
  mounts
    .filter((m) => m.type !== 'bind' && !isFilesystem(m) && m.options.includes('ro'))
    .flatMap(({ destination }) => [
      openInRoot(target, root, inside(destination), FOLLOWED_FOLDER),
      { name: 'setattr', a: target, x: MOUNT_ATTR_RDONLY, about: `make ${destination} read-only` },
    ]);

/**
 * /etc/hosts and its like: on a small tmpfs of the container's own, so that what the container appends to
 * them is bounded, and bound over what is there, the user's own /etc too.
 * @param given - what the user mounts, whose files stay.
 */
function etcFiles(
  parts: RootfsParts,
  given: readonly OciMount[],
  root: Slot,
  target: Slot,
  slots: SlotAllocator,
): Op[] {
  const folder = slots.take();
  const file = slots.take();
  const taken = new Set(given.map(({ destination }) => destination));
  return [
    open(folder, parts.filesPoint, O.path | O.directory),
    mount(folder, 'tmpfs', 'tmpfs', 0x2 | 0x4 | 0x8, 'mode=755,size=1024k', 'the files of /etc'),
    open(folder, parts.filesPoint, O.path | O.directory),
    ...parts.etcFiles
      .filter(([name]) => !taken.has(`/etc/${name}`))
      .flatMap(([name, content]) => [
        openInRoot(file, folder, name, O.wronly | O.creat | O.excl, 0o644),
        writeSlot(file, content, `write /etc/${name}`),
        openInRoot(file, folder, name, ANY),
        ...touch(root, `etc/${name}`),
        openInRoot(target, root, `etc/${name}`, ANY),
        bind(target, file, 0, false, `/etc/${name}`),
      ]),
  ];
}

/** Files under the container's /dev/null, folders under one empty read-only tmpfs. */
function maskedPaths(
  spec: OciSpec,
  folders: ReadonlySet<string>,
  root: Slot,
  dev: Slot,
  slots: SlotAllocator,
): Op[] {
  const target = slots.take();
  const cover = slots.take();
  const nothing = slots.take();
  const ops: Op[] = [openInRoot(cover, dev, 'null', ANY)];
  let covered = false;
  for (const path of spec.linux.maskedPaths) {
    const about = `${path} (masked)`;
    const isFolder = folders.has(path);
    ops.push(openInRoot(target, root, inside(path), isFolder ? FOLDER : ANY));
    if (!isFolder) ops.push(bind(target, cover, 0, false, about));
    else if (covered) ops.push(bind(target, nothing, 0, false, about));
    else {
      ops.push(mount(target, 'tmpfs', 'tmpfs', 0x1 | 0x2 | 0x4 | 0x8, 'nr_blocks=1,nr_inodes=2', about));
      ops.push(openInRoot(nothing, root, inside(path), FOLDER));
      covered = true;
    }
  }
  return ops;
}

function readonlyPaths(spec: OciSpec, root: Slot, slots: SlotAllocator): Op[] {
  const target = slots.take();
  return spec.linux.readonlyPaths.flatMap((path) => [
    openInRoot(target, root, inside(path), ANY),
    bind(target, target, MOUNT_ATTR_RDONLY, true, `${path} (read-only)`),
  ]);
}

/**
 * Everything up to the cgroup view.
 * @param root - slot that holds the container's root afterwards.
 * @param dev - slot that holds its /dev.
 * @param maskedFolders - which masked paths are folders.
 */
export function planRootfs(
  spec: OciSpec,
  parts: RootfsParts,
  maskedFolders: ReadonlySet<string>,
  slots: SlotAllocator,
  root: Slot,
  dev: Slot,
): Op[] {
  const target = slots.take();
  const source = slots.take();
  const mountSlots = {
    root,
    target,
    source,
    trees: parts.sharedTrees ?? new Map(),
    maps: parts.maps ?? new Map(),
  };
  // The cgroup view is the last of the default mounts; what the user mounts comes behind it.
  const cgroupAt = spec.mounts.findIndex(({ type }) => type === 'cgroup');
  const kernel = spec.mounts.slice(0, cgroupAt);
  const given = spec.mounts.slice(cgroupAt + 1);
  return [
    ...rootMount(parts, root, slots),
    ...kernel.flatMap((m) => {
      const made = m.type === 'proc' ? parts.procfs : undefined;
      const ops =
        m.type === 'bind' ? bindMount(m, 0, mountSlots, false) : kernelMount(m, root, target, FOLDER, made);
      // The nodes go into /dev before anything below it is mounted.
      return m.destination === '/dev' ? [...ops, ...devices(spec, root, dev, target)] : ops;
    }),
    ...(parts.mountShm?.(root) ?? []),
    ...userMounts(spec, given, parts.fileSources, mountSlots),
    // Onto an /etc of the user's, as with Docker.
    ...etcFiles(parts, given, root, target, slots),
    ...closeEmpty(given, mountSlots),
    ...maskedPaths(spec, maskedFolders, root, dev, slots),
    ...readonlyPaths(spec, root, slots),
  ];
}
