/** What containers use, on the wire. */
import type { TaskStats, Pressure as WirePressure } from '../../proto/gen/mydocker/v1/tasks.ts';
import type { Pressure } from '../model/usage.ts';
import type { TaskUsage } from '../ops/watch-stats.ts';
import { toTimestamp } from './timestamp.ts';

const count = (value: number): bigint => BigInt(Math.round(value));

export function encodeStats({
  record,
  readAt,
  usage,
  cpuPercent,
  onlineCpus,
  interfaces,
}: TaskUsage): TaskStats {
  const { cpu, memory, io, pressure } = usage;
  const { memoryLimitBytes = 0n, pidsMax = 0n } = record.config.resources;
  return {
    containerId: record.id,
    name: record.name,
    runId: record.run?.runId ?? '',
    readAt: toTimestamp(readAt),
    cpu: {
      usageNs: count(cpu.userNs + cpu.systemNs),
      userNs: count(cpu.userNs),
      systemNs: count(cpu.systemNs),
      percent: cpuPercent,
      onlineCpus,
      periods: count(cpu.periods),
      throttledPeriods: count(cpu.throttledPeriods),
      throttledNs: count(cpu.throttledNs),
    },
    memory: {
      usageBytes: count(Math.max(memory.charged - memory.inactiveFile, 0)),
      chargedBytes: count(memory.charged),
      limitBytes: memoryLimitBytes,
      peakBytes: count(memory.peak),
      anonymousBytes: count(memory.anonymous),
      cacheBytes: count(memory.cache),
      swapBytes: count(memory.swap),
      oomKills: count(memory.oomKills),
    },
    pidsCurrent: count(usage.pids),
    pidsLimit: pidsMax,
    blockIo: {
      readBytes: count(io.readBytes),
      writeBytes: count(io.writtenBytes),
      readOperations: count(io.reads),
      writeOperations: count(io.writes),
    },
    interfaces: interfaces.map((each) => ({
      interfaceName: each.name,
      rxBytes: count(each.rxBytes),
      rxPackets: count(each.rxPackets),
      rxDropped: count(each.rxDropped),
      rxErrors: count(each.rxErrors),
      txBytes: count(each.txBytes),
      txPackets: count(each.txPackets),
      txDropped: count(each.txDropped),
      txErrors: count(each.txErrors),
    })),
    pressure:
      pressure === undefined
        ? undefined
        : {
            cpu: encodePressure(pressure.cpu),
            memory: encodePressure(pressure.memory),
            io: encodePressure(pressure.io),
          },
  };
}

const encodePressure = ({ some, full }: Pressure): WirePressure => ({
  someAvg10: some.avg10,
  someAvg60: some.avg60,
  someAvg300: some.avg300,
  someTotalUs: count(some.totalUs),
  fullAvg10: full.avg10,
  fullAvg60: full.avg60,
  fullAvg300: full.avg300,
  fullTotalUs: count(full.totalUs),
});
