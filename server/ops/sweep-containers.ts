/**
 * What an earlier server left half made or half removed below containers/, found at start: folders that no
 * record names.
 */
import { readdirSync, renameSync } from 'node:fs';
import { failpoint } from '../failpoint.ts';
import { isId } from '../model/ids.ts';
import { discardFolder } from './discard-folder.ts';
import type { Engine } from './engine.ts';

/**
 * Removes them, large ones behind. Nothing that looks like a container is touched while metadata is known to
 * have been lost: then a folder without a record may be the last trace of a container.
 * @returns names of the folders that are removed.
 */
export async function sweepContainers(
  engine: Pick<Engine, 'layers' | 'log' | 'paths' | 'store'>,
): Promise<readonly string[]> {
  await failpoint('recover.sweep');
  const { log, store } = engine;
  const folder = `${engine.paths.root}/containers`;
  const swept: string[] = [];
  for (const name of readdirSync(folder)) {
    const unfinished = /^\.(?:rm|tmp)-/.test(name);
    if (!unfinished && (!isId(name) || store.containers.get(name) !== undefined)) continue;
    if (!unfinished && store.openReport.damaged) {
      log.warn({ container: name }, 'a folder has no container; it is kept, since metadata was lost');
      continue;
    }
    try {
      const away = `${folder}/${unfinished ? name : `.rm-${name}`}`;
      if (!unfinished) renameSync(`${folder}/${name}`, away);
      discardFolder(engine, away);
      swept.push(name);
    } catch (err) {
      log.error({ err, folder: name }, 'a folder that no container has could not be removed');
    }
  }
  return swept;
}
