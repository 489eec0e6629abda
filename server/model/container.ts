/**
 * What a container and its runs are, as plain values: the shape that the store keeps, the operations
 * change and the API shows. No behaviour lives here but questions about a value.
 */

import type { IdMap } from './id-map.ts';
import type { HealthCheck } from './image.ts';
import type { DnsConfig, Endpoint } from './network.ts';
import type { PublishedPort } from './port.ts';
import type { Resources } from './resources.ts';

/** How mounts of the host show below one of a container's; with `shared` and `rshared` the other way too. */
export type Propagation = 'rprivate' | 'private' | 'rslave' | 'slave' | 'rshared' | 'shared';

/** A file or folder of the host in a container: `-v SRC:DST[:ro]`, `--mount type=bind`. */
export interface BindMount {
  /** Absolute host path; made (as a directory) at start when missing, unless it is required. */
  readonly source: string;
  /** Absolute path inside the container, resolved below the rootfs only. */
  readonly destination: string;
  /** Recursive read-only where true, unless `readOnlyTop`. */
  readonly readOnly: boolean;
  /** Read-only without what is mounted below it. Absent: with it. */
  readonly readOnlyTop?: boolean;
  /** A missing source is an error; absent: it is made. */
  readonly requireSource?: boolean;
  /** Absent: rprivate. */
  readonly propagation?: Propagation;
  /** Without what is mounted below the source; absent: with it. */
  readonly nonRecursive?: boolean;
  /** What is mounted: a path below the source, which leads nowhere else. Absent: the source. */
  readonly subpath?: string;
  /** Whose its files are inside. Absent: as on the disk. */
  readonly idMap?: IdMap;
}

/** A filesystem in memory, empty at each start unless others have it. */
export interface TmpfsMount {
  /** Absolute path inside the container, resolved below the rootfs only. */
  readonly destination: string;
  readonly readOnly: boolean;
  /** Absent: the kernel's default, half of the memory. */
  readonly sizeBytes?: bigint;
  /** Permission bits of its root; absent: 1777. */
  readonly mode?: number;
  /** Further ones, as fstab writes them: `exec`, `uid=1000`, `size=50%`. */
  readonly options: readonly string[];
  /** A volume's, so that it is shared between those who have it at the same time. Absent: the container's own. */
  readonly volume?: string;
  /** A folder in it is mounted, which leads nowhere else. Absent: the whole. */
  readonly subpath?: string;
  /** Of a volume: whose its files are inside. Absent: as they are in memory. */
  readonly idMap?: IdMap;
}

/** A filesystem that a volume says how to mount: of a disk, or of a server. */
export interface FilesystemMount {
  /** Absolute path inside the container, resolved below the rootfs only. */
  readonly destination: string;
  /** As in /proc/filesystems. */
  readonly type: string;
  /** `/dev/sdb1`, `:/export`, `//server/share`. */
  readonly device: string;
  /** As fstab writes them. */
  readonly options: readonly string[];
  /** A folder in it is mounted, which leads nowhere else. Absent: the whole. */
  readonly subpath?: string;
  /** Whose its files are inside. Absent: as on the disk. */
  readonly idMap?: IdMap;
}

/** A line of /etc/hosts. */
export interface HostEntry {
  readonly hostname: string;
  /** `host-gateway`: the host as the container reaches it. */
  readonly address: string;
}

/** A volume of the server's, mounted into a container. */
export interface VolumeMount {
  /** Name of the volume: 64 hex digits for an anonymous one. */
  readonly volume: string;
  /** Somebody chose it by its name, so that it does not go with the container. */
  readonly named?: boolean;
  /** Path inside the volume, relative. Absent: its root. */
  readonly subpath?: string;
  /** Absolute path inside the container, resolved below the rootfs only. */
  readonly destination: string;
  readonly readOnly: boolean;
  /** A volume that is new stays empty, instead of taking what the image has there. */
  readonly noCopy?: boolean;
  /** Whose its files are inside. Absent: as in the volume. */
  readonly idMap?: IdMap;
}

/** How a root filesystem is made from layers. */
export type StorageDriver = 'overlay' | 'vfs';

