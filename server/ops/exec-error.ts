/**
 * Why a program was not executed, in words: from the errno and from what the process found at its path. Looked
 * for only after execve(2) failed, so a start that succeeds pays nothing for it.
 */
import { constants } from 'node:fs';
import { type ErrorDetails, quoteId } from '../model/error.ts';
import { fileKind } from '../model/file-kind.ts';
import type { Op } from '../model/plan.ts';
import { type ProgramFile, readProgramFile } from '../model/program-file.ts';
import type { Found } from '../task/shim-protocol.ts';

/** The cause, and what goes with it. */
export interface ExecFailure {
  readonly text: string;
  readonly details: ErrorDetails;
}

interface Finding {
  readonly why: string;
  readonly reason: string;
  readonly hint: string;
}

/** This machine, in the words of {@link readProgramFile}. */
const MACHINE = { x64: 'amd64', ia32: '386', ppc64: 'ppc64le' }[process.arch as string] ?? process.arch;

const { S_IFMT, S_IFDIR, S_IFLNK } = constants;

const list = (value: Op['s1']): readonly string[] => (Array.isArray(value) ? value : []);

/**
 * @param op - the operation `exec` that failed.
 * @param errno - `ENOENT`.
 * @param say - the errno with its usual words: `ENOENT (no such file or directory)`.
 * @param found - what the process saw; undefined when an older shim told of it.
 */
export function execFailure(
  op: Op,
  errno: string,
  say: (errno: string) => string,
  found: Found | undefined,
): ExecFailure {
  const command = list(op.s2)[0] ?? '';
  const isMissing = errno === 'ENOENT' || errno === 'ENOTDIR';
  const finding =
    errno === 'E2BIG' ? tooLong(op) : isMissing ? missing(op, command, found) : refused(errno, found);
  const shownErrno = isMissing ? 'ENOENT' : errno;
  return {
    text: `execute ${quoted(command)}: ${finding.why === '' ? say(shownErrno) : `${shownErrno} (${finding.why})`}`,
    details: {
      reason: finding.reason,
      metadata: { step: op.name, errno },
      exitStatus: isMissing ? 127 : 126,
      hint: finding.hint,
    },
  };
}

/** One that may be executed and not read says nothing. */
const fileOf = ({ head }: Found): ProgramFile =>
  head === undefined ? { kind: 'other' } : readProgramFile(head);

const quoted = (text: string): string => JSON.stringify(text);

/** Nothing is there, or what is there needs something that is not. */
function missing(op: Op, command: string, found: Found | undefined): Finding {
  if (found?.path === undefined) {
    const isPath = command.includes('/');
    const path = list(op.s3).findLast((entry) => entry.startsWith('PATH='));
    return {
      why: isPath ? '' : 'not found in PATH of the container',
      reason: 'COMMAND_NOT_FOUND',
      hint: isPath
        ? 'check the command and the image'
        : `check the command and the image; ${quoteId(path ?? 'PATH=')} is where it was looked for`,
    };
  }
  if ((found.mode & S_IFMT) === S_IFLNK)
    return {
      why: `it is a symbolic link to ${quoted(found.head?.toString() ?? '')}, which is not there`,
      reason: 'COMMAND_NOT_FOUND',
      hint: 'check the image, and what is mounted over it',
    };
  return missingInterpreter(fileOf(found));
}

function missingInterpreter(file: ProgramFile): Finding {
  const reason = 'INTERPRETER_NOT_FOUND';
  if (file.kind === 'script' && file.interpreter.endsWith('\r'))
    return {
      why: `its first line ends with a carriage return, so that its interpreter is ${quoted(file.interpreter)}`,
      reason,
      hint: 'give the script the line ends of Unix: LF, without CR',
    };
  if (file.kind === 'script')
    return {
      why: `its interpreter ${quoted(file.interpreter)} is not there, or needs a loader that is not`,
      reason,
      hint: 'name an interpreter of the image in the first line, or add it to the image',
    };
  const loader = file.kind === 'elf' && file.interpreter !== undefined ? ` ${quoted(file.interpreter)}` : '';
  return {
    why: `its loader${loader} is not there`,
    reason,
    hint: 'the program is linked against another C library: use an image that has it, or a static program',
  };
}

