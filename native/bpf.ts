/**
 * Loading of device programs, which cgroup v2 has instead of a list of allowed devices.
 *
 * WHY NOT node:fs: bpf(2) has no other door.
 * SAFETY: synchronous; the buffers live until the call is over; the kernel copies them.
 */
import koffi from 'koffi';
import { calls, check, cString } from './libc.ts';

const SYS_BPF = process.arch === 'arm64' ? 280 : 321;
const BPF_PROG_LOAD = 5;
const BPF_PROG_TYPE_CGROUP_DEVICE = 15;
const INSTRUCTION_BYTES = 8;

/** The head of union bpf_attr for BPF_PROG_LOAD (linux/bpf.h); the kernel takes what is missing for zero. */
koffi.struct('mydocker_bpf_prog_load', {
  type: 'uint32_t',
  instructionCount: 'uint32_t',
  instructions: 'void *',
  license: 'void *',
  logLevel: 'uint32_t',
  logSize: 'uint32_t',
  logBuffer: 'void *',
});

const sysBpf = calls.func(
  'long mydocker_syscall(long n, long command, const mydocker_bpf_prog_load *attributes, long size, long, long)',
);

/**
 * Loads a program of type BPF_PROG_TYPE_CGROUP_DEVICE.
 * @param program - eBPF instructions, 8 bytes each.
 * @returns its descriptor, close-on-exec; the program lives as long as that or what it is attached to.
 * @throws SyscallError EPERM without CAP_BPF or CAP_SYS_ADMIN, EINVAL when the verifier refuses it.
 */
export function loadDeviceProgram(program: Buffer): number {
  const license = cString('Apache-2.0');
  const attributes = {
    type: BPF_PROG_TYPE_CGROUP_DEVICE,
    instructionCount: program.length / INSTRUCTION_BYTES,
    instructions: program,
    license,
    logLevel: 0,
    logSize: 0,
    logBuffer: null,
  };
  return check(sysBpf(SYS_BPF, BPF_PROG_LOAD, attributes, 40, 0, 0), 'bpf PROG_LOAD');
}