/** Where the root filesystem comes from. */
export type RootfsSource =
  | { readonly kind: 'image'; readonly imageId: string; readonly reference: string }
  | { readonly kind: 'directory'; readonly path: string };

/** `networks`: an interface for each endpoint of the container's record; `container`: another container's. */
export type NetworkMode = 'none' | 'host' | 'networks' | 'container';

/** A namespace that is not the container's own: the host's, or another container's by its id. */
export type SharedNamespace =
  | { readonly kind: 'host' }
  | { readonly kind: 'container'; readonly container: string };

/** Namespaces that a container shares; what is absent is its own. */
export interface SharedNamespaces {
  readonly pid?: SharedNamespace;
  readonly ipc?: SharedNamespace;
  /** The host's only. */
  readonly uts?: SharedNamespace;
  /** The host's only: its view of the cgroup tree. */
  readonly cgroup?: SharedNamespace;
  /** Another container's, with the network mode `container`. */
  readonly network?: SharedNamespace;
}

/** A limit of setrlimit(2). */
export interface Ulimit {
  /** In lower case: `nofile`. */
  readonly name: string;
  /** In the resource's unit, at most the hard one; -1n: none. */
  readonly soft: bigint;
  readonly hard: bigint;
}

/** Devices of the host inside. */
export interface DeviceMapping {
  /** Absolute; a folder means the devices in it. */
  readonly hostPath: string;
  /** Below /dev. */
  readonly containerPath: string;
  /** Some of `rwm`. */
  readonly access: string;
}

/** When a container that has ended starts again by itself. */
export interface RestartPolicy {
  readonly mode: 'on-failure' | 'always' | 'unless-stopped';
  /** Most starts in a row; 0: without end. */
  readonly maxRetries: number;
}

/** All that decides how a container runs: image defaults and the user's options, merged at create. */
export interface ContainerConfig {
  readonly rootfs: RootfsSource;
  /** argv of the process: entrypoint and command, at least one element. */
  readonly args: readonly string[];
  /** How many of the arguments are the entrypoint's; told, never acted on. Absent: none, or not known. */
  readonly entrypointLength?: number;
  /** `KEY=VALUE`, each key once, PATH always present. */
  readonly env: readonly string[];
  /** Absolute; made in the container when missing. */
  readonly workingDir: string;
  /** `''` (root), `uid`, `name`, `uid:gid` …, resolved inside the image at start. */
  readonly user: string;
  /** Further groups, names or numbers, resolved as the user is. Absent: none. */
  readonly additionalGroups?: readonly string[];
  readonly hostname: string;
  /** Process gets a pseudo terminal. */
  readonly terminal: boolean;
  /** Standard input stays open for clients; else it is /dev/null. */
  readonly openStdin: boolean;
  /** Process 1 is a small init of ours; absent: the program itself is. */
  readonly init?: boolean;
  /** Standard input ends for good when the first client that was attached to it leaves; absent: it does not. */
  readonly stdinOnce?: boolean;
  readonly mounts: readonly BindMount[];
  /** Absent: none. */
  readonly volumes?: readonly VolumeMount[];
  /** `CONTAINER[:ro]`, whose mounts are among these; told, never acted on. Absent: none. */
  readonly volumesFrom?: readonly string[];
  /** Absent: none. */
  readonly tmpfs?: readonly TmpfsMount[];
  /** Size of /dev/shm; absent: 64 MiB. */
  readonly shmSizeBytes?: bigint;
  readonly network: NetworkMode;
  /** Absent: all are its own. */
  readonly namespaces?: SharedNamespaces;
  /** Absent: names are looked up as on the host. */
  readonly dns?: DnsConfig;
  /** Further lines of /etc/hosts. Absent: none. */
  readonly extraHosts?: readonly HostEntry[];
  readonly readOnlyRootfs: boolean;
  readonly resources: Resources;
  /** Absent: those of every container. */
  readonly ulimits?: readonly Ulimit[];
  /** Kernel parameters of its own namespaces: `net.core.somaxconn`. Absent: none. */
  readonly sysctls?: Readonly<Record<string, string>>;
  /** Absent: the usual ones alone. */
  readonly devices?: readonly DeviceMapping[];
  /** All capabilities and devices, nothing masked, kernel parameters and groups writable. Absent: it is not. */
  readonly privileged?: boolean;
  /** -1000 to 1000. Absent: 0. */
  readonly oomScoreAdj?: number;
  /** Absolute, below the mount point of each hierarchy. Absent: the server's own. */
  readonly cgroupParent?: string;
  /** Signal number that `stop` sends first. */
  readonly stopSignal: number;
  /** How long `stop` waits before SIGKILL. */
  readonly stopTimeoutMs: number;
  /** Removed by the server when its process ends. */
  readonly autoRemove: boolean;
  readonly labels: Readonly<Record<string, string>>;
  /** What the service listens on: `80/tcp`, `8000-8009/udp`; told, never acted on by itself. Absent: nothing. */
  readonly exposedPorts?: readonly string[];
  /** Ports of the host that lead to it while it runs. Absent: none. */
  readonly ports?: readonly PublishedPort[];
  /** All of `exposedPorts` are published, too, on ports that are picked. Absent: they are not. */
  readonly publishAll?: boolean;
  /** Kept and told; nothing acts on it yet. Absent: never. */
  readonly restartPolicy?: RestartPolicy;
  /** Kept and told; nothing runs it yet. Absent: none. */
  readonly healthCheck?: HealthCheck;
  /** Absent: overlay, and with a rootfs directory. A container keeps the one that it was made with. */
  readonly storageDriver?: StorageDriver;
}

