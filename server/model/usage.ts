/** What a container has used, as numbers that are the same on every machine. */

/** Times in ns, amounts in bytes; 0 where the machine does not tell. */
export interface CgroupUsage {
  readonly cpu: {
    readonly userNs: number;
    readonly systemNs: number;
    readonly periods: number;
    readonly throttledPeriods: number;
    readonly throttledNs: number;
  };
  readonly memory: {
    readonly charged: number;
    /** What can be dropped at once: file cache that nobody has used for a while. */
    readonly inactiveFile: number;
    readonly anonymous: number;
    readonly cache: number;
    readonly swap: number;
    readonly peak: number;
    readonly oomKills: number;
  };
  readonly pids: number;
  readonly io: {
    readonly reads: number;
    readonly writes: number;
    readonly readBytes: number;
    readonly writtenBytes: number;
  };
  readonly pressure?: Readonly<Record<PressureKind, Pressure>>;
}

export type PressureKind = 'cpu' | 'memory' | 'io';

/** Percent of the last 10, 60, 300 seconds, and µs in all, in which some or all processes waited. */
export interface Pressure {
  readonly some: PressureLine;
  readonly full: PressureLine;
}
export interface PressureLine {
  readonly avg10: number;
  readonly avg60: number;
  readonly avg300: number;
  readonly totalUs: number;
}
