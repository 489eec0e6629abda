/** How a launch ends that comes to nothing: a step of its plan failed, or its shim is gone without a word. */
import { getSystemErrorName } from 'node:util';
import { MydockerError } from '../model/error.ts';
import type { Found } from './shim-protocol.ts';

/** What Node has no name for. */
const UNNAMED: Readonly<Record<number, string>> = { 80: 'ELIBBAD' };

/** A step of the plan failed; nothing of the start is left. */
export class LaunchFailure extends Error {
  override readonly name = 'LaunchFailure';
  readonly section: number;
  readonly index: number;
  /** Symbolic: `ENOENT`. */
  readonly errno: string;

  /** Of a program that could not be executed. */
  readonly found: Found | undefined;

  constructor(section: number, index: number, errno: number, found?: Found) {
    const name = errno === 0 ? 'OK' : (UNNAMED[errno] ?? getSystemErrorName(-errno));
    super(`launch failed in section ${section}, step ${index}: ${name}`);
    this.section = section;
    this.index = index;
    this.errno = name;
    this.found = found;
  }
}

/** The shim is gone and has not said how its process ended. */
export class ShimGone extends Error {
  override readonly name = 'ShimGone';
  /** This server wanted it gone. */
  readonly wanted: boolean;

  constructor(wanted: boolean) {
    super('the connection to the shim has ended');
    this.wanted = wanted;
  }
}

/** Whether this says that there is no process any more, or never was: the start failed, or the shim is gone. */
export function saysOver(thrown: unknown): boolean {
  if (thrown instanceof LaunchFailure || thrown instanceof ShimGone) return true;
  return thrown instanceof MydockerError && (thrown.reason === 'SHIM_GONE' || thrown.reason === 'ESRCH');
}
