/**
 * What happened and cannot be written down now, mostly for want of disk space, is tried again until it can:
 * else a container would stay in a state that it has left, until the next start of the server.
 */
import { setTimeout as sleep } from 'node:timers/promises';
import type { Logger } from '../model/logger.ts';

const FIRST_PAUSE_MS = 100;
const LONGEST_PAUSE_MS = 5000;

/**
 * Does the work now; where that fails, again behind, after ever longer pauses, until it succeeds. The server
 * may end meanwhile.
 * @param what - of the error in the log: `record the end of a run`.
 * @param done - called once it has succeeded.
 * @returns after the first attempt; never rejects.
 */
export async function keepTrying(
  log: Logger,
  what: string,
  container: string,
  work: () => Promise<void>,
  done: () => void = () => undefined,
): Promise<void> {
  try {
    await work();
  } catch (err) {
    log.error({ err, container }, `cannot ${what}; trying again`);
    void again(log, what, container, work).then(done);
    return;
  }
  done();
}

async function again(log: Logger, what: string, container: string, work: () => Promise<void>): Promise<void> {
  for (let pauseMs = FIRST_PAUSE_MS; ; pauseMs = Math.min(2 * pauseMs, LONGEST_PAUSE_MS)) {
    await sleep(pauseMs, undefined, { ref: false });
    try {
      await work();
      log.info({ container }, `${what}: done at last`);
      return;
    } catch (err) {
      log.debug({ err, container }, `cannot ${what}; trying again`);
    }
  }
}
