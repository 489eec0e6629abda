/**
 * The cgroup that all containers of one server live under: made when the first container needs it, removed
 * with the server when no container is left.
 */
import { existsSync, mkdirSync, readFileSync, renameSync, rmdirSync, rmSync, writeFileSync } from 'node:fs';
import { posix } from 'node:path';
import { cannot } from '../model/error.ts';
import { type CgroupLayout, cgroupFolders, hierarchyOf, SERVER_LEAF } from './layout.ts';
import { listedPids } from './processes.ts';
import { Reservations } from './reservations.ts';

/** Controllers that a container's limits may need, where the machine has them. */
const WANTED_V2 = ['cpu', 'cpuset', 'io', 'memory', 'pids', 'hugetlb'];

const read = (file: string): string => readFileSync(file, 'utf8').trim();

/** A new cpuset is empty and nothing can join it; children of this one copy it instead. */
function openCpuset(mount: string, path: string): void {
  let folder = mount;
  for (const name of path.split('/').slice(1)) {
    const above = folder;
    folder = `${folder}/${name}`;
    for (const file of ['cpuset.cpus', 'cpuset.mems'])
      if (read(`${folder}/${file}`) === '') writeFileSync(`${folder}/${file}`, read(`${above}/${file}`));
  }
  writeFileSync(`${folder}/cgroup.clone_children`, '1');
}

/** Controllers are handed down one level at a time. */
function delegate(mount: string, path: string): void {
  let folder = mount;
  for (const name of path.split('/').slice(1)) {
    const available = read(`${folder}/cgroup.controllers`).split(' ');
    const enabled = read(`${folder}/cgroup.subtree_control`).split(' ');
    const missing = WANTED_V2.filter((c) => available.includes(c) && !enabled.includes(c));
    enable(folder, missing);
    folder = `${folder}/${name}`;
    mkdirSync(folder, { recursive: true });
  }
  const available = read(`${folder}/cgroup.controllers`).split(' ');
  const wanted = WANTED_V2.filter((c) => available.includes(c));
  enable(folder, wanted);
}

/**
 * Only a group without processes of its own hands controllers down; one that was delegated to this server has the
 * server in it, which makes room in a group beside its containers'.
 */
function enable(folder: string, controllers: readonly string[]): void {
  if (controllers.length === 0) return;
  const write = (): void =>
    writeFileSync(`${folder}/cgroup.subtree_control`, controllers.map((c) => `+${c}`).join(' '));
  try {
    write();
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'EBUSY' || !makeRoom(folder)) throw error;
    write();
  }
}

/** Somebody may fork while the list is read. */
const ROUNDS = 10;

/** Moves all of a cgroup2 group that this process is in into one below it. @returns false for another's group. */
export function makeRoom(folder: string): boolean {
  if (!listedPids(folder).includes(process.pid)) return false;
  const leaf = `${folder}/${SERVER_LEAF}`;
  mkdirSync(leaf, { recursive: true });
  for (let round = 0; round < ROUNDS; round += 1) {
    const pids = listedPids(folder);
    if (pids.length === 0) return true;
    for (const pid of pids) {
      try {
        writeFileSync(`${leaf}/cgroup.procs`, String(pid));
      } catch (error) {
        // It has ended.
        if ((error as NodeJS.ErrnoException).code !== 'ESRCH') throw error;
      }
    }
  }
  return true;
}

/**
 * Makes the parent in every hierarchy.
 * @param path - `/mydocker-1a2b3c4d`, below each mount point.
 * @throws the errors of node:fs: EROFS and EACCES where cgroups may not be made.
 */
export function prepareCgroupParent(layout: CgroupLayout, path: string): void {
  for (const { path: mount } of layout.hierarchies) mkdirSync(`${mount}${path}`, { recursive: true });
  const cpuset = hierarchyOf(layout, 'cpuset');
  if (cpuset !== undefined) openCpuset(cpuset, path);
  if (layout.kind === 'v2') delegate(layout.unified, path);
  else if (layout.unified !== undefined) mkdirSync(`${layout.unified}${path}`, { recursive: true });
}

/** Removes the parent where it is empty; a container that still runs keeps its own. */
export function removeCgroupParent(layout: CgroupLayout, path: string): void {
  for (const folder of cgroupFolders(layout, path)) {
    try {
      rmdirSync(folder);
    } catch {
      // Absent, or in use by a container that outlives the server.
    }
  }
}

