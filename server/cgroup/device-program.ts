/**
 * Device rules on their way into the kernel: on cgroup v2 a program, which lives while somebody has its descriptor; on v1
 * lines of files. Of a group that processes are in they are exchanged.
 */
import { closeSync, writeFileSync } from 'node:fs';
import { loadDeviceProgram, replaceDeviceProgram } from '../../native/bpf.ts';
import type { DeviceRule } from '../model/resources.ts';
import { allowances, type DeviceAllowance, deviceProgram, deviceRuleText } from './devices.ts';
import { hierarchyOf } from './layout.ts';
import type { CgroupPlace } from './limits.ts';

/**
 * @param rules - beyond the default ones.
 * @returns its descriptor, to be closed once it is attached.
 * @throws SyscallError
 */
export function loadRules(rules: readonly DeviceRule[]): number {
  return loadDeviceProgram(deviceProgram(allowances(rules)));
}

/** Of each allowance in one list what the other one does not allow. */
function beyond(list: readonly DeviceAllowance[], other: readonly DeviceAllowance[]): DeviceAllowance[] {
  return list.flatMap((rule) => {
    const same = other.find(
      ({ type, major, minor }) => type === rule.type && major === rule.major && minor === rule.minor,
    );
    const access = [...rule.access].filter((letter) => same?.access.includes(letter) !== true).join('');
    return access === '' ? [] : [{ ...rule, access }];
  });
}

/**
 * Changes what a group may use; what is open stays open.
 * @param now - its rules beyond the default ones, as they were given to it.
 * @throws MydockerError `invalid-argument` for a rule that no list can say; SyscallError; those of node:fs.
 */
export function changeDevices(
  { layout, path }: CgroupPlace,
  now: readonly DeviceRule[],
  next: readonly DeviceRule[],
): void {
  const [before, after] = [allowances(now), allowances(next)];
  const [more, less] = [beyond(after, before), beyond(before, after)];
  if (more.length + less.length === 0) return;
  const devices = hierarchyOf(layout, 'devices');
  if (devices !== undefined) {
    for (const rule of more)
      writeFileSync(`${devices}${path}/devices.allow`, deviceRuleText(rule), { flag: 'r+' });
    for (const rule of less)
      writeFileSync(`${devices}${path}/devices.deny`, deviceRuleText(rule), { flag: 'r+' });
    return;
  }
  const program = loadRules(next);
  try {
    replaceDeviceProgram(`${layout.unified}${path}`, program);
  } finally {
    closeSync(program);
  }
}
