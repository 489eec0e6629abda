/**
 * What it takes to do work on untrusted data in a process of its own: the image store asks for it in these
 * words, whoever launches processes gives it, and neither needs to know the other.
 */

import type { FilesystemMount } from './container.ts';

/** What a worker works in that is mounted nowhere else: it is mounted for the worker, and gone with it. */
export interface WorkerFilesystem {
  readonly mount: FilesystemMount;
  /** Name of the container that is to have it, for errors. */
  readonly container: string;
}

/** A process to be started, confined: no network, no other directories, no more capabilities than named. */
export interface WorkerRequest {
  /** For the log and for error messages: `unpack`, `remove-tree`. */
  readonly name: string;
  /** Program (absolute path) and its arguments. */
  readonly args: readonly string[];
  /** The whole environment. */
  readonly env: Readonly<Record<string, string>>;
  /**
   * Number there → descriptor here. 0, 1 and 2 are /dev/null where they are missing, everything else is
   * closed. Ours are duplicated, the caller closes them once the launch has resolved or thrown.
   */
  readonly fds: Readonly<Record<number, number>>;
  /** Instead of the folder it works in: the top of this. */
  readonly filesystem?: WorkerFilesystem;
  /** Host paths that the program itself needs (its code, its libraries), seen under the same path, read-only. */
  readonly readOnlyBinds: readonly string[];
  /** Capabilities that it keeps, without `CAP_`: `CHOWN`. */
  readonly capabilities: readonly string[];
  /** Hard memory limit in bytes. */
  readonly memoryLimitBytes: bigint;
}

/** How a worker ended. */
export interface WorkerExit {
  /** 0 to 255; 0 when a signal ended it. */
  readonly exitStatus: number;
  /** Number of the signal that ended it; 0 when it exited by itself. */
  readonly signal: number;
  /** Whether its memory limit did it; false also where that cannot be known. */
  readonly oomKilled: boolean;
}

/** A running worker. */
export interface Worker {
  /** Resolves once it is gone, with all its processes; never rejects. */
  readonly exit: Promise<WorkerExit>;
  /** SIGKILL; harmless when it is gone. */
  kill(): void;
}

/** Starts workers. Throws MydockerError when one cannot be started. */
export type LaunchWorker = (request: WorkerRequest) => Promise<Worker>;
