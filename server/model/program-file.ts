/**
 * What the first bytes of a file say about the program in it, read as the kernel's loaders read them
 * (fs/binfmt_script.c, fs/binfmt_elf.c; elf(5)): asked only when the kernel did not execute it.
 */

/** What a file is, as far as its beginning tells. */
export type ProgramFile =
  | { readonly kind: 'empty' | 'windows' | 'other' }
  /** No first line that names an interpreter, but text. */
  | { readonly kind: 'text' }
  /** `interpreter` ends in a carriage return where the line does; `''`: the line names none. */
  | { readonly kind: 'script'; readonly interpreter: string }
  /** `interpreter` is the dynamic loader; absent: static, or it stands too far behind. */
  | { readonly kind: 'elf'; readonly machine: string; readonly interpreter?: string };

/** EI_CLASS, EI_DATA and e_machine of the machines that images are made for: GOARCH's names, as images have them. */
const MACHINES: Readonly<Record<string, string>> = {
  '32le3': '386',
  '64le62': 'amd64',
  '32le62': 'amd64 (x32)',
  '32le40': 'arm',
  '64le183': 'arm64',
  '64le258': 'loong64',
  '32be8': 'mips',
  '32le8': 'mipsle',
  '64be8': 'mips64',
  '64le8': 'mips64le',
  '64be21': 'ppc64',
  '64le21': 'ppc64le',
  '64le243': 'riscv64',
  '64be22': 's390x',
};

/** Longest path that the kernel takes. */
const MAX_PATH_BYTES = 4096;
const PT_INTERP = 3;
/** No program has more; a header may say anything. */
const MAX_SEGMENTS = 256;

/** @param head - the file's first bytes, all of them where it is short. */
export function readProgramFile(head: Buffer): ProgramFile {
  if (head.length === 0) return { kind: 'empty' };
  if (head.subarray(0, 2).equals(Buffer.from('#!')))
    return { kind: 'script', interpreter: scriptInterpreter(head) };
  if (head.length >= 20 && head.readUInt32BE(0) === 0x7f454c46) return readElf(head);
  if (head.subarray(0, 2).equals(Buffer.from('MZ'))) return { kind: 'windows' };
  return { kind: head.includes(0) ? 'other' : 'text' };
}

/** The first word of the first line: blanks and tabs part words, only a newline ends the line. */
function scriptInterpreter(head: Buffer): string {
  const newline = head.indexOf(10);
  const line = head.toString('utf8', 2, newline < 0 ? head.length : newline);
  return line.replace(/^[ \t]+/, '').split(/[ \t\0]/, 1)[0] ?? '';
}

function readElf(head: Buffer): ProgramFile {
  const isWide = head[4] === 2;
  const isLittle = head[5] === 1;
  const u16 = (at: number): number => (isLittle ? head.readUInt16LE(at) : head.readUInt16BE(at));
  const number = u16(18);
  const key = `${isWide ? 64 : 32}${isLittle ? 'le' : 'be'}${number}`;
  const interpreter = elfInterpreter(head, isWide, isLittle);
  return {
    kind: 'elf',
    machine: MACHINES[key] ?? `machine ${number}`,
    ...(interpreter === undefined ? {} : { interpreter }),
  };
}

/** The text of the segment PT_INTERP, where that is within the head. */
function elfInterpreter(head: Buffer, isWide: boolean, isLittle: boolean): string | undefined {
  const view = new DataView(head.buffer, head.byteOffset, head.byteLength);
  const word = (at: number): number =>
    isWide ? Number(view.getBigUint64(at, isLittle)) : view.getUint32(at, isLittle);
  try {
    const table = word(isWide ? 32 : 28);
    const size = view.getUint16(isWide ? 54 : 42, isLittle);
    const count = Math.min(view.getUint16(isWide ? 56 : 44, isLittle), MAX_SEGMENTS);
    for (let index = 0; index < count; index += 1) {
      const at = table + index * size;
      if (view.getUint32(at, isLittle) !== PT_INTERP) continue;
      const offset = word(at + (isWide ? 8 : 4));
      const length = word(at + (isWide ? 32 : 16));
      if (length < 2 || length > MAX_PATH_BYTES || offset + length > head.length) return undefined;
      return head.toString('utf8', offset, offset + length - 1);
    }
  } catch (error) {
    // What the header points at lies behind the head.
    if (!(error instanceof RangeError)) throw error;
  }
  return undefined;
}
