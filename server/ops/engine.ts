/**
 * What every operation works with: built once by main.ts, handed to each operation as its first argument.
 */
import type { CgroupLayout } from '../cgroup/layout.ts';
import type { BlobStore } from '../image/blob-store.ts';
import type { Ingest } from '../image/ingest.ts';
import type { LayerStore } from '../image/layer-store.ts';
import type { CopyTree, FillTree } from '../image/tree-copier.ts';
import type { ContainerConfig, StorageDriver } from '../model/container.ts';
import type { Logger } from '../model/logger.ts';
import type { NetworkRecord } from '../model/network.ts';
import type { RegistryLimits } from '../model/registry.ts';
import { scopeGroup } from '../model/unit.ts';
import type { HostRules } from '../network/host-state.ts';
import type { Resolver } from '../network/resolver.ts';
import type { Downloads } from '../registry/downloads.ts';
import type { RegistryAccess } from '../registry/registries.ts';
import type { Storage } from '../snapshot/drivers.ts';
import type { Snapshotter } from '../snapshot/snapshotter.ts';
import type { HostFacts } from '../spec/defaults.ts';
import type { Store } from '../store/store.ts';
import type { Units } from '../systemd/units.ts';
import type { Launchers } from '../task/launchers.ts';
import type { Runs } from '../task/runs.ts';
import type { Zygote } from '../task/zygote.ts';
import type { HeldAddresses } from './container-places.ts';
import type { FirstCopies } from './first-copies.ts';
import type { Garbage } from './garbage.ts';
import type { HeldVolumes } from './held-volumes.ts';
import type { MemoryVolumes } from './memory-volumes.ts';
import type { ObjectQueues } from './object-queues.ts';
import type { PortRegistry } from './port-registry.ts';
import type { PrepareNetwork } from './prepare-network.ts';

/** Folders and files of one server. */
export interface Paths {
  /** Durable: `/var/lib/mydocker`. */
  readonly root: string;
  /** Gone at reboot: `/run/mydocker`. */
  readonly state: string;
}

/** How the server was started, as far as operations care. */
export interface EngineConfig {
  readonly version: string;
  /** Log files kept per container besides the one being written. */
  readonly logMaxFiles: number;
  /** Size at which a log goes on in the next file. */
  readonly logMaxBytes: bigint;
}

export interface Engine {
  readonly config: EngineConfig;
  readonly paths: Paths;
  readonly log: Logger;
  readonly store: Store;
  readonly snapshotters: Readonly<Record<StorageDriver, Snapshotter>>;
  readonly storage: Storage;
  readonly layers: LayerStore;
  readonly copyTree: CopyTree;
  readonly fillTree: FillTree;
  readonly blobs: BlobStore;
  readonly ingest: Ingest;
  readonly registries: RegistryAccess;
  readonly registryLimits: RegistryLimits;
  /** Layers on their way here. */
  readonly downloads: Downloads;
  /** Takes away layers and blobs that nothing needs any more. */
  readonly garbage: Garbage;
  readonly zygote: Zygote;
  /** What has been started ahead for the next starts. */
  readonly launchers: Launchers;
  /** Runs that are alive, by container and run id, with their shims. */
  readonly runs: Runs;
  /** What starts copy before there is a run. */
  readonly firstCopies: FirstCopies;
  /** One writer per container, network, image and volume. */
  readonly queues: ObjectQueues;
  /** Volumes that are about to be used. */
  readonly heldVolumes: HeldVolumes;
  /** Volumes of memory that starts have open. */
  readonly memory: MemoryVolumes;
  readonly cgroups: {
    readonly layout: CgroupLayout;
    /** `/mydocker-<instance>`; with systemd the path of a slice. */
    readonly parent: string;
    /** Below which workers have their groups and limits are tried; with systemd it is not below `parent`. */
    readonly helpers: string;
    /** What makes a container's group, where that is systemd; absent: plain folders do. */
    readonly systemd?: Units;
    /** Makes the parent of the helpers, or another one; again and again costs nothing. */
    readonly prepare: (parent?: string) => void;
    /** Keeps another parent from going while a group is made below it; undefined: the server's own. */
    readonly hold: (parent: string | undefined) => Disposable;
    /** Reserves above a container's group, as far as this server made that, what it does, or did: memory, on cgroup v2. */
    readonly reserve: (group: string, isOver: boolean) => void;
    /** Removes a parent that it made and that no container lives under any more. */
    readonly release: (parent: string) => void;
    /** Says that a process is about to join a group: what is slow about it begins now. */
    readonly warmJoins: () => void;
  };
  readonly networks: {
    /** The server has the default root, so the first names and subnets are its own. */
    readonly isDefaultRoot: boolean;
    /** Name of the default network and of its bridge: `mydocker0`. */
    readonly defaultBridge: string;
    /** Subnets of networks that ask for none are taken out of these: CIDR. */
    readonly pools: readonly string[];
    /** Addresses that records to come will have. */
    readonly held: HeldAddresses;
    /** Who has which port of the host. */
    readonly ports: PortRegistry;
    /** The table of rules. */
    readonly rules: HostRules;
    /** Answers containers that ask for names. */
    readonly resolver: Resolver;
    /** Makes sure that a network's bridge and rules are on the host. */
    readonly prepare: PrepareNetwork;
    /** Takes them away. */
    readonly forget: (network: NetworkRecord) => Promise<void>;
  };
  readonly host: HostFacts;
  /** Descriptor of the loaded device program; undefined where cgroup v1 keeps the rules. */
  readonly deviceProgram?: number;
  readonly bootId: string;
  /** 8 hex digits of the root's hash: keeps servers with different roots apart. */
  readonly instance: string;
}

/** The storage driver that a container was made with; one without a choice is older than the choice. */
export const snapshotterOf = (
  { snapshotters }: Pick<Engine, 'snapshotters'>,
  { storageDriver = 'overlay' }: Pick<ContainerConfig, 'storageDriver'>,
): Snapshotter => snapshotters[storageDriver];

export const containerFolder = (paths: Paths, id: string): string => `${paths.root}/containers/${id}`;
/** Of a container: the group of its next run. */
export const cgroupPathOf = (
  { cgroups }: Pick<Engine, 'cgroups'>,
  { id, config }: { readonly id: string; readonly config: Pick<ContainerConfig, 'cgroupParent'> },
): string =>
  `${config.cgroupParent ?? cgroups.parent}/${cgroups.systemd === undefined ? id : scopeGroup(id)}`;
/**
 * A group in which to try limits: beside the container's, or, where a slice is nobody's to put things into, with the
 * helpers.
 */
export const trialGroup = (
  { cgroups }: Pick<Engine, 'cgroups'>,
  { id, config }: { readonly id: string; readonly config: Pick<ContainerConfig, 'cgroupParent'> },
): { readonly parent: string | undefined; readonly path: string } => {
  const parent = cgroups.systemd === undefined ? config.cgroupParent : undefined;
  return { parent, path: `${parent ?? cgroups.helpers}/${id}` };
};
export const layerFolder = (paths: Paths, serial: bigint): string => `${paths.root}/layers/${serial}`;
export const shimsFolder = (paths: Paths): string => `${paths.state}/shims`;
export const runFolder = (paths: Paths, runId: string): string => `${shimsFolder(paths)}/${runId}`;
/** What ps shows for a shim that waits for a container. */
export const launcherTitle = (paths: Paths): string => `mydocker-launcher ${paths.state}`;
/** What ps shows for the zygote. */
export const zygoteTitle = (paths: Paths): string => `mydocker-zygote ${paths.state}`;
