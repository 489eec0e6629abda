// Says whether node_modules holds what package-lock.json names, so that `npm ci`
// (10 s, and it deletes the folder first) runs only when it must. Plain
// JavaScript: it runs on the machine's own Node, before anything is installed.
// Exit code 0: fresh; 1: stale or missing.
import { existsSync, readFileSync } from 'node:fs';

const read = (path) => JSON.parse(readFileSync(path, 'utf8')).packages;

/** What npm installs on this machine: an optional package may be for another one. */
const fits = (entry) =>
  (entry.os === undefined || entry.os.includes(process.platform)) &&
  (entry.cpu === undefined || entry.cpu.includes(process.arch)) &&
  (entry.libc === undefined || entry.libc.includes('glibc'));

const stale = () => {
  if (!existsSync('node_modules/.package-lock.json')) return 'there is no node_modules';
  const wanted = read('package-lock.json');
  const installed = read('node_modules/.package-lock.json');
  for (const [path, entry] of Object.entries(wanted)) {
    if (path === '' || !fits(entry)) continue;
    if (installed[path]?.version !== entry.version) return `${path} is not at ${entry.version}`;
    if (!existsSync(`${path}/package.json`)) return `${path} is not there`;
  }
  return undefined;
};

const reason = stale();
if (reason !== undefined) {
  console.error(`setup: ${reason}`);
  process.exit(1);
}
