/** Asks the shim's own reader of plans, built with sanitizers, what it makes of bytes. */
import { execFileSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { PROJECT } from '../../harness/cli.ts';
import { compileC } from '../../harness/compile-c.ts';

const SANITIZE = ['-fsanitize=address,undefined', '-fno-sanitize-recover=all'];

/** One operation as C read it; texts in hex, with their NULs. */
export interface ReadOp {
  readonly code: number;
  readonly flags: number;
  readonly a: number;
  readonly b: number;
  readonly texts: readonly [s1: string, s2: string, s3: string];
  readonly numbers: readonly [x: bigint, y: bigint, z: bigint];
}

/** What C read. */
export interface ReadPlan {
  /** Numbers of the header in the order of plan-dump.c. */
  readonly header: readonly bigint[];
  readonly head: string;
  readonly title: string;
  readonly ops: readonly ReadOp[];
}

const texts = (words: readonly string[]): string[] => words.map((word) => word.replace(/\.$/, ''));

function readCase(lines: readonly string[]): ReadPlan | number {
  const [, result = '', ...words] = (lines[0] ?? '').split(' ');
  if (result !== '0') return Number(result);
  const [head = '', title = ''] = texts(words.slice(-2));
  const ops = lines.slice(1).map((line): ReadOp => {
    const [, code, flags, a, b, s1 = '', s2 = '', s3 = '', x = '', y = '', z = ''] = line.split(' ');
    const [t1 = '', t2 = '', t3 = ''] = texts([s1, s2, s3]);
    return {
      code: Number(code),
      flags: Number(flags),
      a: Number(a),
      b: Number(b),
      texts: [t1, t2, t3],
      numbers: [BigInt(x), BigInt(y), BigInt(z)],
    };
  });
  return { header: words.slice(0, -2).map(BigInt), head, title, ops };
}

/**
 * @returns for each case what was read, or the negative errno it was refused with.
 * @throws Error when the reader itself did something wrong; the sanitizer's words are in it.
 */
export function readPlans(cases: readonly Uint8Array[]): (ReadPlan | number)[] {
  const program = compileC(
    'plan-dump',
    readFileSync(join(PROJECT, 'test/unit/spec/plan-dump.c'), 'utf8'),
    ['shim/plan.c'],
    SANITIZE,
  );
  const input = cases.flatMap((bytes) => {
    const size = Buffer.alloc(4);
    size.writeUInt32LE(bytes.length);
    return [size, bytes];
  });
  const output = execFileSync(program, {
    input: Buffer.concat(input),
    encoding: 'utf8',
    maxBuffer: 1 << 30,
    stdio: ['pipe', 'pipe', 'pipe'],
  });
  const blocks = output.split(/^(?=case )/m).filter((block) => block !== '');
  return blocks.map((block) => readCase(block.trimEnd().split('\n')));
}
