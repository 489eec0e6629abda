/**
 * A failed step of a launch plan as a sentence: which step, on what, why, and what to do. The shim reports
 * numbers only; the plan knows the words.
 */
import { cannot, type ErrorDetails, type MydockerError, toMydockerError } from '../model/error.ts';
import { type Op, opAt, type Plan } from '../model/plan.ts';
import { LaunchFailure, ShimGone } from '../task/shim-error.ts';
import { FAILED_LAUNCH, LAUNCH_STEPS } from '../task/shim-protocol.ts';
import { execFailure } from './exec-error.ts';

/** What the commonest errnos mean, in words; others show their name. */
const WORDS: Readonly<Record<string, string>> = {
  EACCES: 'permission denied',
  EPERM: 'operation not permitted',
  ENOENT: 'no such file or directory',
  ENOTDIR: 'not a directory',
  EISDIR: 'is a directory',
  ELOOP: 'too many symbolic links, or a link where none is allowed',
  ENOEXEC: 'exec format error',
  ENOSPC: 'no space left',
  ENOMEM: 'out of memory',
  EAGAIN: 'resource limit reached',
  EINVAL: 'invalid argument',
  EROFS: 'read-only file system',
  E2BIG: 'argument list too long',
  ETXTBSY: 'it is open for writing',
  EBUSY: 'busy',
  ETIMEDOUT: 'timed out',
  ECONNREFUSED: 'connection refused',
  EHOSTUNREACH: 'no route to the host',
  ENETUNREACH: 'no route to the network',
  EPROTONOSUPPORT: 'protocol not supported',
};

const why = (errno: string): string => (errno in WORDS ? `${errno} (${WORDS[errno]})` : errno);

interface Advice {
  readonly op: Op['name'];
  readonly errno: string;
  readonly hint: string;
}

/** Of the group it was to be born in, or of the machine. */
const TOO_MANY_PROCESSES =
  'there are as many processes as there may be; mydocker update --pids-limit changes how many a container may have';

const ADVICE: readonly Advice[] = [
  { op: 'open', errno: 'ENOENT', hint: 'check that the path exists on the host' },
  { op: 'open', errno: 'ENOTDIR', hint: 'the path is a file where a folder is needed' },
  {
    op: 'open-in-root',
    errno: 'ENOTDIR',
    hint: 'the image has a file or a symbolic link where a folder must be',
  },
  { op: 'open-in-root', errno: 'ELOOP', hint: 'the image has a symbolic link where none is allowed' },
  {
    op: 'file-in-root',
    errno: 'EROFS',
    hint: 'something is mounted on this file, which a read-only mount around it must have',
  },
  { op: 'mount', errno: 'EPERM', hint: 'the server needs CAP_SYS_ADMIN' },
  { op: 'fs-open', errno: 'ENODEV', hint: 'this kernel lacks the filesystem' },
  { op: 'fs-config', errno: 'EINVAL', hint: 'the filesystem has no such option, or not with this value' },
  {
    op: 'fs-mount',
    errno: 'EINVAL',
    hint: 'an option is missing or wrong; the log of the kernel says which',
  },
  { op: 'fs-mount', errno: 'ENOENT', hint: 'the server, or this machine, has no such device' },
  {
    op: 'fs-mount',
    errno: 'EACCES',
    hint: 'the server refuses: look at what it exports to whom, and at the password',
  },
  {
    op: 'fs-mount',
    errno: 'EPROTONOSUPPORT',
    hint: 'the server does not speak this version; o=vers=4.2 asks for another',
  },
  ...['ETIMEDOUT', 'ECONNREFUSED', 'EHOSTUNREACH', 'ENETUNREACH'].map(
    (errno): Advice => ({ op: 'fs-mount', errno, hint: 'the server does not answer at this address' }),
  ),
  { op: 'mount', errno: 'ENODEV', hint: 'this kernel lacks the filesystem' },
  { op: 'bind', errno: 'EINVAL', hint: 'a file is mounted on a file and a folder on a folder' },
  {
    op: 'setattr',
    errno: 'EINVAL',
    hint: 'the kernel maps no owners on this filesystem; leave out idmap',
  },
  { op: 'setns', errno: 'ESRCH', hint: 'the other container has just ended' },
  { op: 'write', errno: 'EINVAL', hint: 'the kernel refuses the value' },
  { op: 'join', errno: 'EAGAIN', hint: TOO_MANY_PROCESSES },
  { op: 'respawn', errno: 'EAGAIN', hint: TOO_MANY_PROCESSES },
  { op: 'init', errno: 'EAGAIN', hint: TOO_MANY_PROCESSES },
  { op: 'netlink', errno: 'ENODEV', hint: 'somebody removed the bridge this moment; try again' },
  { op: 'netlink', errno: 'EOPNOTSUPP', hint: 'this kernel lacks veth' },
  { op: 'rlimit', errno: 'EPERM', hint: 'raising a hard limit takes CAP_SYS_RESOURCE' },
];

