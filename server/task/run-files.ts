/**
 * The two files of a run folder: `state`, written by a shim while it lives, and `exit`, its last word. Lines
 * of "key value", and in the exit record raw copies of kernel files behind "file LABEL LENGTH".
 */
import { existsSync, readFileSync } from 'node:fs';

const RUN_FILE_VERSION = 1;

/** What the server writes into the plan as the first lines of both files. */
export interface RunHead {
  readonly containerId: string;
  readonly runId: string;
  readonly bootId: string;
  readonly kind: 'init' | 'exec';
  readonly terminal: boolean;
  /** Where the run's output begins in the container's log. */
  readonly logSerial: number;
  readonly logOffset: number;
  /** Processes of its group that the kernel had killed for memory before it began. Absent: none. */
  readonly oomKills?: number;
}

export function formatRunHead(head: RunHead): string {
  return [
    `version ${RUN_FILE_VERSION}`,
    `container ${head.containerId}`,
    `run ${head.runId}`,
    `boot ${head.bootId}`,
    `kind ${head.kind}`,
    `terminal ${head.terminal ? 1 : 0}`,
    `log_from_serial ${head.logSerial}`,
    `log_from_offset ${head.logOffset}`,
    ...(head.oomKills === undefined || head.oomKills === 0 ? [] : [`oom_kills ${head.oomKills}`]),
    '',
  ].join('\n');
}

/** The exit record as written. */
export interface ExitFile {
  readonly head: RunHead;
  readonly exitStatus: number;
  readonly signal: number;
  readonly exitedAt: bigint;
  readonly logSerial: number;
  readonly logOffset: number;
  /** The plan's step that failed, when the process never ran. */
  readonly failed?: { readonly section: number; readonly index: number; readonly errno: number };
  /** Raw kernel files by label. */
  readonly files: ReadonlyMap<string, string>;
}

export interface StateFile {
  readonly head: RunHead;
  readonly shimPid: number;
  readonly shimStartTime: bigint;
  readonly pid: number;
  readonly pidStartTime: bigint;
}

interface Parsed {
  readonly fields: ReadonlyMap<string, string>;
  readonly files: ReadonlyMap<string, string>;
}

function parse(bytes: Buffer): Parsed {
  const fields = new Map<string, string>();
  const files = new Map<string, string>();
  for (let at = 0; at < bytes.length; ) {
    const newline = bytes.indexOf(10, at);
    const end = newline < 0 ? bytes.length : newline;
    const line = bytes.toString('utf8', at, end);
    at = end + 1;
    const [key = '', ...words] = line.split(' ');
    if (key !== 'file') {
      fields.set(key, words.join(' '));
      continue;
    }
    const length = Number(words.at(-1));
    files.set(words.slice(0, -1).join(' '), bytes.toString('utf8', at, at + length));
    at += length;
  }
  return { fields, files };
}

function number(fields: Parsed['fields'], key: string): number {
  const value = Number(fields.get(key));
  if (!Number.isSafeInteger(value)) throw new Error(`${key} is not a number`);
  return value;
}

function parseHead(fields: Parsed['fields']): RunHead {
  if (number(fields, 'version') !== RUN_FILE_VERSION)
    throw new Error(`unknown version ${fields.get('version')}`);
  return {
    containerId: fields.get('container') ?? '',
    runId: fields.get('run') ?? '',
    bootId: fields.get('boot') ?? '',
    kind: fields.get('kind') === 'exec' ? 'exec' : 'init',
    terminal: number(fields, 'terminal') === 1,
    logSerial: number(fields, 'log_from_serial'),
    logOffset: number(fields, 'log_from_offset'),
    ...(fields.has('oom_kills') ? { oomKills: number(fields, 'oom_kills') } : {}),
  };
}

/** Bytes of a file, undefined when it is not there. */
function bytesOf(path: string): Buffer | undefined {
  try {
    return readFileSync(path);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return undefined;
    throw error;
  }
}

/** Whether the run is over and its shim has said how. */
export const hasExitFile = (runFolder: string): boolean => existsSync(`${runFolder}/exit`);

/** @returns undefined when there is none. @throws Error when it cannot be understood. */
export function readExitFile(runFolder: string): ExitFile | undefined {
  const bytes = bytesOf(`${runFolder}/exit`);
  if (bytes === undefined) return undefined;
  const { fields, files } = parse(bytes);
  const failed = fields.has('failed_section')
    ? {
        failed: {
          section: number(fields, 'failed_section'),
          index: number(fields, 'failed_index'),
          errno: number(fields, 'failed_errno'),
        },
      }
    : {};
  return {
    head: parseHead(fields),
    exitStatus: number(fields, 'exit_code'),
    signal: number(fields, 'signal'),
    exitedAt: BigInt(fields.get('exited_at') ?? '0'),
    logSerial: number(fields, 'log_serial'),
    logOffset: number(fields, 'log_offset'),
    ...failed,
    files,
  };
}

/** @returns undefined when there is none. @throws Error when it cannot be understood. */
export function readStateFile(runFolder: string): StateFile | undefined {
  const bytes = bytesOf(`${runFolder}/state`);
  if (bytes === undefined) return undefined;
  const { fields } = parse(bytes);
  return {
    head: parseHead(fields),
    shimPid: number(fields, 'shim_pid'),
    shimStartTime: BigInt(fields.get('shim_start') ?? '0'),
    pid: number(fields, 'init_pid'),
    pidStartTime: BigInt(fields.get('init_start') ?? '0'),
  };
}
