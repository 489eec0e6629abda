/** How far a worker is with a file that it was given open: the position is the file's, whoever reads. */
import { readFileSync } from 'node:fs';

/** Between two looks, in ms. */
const WATCH_MS = 250;

/** @returns bytes from the beginning of an open file, 0 where the kernel does not say. */
export function filePosition(fd: number): number {
  // WHY NOT node:fs: it has no lseek. One line of a file of the kernel's, some 20 µs.
  const [, position = '0'] = /^pos:\s*(\d+)/m.exec(readFileSync(`/proc/self/fdinfo/${fd}`, 'utf8')) ?? [];
  return Number(position);
}

/** Tells again and again how far it is, until it is disposed of. */
export function watchPosition(
  position: () => number | undefined,
  progress: (doneBytes: number) => void,
): Disposable {
  const timer = setInterval(() => {
    const done = position();
    if (done !== undefined) progress(done);
  }, WATCH_MS);
  return { [Symbol.dispose]: () => clearInterval(timer) };
}
