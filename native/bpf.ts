/**
 * Loading of device programs, which cgroup v2 has instead of a list of allowed devices, and their exchange while
 * processes run under them. The first one is attached by the launch.
 *
 * WHY NOT node:fs: bpf(2) has no other door.
 * SAFETY: synchronous; the buffers live until the call is over; the kernel copies them.
 */
import { closeSync, openSync } from 'node:fs';
import koffi from 'koffi';
import { calls, check, cString } from './libc.ts';

const SYS_BPF = process.arch === 'arm64' ? 280 : 321;
const BPF_PROG_LOAD = 5;
const BPF_PROG_TYPE_CGROUP_DEVICE = 15;
const BPF_PROG_ATTACH = 8;
const BPF_PROG_GET_FD_BY_ID = 13;
const BPF_PROG_QUERY = 16;
/** Of attach types: BPF_CGROUP_DEVICE. */
const CGROUP_DEVICE = 6;
const BPF_F_ALLOW_MULTI = 2;
const BPF_F_REPLACE = 4;
/** A group of ours has one; whoever attaches more than this is not told apart. */
const MAX_PROGRAMS = 8;
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

/** union bpf_attr for BPF_PROG_ATTACH (linux/bpf.h). */
koffi.struct('mydocker_bpf_attach', {
  target: 'uint32_t',
  program: 'uint32_t',
  type: 'uint32_t',
  flags: 'uint32_t',
  replaced: 'uint32_t',
});
const sysAttach = calls.func(
  'long mydocker_syscall(long n, long command, const mydocker_bpf_attach *attributes, long size, long, long)',
);

/** The same for BPF_PROG_QUERY. */
koffi.struct('mydocker_bpf_query', {
  target: 'uint32_t',
  type: 'uint32_t',
  queryFlags: 'uint32_t',
  attachFlags: 'uint32_t',
  ids: 'void *',
  count: 'uint32_t',
});
const sysQuery = calls.func(
  'long mydocker_syscall(long n, long command, _Inout_ mydocker_bpf_query *attributes, long size, long, long)',
);

/** The same for BPF_PROG_GET_FD_BY_ID. */
koffi.struct('mydocker_bpf_get', { id: 'uint32_t', nextId: 'uint32_t', openFlags: 'uint32_t' });
const sysGet = calls.func(
  'long mydocker_syscall(long n, long command, const mydocker_bpf_get *attributes, long size, long, long)',
);

/** Ids of the device programs of a cgroup2 folder itself. */
function programsOf(target: number): number[] {
  const ids = Buffer.alloc(4 * MAX_PROGRAMS);
  const attributes = {
    target,
    type: CGROUP_DEVICE,
    queryFlags: 0,
    attachFlags: 0,
    ids,
    count: MAX_PROGRAMS,
  };
  check(sysQuery(SYS_BPF, BPF_PROG_QUERY, attributes, 32, 0, 0), 'bpf PROG_QUERY');
  return Array.from({ length: attributes.count }, (_, index) => ids.readUInt32LE(4 * index));
}

/**
 * Puts a program into the place of the one that a cgroup has, at one moment.
 * @param folder - of cgroup2.
 * @param program - descriptor of a loaded one.
 * @throws SyscallError; Error where the group has not exactly one; those of node:fs where it is gone.
 */
export function replaceDeviceProgram(folder: string, program: number): void {
  const target = openSync(folder, 'r');
  try {
    const [id, ...others] = programsOf(target);
    if (id === undefined || others.length > 0)
      throw new Error(`${folder} has ${others.length + (id === undefined ? 0 : 1)} device programs, not one`);
    const wanted = { id, nextId: 0, openFlags: 0 };
    const replaced = check(sysGet(SYS_BPF, BPF_PROG_GET_FD_BY_ID, wanted, 12, 0, 0), 'bpf PROG_GET_FD_BY_ID');
    const flags = BPF_F_ALLOW_MULTI | BPF_F_REPLACE;
    const attributes = { target, program, type: CGROUP_DEVICE, flags, replaced };
    try {
      check(sysAttach(SYS_BPF, BPF_PROG_ATTACH, attributes, 20, 0, 0), 'bpf PROG_ATTACH');
    } finally {
      closeSync(replaced);
    }
  } finally {
    closeSync(target);
  }
}