/** The parents that servers of this state folder have made; noted there, which is gone at a reboot as the groups are. */
export class CgroupParents {
  readonly #layout: CgroupLayout;
  readonly #usual: string;
  readonly #notes: string;
  readonly #prepared = new Set<string>();
  /** Of a parent that was not there, the topmost folder that was made for it. */
  readonly #made = new Map<string, string>();
  readonly #held = new Map<string, number>();
  readonly #reservations: Reservations;

  /** @param notes - file in the state folder. */
  constructor(layout: CgroupLayout, usual: string, notes: string) {
    this.#layout = layout;
    this.#reservations = new Reservations(layout);
    this.#usual = usual;
    this.#notes = notes;
    if (!existsSync(notes)) return;
    for (const [parent, top] of JSON.parse(readFileSync(notes, 'utf8')) as [string, string][])
      this.#made.set(parent, top);
  }

  #note(): void {
    if (this.#made.size === 0) rmSync(this.#notes, { force: true });
    else {
      // Whole or not at all, whenever the server dies.
      writeFileSync(`${this.#notes}.new`, JSON.stringify([...this.#made]), { mode: 0o600 });
      renameSync(`${this.#notes}.new`, this.#notes);
    }
  }

  /** Whether nobody has removed it since, or a part of it: systemd on v1 sweeps empty groups away, here and there. */
  #isThere(parent: string): boolean {
    return cgroupFolders(this.#layout, parent).every((path) => existsSync(path));
  }

  /** @throws MydockerError `failed-precondition` where it cannot be made. */
  prepare(parent: string = this.#usual): void {
    if (this.#prepared.has(parent) && this.#isThere(parent)) return;
    const top = parent === this.#usual ? undefined : missingTop(this.#layout, parent);
    if (top !== undefined) {
      this.#made.set(parent, top);
      this.#note();
    }
    try {
      prepareCgroupParent(this.#layout, parent);
    } catch (error) {
      this.release(parent);
      const { code = String(error) } = error as NodeJS.ErrnoException;
      throw cannot('failed-precondition', 'make', 'cgroup', parent, `the kernel says ${code}`, {
        reason: 'CGROUP_PARENT_UNUSABLE',
        hint:
          code === 'EBUSY' || code === 'EOPNOTSUPP'
            ? 'on cgroup v2 a group with processes of its own has no groups below it: name another parent'
            : 'the server must be able to write to /sys/fs/cgroup',
        cause: error,
      });
    }
    this.#prepared.add(parent);
  }

  /**
   * Somebody is about to make a group below a parent: it is not removed in between.
   * @param parent - undefined: the server's own.
   */
  hold(parent: string | undefined): Disposable {
    if (parent === undefined) return { [Symbol.dispose]: () => undefined };
    this.#held.set(parent, (this.#held.get(parent) ?? 0) + 1);
    return {
      [Symbol.dispose]: () => {
        const left = (this.#held.get(parent) ?? 1) - 1;
        if (left > 0) this.#held.set(parent, left);
        else this.#held.delete(parent);
        // Where nothing came of it.
        this.release(parent);
      },
    };
  }

  /**
   * Reserves above a container's group what it does; in those that were made here, or whose name is ours.
   * @param isOver - the group is gone.
   * @throws the errors of node:fs.
   */
  reserve(group: string, isOver: boolean): void {
    const parent = posix.dirname(group);
    const top = parent === this.#usual ? parent : this.#made.get(parent);
    if (top === undefined) return;
    if (isOver) this.#reservations.forget(group, top);
    else this.#reservations.note(group, top);
  }

  /** What was there before stays, and what others use. */
  release(parent: string): void {
    const top = this.#made.get(parent);
    if (top === undefined || this.#held.has(parent)) return;
    for (let path = parent; path.startsWith(top) && path !== ''; path = path.slice(0, path.lastIndexOf('/')))
      removeCgroupParent(this.#layout, path);
    if (cgroupFolders(this.#layout, top).some((path) => existsSync(path))) return;
    this.#made.delete(parent);
    this.#note();
    this.#prepared.delete(parent);
  }
}

/** Undefined where all of it is there. */
function missingTop(layout: CgroupLayout, parent: string): string | undefined {
  const names = parent.split('/').slice(1);
  for (let depth = 1; depth <= names.length; depth += 1) {
    const path = `/${names.slice(0, depth).join('/')}`;
    if (!cgroupFolders(layout, path).some((folder) => existsSync(folder))) return path;
  }
  return undefined;
}
