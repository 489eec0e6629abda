/** Devices of the host by their numbers, which is what the kernel's controllers take. */
import { statSync } from 'node:fs';
import { cannot } from '../model/error.ts';

/**
 * @param device - `/dev/sda` or `8:0`.
 * @throws MydockerError `invalid-argument` for what is no block device of this machine.
 */
export function blockDeviceNumber(device: string): string {
  if (/^\d{1,4}:\d{1,7}$/.test(device)) return device;
  const stat = device.startsWith('/') ? statSync(device, { throwIfNoEntry: false }) : undefined;
  if (stat?.isBlockDevice() !== true)
    throw cannot('invalid-argument', 'limit', 'device', device, 'the host has no such block device', {
      reason: 'DEVICE_NOT_FOUND',
      hint: 'a path such as /dev/sda, or its numbers: 8:0',
    });
  return deviceNumbers(stat.rdev).join(':');
}

/** Major and minor of a device number as stat(2) gives it: makedev(3) of glibc, backwards. */
export function deviceNumbers(rdev: number): [major: number, minor: number] {
  const bits = BigInt(rdev);
  const major = ((bits >> 8n) & 0xfffn) | ((bits >> 32n) & ~0xfffn);
  const minor = (bits & 0xffn) | ((bits >> 12n) & ~0xffn & 0xffffffffn);
  return [Number(major), Number(minor)];
}