export type TaskStatus = 'created' | 'starting' | 'running' | 'paused' | 'stopped';

/** How a run ended. */
export interface Exit {
  /** 0 to 255; 128 + signal when signalled. */
  readonly exitStatus: number;
  /** Signal that ended the process; 0 when it exited by itself. */
  readonly signal: number;
  readonly oomKilled: boolean;
  /** ns since epoch. */
  readonly exitedAt: bigint;
  /**
   * `exited`: the process ended; `lost`: its shim is gone without an exit record; `reboot`: the machine
   * restarted meanwhile; `failed`: it never ran, `message` says why.
   */
  readonly reason: 'exited' | 'lost' | 'reboot' | 'failed';
  readonly message: string;
}

/** One start of a container. */
export interface Run {
  /** 16 hex digits, new for each start. */
  readonly runId: string;
  readonly bootId: string;
  /** Host pid of the container's process 1; 0 until known. */
  readonly pid: number;
  /** Start time of that pid in clock ticks since boot (/proc/PID/stat field 22); 0n until known. */
  readonly pidStartTime: bigint;
  /** ns since epoch. */
  readonly startedAt: bigint;
  /** Below the cgroup mount point, begins with `/`: `/mydocker-<instance>/<id>`. */
  readonly cgroupPath: string;
  /** Single published ports, with the host's ports that were picked. Absent: none. */
  readonly ports?: readonly PublishedPort[];
  /** Volumes of memory, and which of the shim's slots holds each. Absent: none. */
  readonly memory?: readonly RunMemory[];
}

/** A volume of memory that a shim keeps. */
export interface RunMemory {
  readonly volume: string;
  /** Slot of the launch plan. */
  readonly slot: number;
}

/** A container as the store keeps it. */
export interface ContainerRecord {
  /** Version of this shape; see store/migrate. */
  readonly v: 1;
  /** Grows by one with each change. */
  readonly rev: bigint;
  /** ns since epoch. */
  readonly createdAt: bigint;
  /** ns since epoch. */
  readonly updatedAt: bigint;
  /** 64 hex digits. */
  readonly id: string;
  readonly name: string;
  readonly config: ContainerConfig;
  /** Serials of the read-only layers, topmost first; empty for a rootfs directory. */
  readonly layers: readonly bigint[];
  /** Places in networks, with the mode `networks`; absent otherwise. */
  readonly endpoints?: readonly Endpoint[];
  readonly status: TaskStatus;
  /** The present run (starting, running) or the last one. */
  readonly run?: Run;
  /** How the last run ended; absent before the first end. */
  readonly exit?: Exit;
}
