/** Traffic of a process's network namespace, out of procfs: nobody has to enter it. */
import { readFileSync } from 'node:fs';

/** Counters of one interface since it is there. */
export interface InterfaceTraffic {
  readonly name: string;
  readonly rxBytes: number;
  readonly rxPackets: number;
  readonly rxErrors: number;
  readonly rxDropped: number;
  readonly txBytes: number;
  readonly txPackets: number;
  readonly txErrors: number;
  readonly txDropped: number;
}

/** @returns every interface but the loopback; none where the process is gone. */
export function interfaceTraffic(pid: number): InterfaceTraffic[] {
  let text: string;
  try {
    text = readFileSync(`/proc/${pid}/net/dev`, 'latin1');
  } catch {
    return [];
  }
  // Two lines of heading; columns of proc_pid_net_dev(5).
  return text
    .split('\n')
    .slice(2)
    .flatMap((line) => {
      const cut = line.indexOf(':');
      const name = line.slice(0, cut).trim();
      if (cut < 0 || name === 'lo') return [];
      const [rxBytes = 0, rxPackets = 0, rxErrors = 0, rxDropped = 0, , , , , ...sent] = line
        .slice(cut + 1)
        .trim()
        .split(/\s+/)
        .map(Number);
      const [txBytes = 0, txPackets = 0, txErrors = 0, txDropped = 0] = sent;
      return [{ name, rxBytes, rxPackets, rxErrors, rxDropped, txBytes, txPackets, txErrors, txDropped }];
    });
}
