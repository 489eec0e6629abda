/** One container in full: its record, and where its files are. */
import { readdirSync } from 'node:fs';
import type { ContainerRecord } from '../model/container.ts';
import { type PlaceView, placesOf } from './container-networks.ts';
import { containerFolder, type Engine, layerFolder, snapshotterOf } from './engine.ts';
import { findContainer } from './find-container.ts';
import { isNotResponding } from './not-responding.ts';

/** Absolute paths on the server's host. */
export interface ContainerFiles {
  readonly folder: string;
  /** `''` with a rootfs directory, which is written in place. */
  readonly upperDir: string;
  /** Topmost first. */
  readonly lowerDirs: readonly string[];
  /** The log's file that is written now; `''` before the first start. */
  readonly logFile: string;
}

/** An additional process that runs. */
export interface ExecView {
  readonly runId: string;
  /** 0 until known. */
  readonly pid: number;
  readonly shimPid: number;
}

/** What an inspect shows. */
export interface ContainerDetails {
  readonly record: ContainerRecord;
  readonly files: ContainerFiles;
  /** Its places in networks. */
  readonly places: readonly PlaceView[];
  /** Pid of the shim of the present run; 0: none, or not known. */
  readonly shimPid: number;
  /** Its shim does not answer; what is told of its run is what was last known. */
  readonly notResponding: boolean;
  /** Additional processes that run, oldest first. */
  readonly execs: readonly ExecView[];
}

/**
 * @param container - id, name or unique prefix.
 * @throws MydockerError as findContainer.
 */
export function getContainer(engine: Engine, container: string): ContainerDetails {
  const record = findContainer(engine, container);
  const folder = containerFolder(engine.paths, record.id);
  const fromImage = record.config.rootfs.kind === 'image';
  return {
    record,
    places: placesOf(engine, record),
    files: {
      folder,
      upperDir: fromImage ? snapshotterOf(engine, record.config).ownFolder(folder) : '',
      lowerDirs: record.layers.map((serial) => layerFolder(engine.paths, serial)),
      logFile: newestLog(`${folder}/logs`),
    },
    shimPid: engine.runs.initOf(record.id)?.created?.shimPid ?? 0,
    notResponding: isNotResponding(engine, record),
    execs: engine.runs.execsOf(record.id).map(({ runId, created }) => ({
      runId,
      pid: created?.pid ?? 0,
      shimPid: created?.shimPid ?? 0,
    })),
  };
}

/** Log files are numbered with leading zeros, so the last name is the newest. */
function newestLog(folder: string): string {
  try {
    const newest = readdirSync(folder)
      .filter((name) => name.endsWith('.log'))
      .sort()
      .at(-1);
    return newest === undefined ? '' : `${folder}/${newest}`;
  } catch {
    // Removed meanwhile; there is no log to name any more.
    return '';
  }
}
