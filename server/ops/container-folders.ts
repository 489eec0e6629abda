/** The folders that a container keeps its changes and its log in. */
import { mkdirSync } from 'node:fs';
import type { ContainerRecord } from '../model/container.ts';
import type { Engine } from './engine.ts';

/** Makes what is missing: at create, and at a start what a power cut has taken since. */
export function makeFolders(engine: Engine, folder: string, { config, layers }: ContainerRecord): void {
  mkdirSync(`${folder}/logs`, { recursive: true, mode: 0o700 });
  if (config.rootfs.kind === 'image') engine.snapshotter.prepare(folder, layers);
}
