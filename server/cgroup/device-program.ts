/** Device rules as cgroup v2 wants them: a program in the kernel, which lives while somebody has its descriptor. */
import { loadDeviceProgram } from '../../native/bpf.ts';
import type { DeviceRule } from '../model/resources.ts';
import { allowances, deviceProgram } from './devices.ts';

/**
 * @param rules - beyond the default ones.
 * @returns its descriptor, to be closed once it is attached.
 * @throws SyscallError
 */
export function loadRules(rules: readonly DeviceRule[]): number {
  return loadDeviceProgram(deviceProgram(allowances(rules)));
}
