/** Our log under load, and the proof that nothing of it is lost: a fast log that drops lines would win every race. */
import { setTimeout as sleep } from 'node:timers/promises';
import { LogFormat } from '../../proto/gen/mydocker/v1/tasks.ts';
import type { Contender } from './measure.ts';
import type { Own } from './own.ts';

const LINE_BYTES = 100;

/** Checks lines of `lines.c` as they come: each has the next number and its full length. */
function lineChecker(): { take(bytes: Uint8Array): void; end(lines: number): void } {
  let rest = Buffer.alloc(0);
  let next = 0;
  return {
    take: (bytes) => {
      const all =
        rest.length === 0
          ? Buffer.from(bytes.buffer, bytes.byteOffset, bytes.length)
          : Buffer.concat([rest, bytes]);
      let at = 0;
      for (; at + LINE_BYTES <= all.length; at += LINE_BYTES) {
        const number = Number(all.toString('latin1', at, at + 12));
        if (number !== next || all[at + LINE_BYTES - 1] !== 0x0a) {
          throw new Error(
            `line ${next} of the log is lost or torn: ${all.toString('latin1', at, at + LINE_BYTES)}`,
          );
        }
        next += 1;
      }
      rest = Buffer.from(all.subarray(at));
    },
    end: (lines) => {
      if (next !== lines || rest.length > 0)
        throw new Error(`${next} lines in the log, ${lines} were written`);
    },
  };
}

/** Reads the whole log, following it, with a pause after each piece while `slow()` says so. */
async function readAll(own: Own, container: string, lines: number, slow: () => boolean): Promise<void> {
  const checker = lineChecker();
  for await (const { frame } of own.api.tasks.readTaskLogs({
    container,
    follow: true,
    format: LogFormat.RAW,
  })) {
    if (frame?.$case === 'stdout') checker.take(frame.value);
    if (slow()) await sleep(20);
  }
  checker.end(lines);
}

/** Runs the writer detached until it ends; then reads the log and checks each line. Only the run is timed. */
export function ownLog(own: Own, command: readonly string[], bytes: number): readonly Contender[] {
  const lines = bytes / LINE_BYTES;
  const sample = async (slowly: boolean): Promise<readonly number[]> => {
    const started = performance.now();
    const container = await own.startDetached(command);
    let running = true;
    const reader = slowly ? readAll(own, container, lines, () => running) : undefined;
    await own.api.tasks.waitTask({ container });
    const ms = performance.now() - started;
    running = false;
    await (reader ?? readAll(own, container, lines, () => false));
    await own.remove(container);
    return [ms];
  };
  return [
    { name: 'mydocker API', sample: () => sample(false) },
    { name: 'mydocker API, slow logs -f', sample: () => sample(true) },
  ];
}
