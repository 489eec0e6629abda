/**
 * Namespaces that live by a descriptor alone. A process makes one and waits in it; once the server has it open the
 * process goes.
 */
import { closeSync } from 'node:fs';
import { makePipe } from '../../native/pipe.ts';
import { openOfProcess } from './held-process.ts';
import { ShimGone } from './shim-error.ts';
import type { Zygote } from './zygote.ts';

/**
 * @param plan - encoded; its process waits at a gate in slot 0.
 * @param kind - as below /proc/PID/ns.
 * @param prepare - what is done to it before it is opened.
 * @returns a descriptor, the caller's to close.
 * @throws LaunchFailure for the step that failed; ShimGone; MydockerError `unavailable`.
 */
export async function takeNamespace(
  zygote: Pick<Zygote, 'launch'>,
  plan: Uint8Array,
  kind: 'mnt' | 'user',
  prepare?: (pid: number) => void,
): Promise<number> {
  const gate = makePipe();
  try {
    const connection = zygote.launch(plan, [gate.read]);
    try {
      const { pid, pidStartTime } = await connection.created;
      prepare?.(pid);
      const descriptor = openOfProcess(pid, pidStartTime, `ns/${kind}`);
      if (descriptor === undefined) throw new ShimGone(false);
      return descriptor;
    } finally {
      // Never committed: the end of the connection is its end.
      await connection.giveUp();
    }
  } finally {
    closeSync(gate.read);
    closeSync(gate.write);
  }
}
