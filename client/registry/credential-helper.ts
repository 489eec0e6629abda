/** Programs that keep credentials, `docker-credential-NAME`: asked, given and told to forget, each within limits. */
import { spawn } from 'node:child_process';
import { UsageError } from '../usage-error.ts';

const HELPER_MS = 30_000;
const MAX_HELPER_BYTES = 1 << 20;

/**
 * @param name - as config.json has it. @param verb - what it shall do. @param input - for its standard input.
 * @returns its exit status and what it printed.
 * @throws UsageError when the name is none, or the program is not there.
 */
export async function runHelper(
  name: string,
  verb: 'get' | 'store' | 'erase',
  input: string,
): Promise<{ readonly code: number; readonly output: string; readonly program: string }> {
  // It becomes the name of a program.
  if (!/^[\w.-]+$/.test(name))
    throw new UsageError(`${JSON.stringify(name)} is no name of a credential helper`);
  const program = `docker-credential-${name}`;
  return await new Promise((resolve, reject) => {
    const child = spawn(program, [verb], { stdio: ['pipe', 'pipe', 'ignore'], timeout: HELPER_MS });
    const parts: Buffer[] = [];
    let size = 0;
    child.stdout.on('data', (part: Buffer) => {
      size += part.length;
      if (size > MAX_HELPER_BYTES) child.kill('SIGKILL');
      else parts.push(part);
    });
    child.on('error', (error) => {
      const why = (error as NodeJS.ErrnoException).code === 'ENOENT' ? 'it is not installed' : error.message;
      reject(new UsageError(`cannot ask ${program} for credentials: ${why}`));
    });
    // What it started itself may hold the pipe for ever.
    child.on('exit', (_, signal) => {
      if (signal !== null) child.stdout.destroy();
    });
    child.on('close', (code) =>
      resolve({ program, code: code ?? 1, output: Buffer.concat(parts).toString() }),
    );
    // It may end without having read.
    child.stdin.on('error', () => undefined);
    child.stdin.end(input);
  });
}