function inPlan(plan: Plan | undefined, failure: LaunchFailure): { text: string; details: ErrorDetails } {
  if (failure.section === FAILED_LAUNCH) {
    const step = LAUNCH_STEPS[failure.index] ?? 'launch';
    const gone = failure.errno === 'EINTR' ? 'the process was killed' : why(failure.errno);
    const hint = failure.errno === 'EAGAIN' ? { hint: TOO_MANY_PROCESSES } : {};
    return { text: `${step}: ${gone}`, details: { reason: 'LAUNCH_FAILED', exitStatus: 125, ...hint } };
  }
  const op = plan === undefined ? undefined : opAt(plan, failure.section, failure.index);
  if (op === undefined)
    return { text: failure.message, details: { reason: 'LAUNCH_FAILED', exitStatus: 125 } };
  if (op.name === 'exec') return execFailure(op, failure.errno, why, failure.found);
  const hint = ADVICE.find((a) => a.op === op.name && a.errno === failure.errno)?.hint;
  return {
    text: `${op.about}: ${why(failure.errno)}`,
    details: {
      reason: 'LAUNCH_FAILED',
      exitStatus: 125,
      metadata: { step: op.name, errno: failure.errno },
      ...(hint === undefined ? {} : { hint }),
    },
  };
}

/** Operations that need a group that is there. */
const IN_GROUP: readonly Op['name'][] = ['mkdir', 'write', 'open', 'rename', 'join'];

/**
 * Whether a launch failed since its groups were gone when they were needed: systemd on v1 sweeps groups away that are
 * empty, and one is until its process has joined it.
 * @param folders - of the groups.
 */
export function isGroupLost(folders: readonly string[], plan: Plan, thrown: unknown): boolean {
  if (!(thrown instanceof LaunchFailure)) return false;
  // Of a group that is gone by the time the process is born in it.
  if (thrown.section === FAILED_LAUNCH) return thrown.errno === 'ENODEV';
  const { name, s1 } = opAt(plan, thrown.section, thrown.index) ?? {};
  return (
    (thrown.errno === 'ENOENT' || thrown.errno === 'ENODEV') &&
    name !== undefined &&
    IN_GROUP.includes(name) &&
    typeof s1 === 'string' &&
    folders.some((folder) => s1 === folder || s1.startsWith(`${folder}/`))
  );
}

/**
 * @param verb - `start`, `execute in`.
 * @param name - of the container.
 * @param plan - that failed; undefined when an earlier server made it.
 * @returns the error a user sees; `cannot start container web: mount /data: EACCES (permission denied)`.
 */
export function launchError(
  verb: string,
  name: string,
  plan: Plan | undefined,
  thrown: unknown,
): MydockerError {
  if (thrown instanceof LaunchFailure) {
    const { text, details } = inPlan(plan, thrown);
    return cannot('failed-precondition', verb, 'container', name, text, { ...details, cause: thrown });
  }
  if (thrown instanceof ShimGone && thrown.wanted)
    return cannot('aborted', verb, 'container', name, 'it was killed meanwhile', {
      reason: 'KILLED',
      exitStatus: 125,
      cause: thrown,
    });
  if (thrown instanceof ShimGone)
    return cannot('unavailable', verb, 'container', name, 'its shim ended before the process began', {
      reason: 'SHIM_GONE',
      exitStatus: 125,
      hint: 'try again; the log of the server may say more',
      cause: thrown,
    });
  if (thrown instanceof RangeError)
    return cannot('invalid-argument', verb, 'container', name, thrown.message, {
      reason: 'PLAN_TOO_LARGE',
      exitStatus: 125,
      cause: thrown,
    });
  return toMydockerError(thrown);
}
