/**
 * The part of the OCI runtime specification that containers are described in (runtime-spec 1.2, config.md,
 * config-linux.md), between a container's configuration and its launch plan.
 */

import type { IdRange } from './id-map.ts';

export interface OciMount {
  readonly destination: string;
  readonly type: string;
  readonly source: string;
  /** As in fstab: `ro`, `nosuid`, `rbind`, and data of the filesystem. */
  readonly options: readonly string[];
  /** With the option `idmap`; absent: owners as on the disk. */
  readonly uidMappings?: readonly IdRange[];
  readonly gidMappings?: readonly IdRange[];
}

export interface OciDevice {
  readonly path: string;
  readonly type: 'c' | 'b';
  readonly major: number;
  readonly minor: number;
  readonly fileMode: number;
  /** Absent: 0. */
  readonly uid?: number;
  readonly gid?: number;
}

export interface OciRlimit {
  readonly type: string;
  readonly soft: bigint;
  readonly hard: bigint;
}

export interface OciUser {
  readonly uid: number;
  readonly gid: number;
  readonly additionalGids: readonly number[];
}

export interface OciProcess {
  readonly terminal: boolean;
  readonly user: OciUser;
  readonly args: readonly string[];
  readonly env: readonly string[];
  readonly cwd: string;
  /** Names without CAP_: bounding, permitted and effective; inheritable and ambient are empty. */
  readonly capabilities: readonly string[];
  readonly rlimits: readonly OciRlimit[];
  readonly noNewPrivileges: boolean;
  /** Absent: the kernel's default, 0. */
  readonly oomScoreAdj?: number;
}

export type OciNamespace = 'pid' | 'network' | 'ipc' | 'uts' | 'mount' | 'cgroup';

export interface OciSpec {
  readonly ociVersion: '1.2.0';
  readonly hostname: string;
  readonly process: OciProcess;
  readonly root: { readonly readonly: boolean };
  readonly mounts: readonly OciMount[];
  readonly linux: {
    readonly namespaces: readonly OciNamespace[];
    readonly cgroupsPath: string;
    readonly devices: readonly OciDevice[];
    readonly maskedPaths: readonly string[];
    readonly readonlyPaths: readonly string[];
    readonly sysctl: Readonly<Record<string, string>>;
    /** How mounts of the host show in the container's namespace before it is cut off: never back. */
    readonly rootfsPropagation: 'rprivate' | 'rslave';
  };
}