/** Something is there that may not, or cannot, be executed. */
function refused(errno: string, found: Found | undefined): Finding {
  const general = {
    why: '',
    reason: 'COMMAND_NOT_EXECUTABLE',
    hint: 'check that the file is a program which the user may execute',
  };
  if (found?.path === undefined) return general;
  if (errno === 'ENOEXEC') return noProgram(general, fileOf(found));
  if (errno === 'ELOOP' || errno === 'ELIBBAD') return brokenInterpreter(general, errno, fileOf(found));
  if (errno !== 'EACCES') return general;
  const kind = fileKind(found.mode);
  if (kind !== undefined)
    return {
      ...general,
      why: `it is ${kind}`,
      hint: (found.mode & S_IFMT) === S_IFDIR ? 'name a program in it' : 'name a program',
    };
  if (found.noexec)
    return {
      ...general,
      why: 'it lies on a mount with the option noexec',
      hint: 'mount it without noexec, or name an interpreter: sh FILE',
    };
  if (found.mayExecute) return forbiddenInterpreter(general, fileOf(found));
  const mode = (found.mode & 0o7777).toString(8).padStart(4, '0');
  return (found.mode & 0o111) === 0
    ? { ...general, why: `it is not executable: its mode is ${mode}`, hint: 'chmod +x, where it was made' }
    : {
        ...general,
        why: `the user may not execute it: its mode is ${mode}, its owner ${found.uid}:${found.gid}`,
        hint: 'chmod or chown it, where it was made, or run as another user: -u',
      };
}

/** The file itself may be executed. */
function forbiddenInterpreter(general: Finding, file: ProgramFile): Finding {
  if ((file.kind !== 'script' && file.kind !== 'elf') || file.interpreter === undefined) return general;
  return {
    ...general,
    why: `its interpreter ${quoted(file.interpreter)} may not be executed`,
    hint: 'check mode and owner of the interpreter',
  };
}

/** There is one, and it is none. */
function brokenInterpreter(general: Finding, errno: string, file: ProgramFile): Finding {
  if ((file.kind !== 'script' && file.kind !== 'elf') || file.interpreter === undefined) return general;
  const interpreter = quoted(file.interpreter);
  return errno === 'ELOOP'
    ? {
        ...general,
        why: `its interpreter ${interpreter} is a script, too, and so on`,
        hint: 'name a program',
      }
    : { ...general, why: `its loader ${interpreter} is no loader`, hint: 'check the image' };
}

/** The kernel has no loader for it. */
function noProgram(general: Finding, file: ProgramFile): Finding {
  switch (file.kind) {
    case 'elf':
      return file.machine === MACHINE
        ? { ...general, why: `it is a damaged program for ${MACHINE}`, hint: 'make it again' }
        : {
            why: `it is a program for ${file.machine}, this machine is ${MACHINE}`,
            reason: 'WRONG_ARCHITECTURE',
            hint: `use an image for linux/${MACHINE}`,
          };
    case 'script':
      return {
        ...general,
        why:
          file.interpreter === ''
            ? 'its first line names no interpreter'
            : `its interpreter ${quoted(file.interpreter)} is no program for this machine`,
        hint: 'check the first line of the script: #!/bin/sh',
      };
    case 'text':
      return {
        ...general,
        why: 'it is a script without an interpreter',
        hint: 'begin it with a line #!/bin/sh',
      };
    case 'windows':
      return { ...general, why: 'it is a program for Windows', hint: 'use one for Linux' };
    case 'empty':
      return { ...general, why: 'it is empty', hint: 'make it again' };
    case 'other':
      return { ...general, why: 'it is no program that this kernel knows', hint: 'make it again, for Linux' };
  }
}

function tooLong(op: Op): Finding {
  const texts = [...list(op.s2), ...list(op.s3)];
  const bytes = texts.reduce((sum, text) => sum + Buffer.byteLength(text) + 1, 0);
  return {
    why: `arguments and environment have ${bytes} bytes in ${texts.length} strings, more than Linux passes on`,
    reason: 'ARGUMENTS_TOO_LONG',
    hint: 'hand large data over in a file',
  };
}
