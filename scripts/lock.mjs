/**
 * Makes package-lock.json anew, from nothing but package.json: with node_modules present npm would leave out
 * the packages of other platforms. What the registry at hand does not carry for another platform is entered by
 * name and version only, so that `npm ci` finds the lock complete and skips it everywhere else.
 *
 *     node scripts/lock.mjs
 */
import { execFileSync } from 'node:child_process';
import { copyFileSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

const CPU = { x64: 'x64', arm64: 'arm64', aarch64: 'arm64', armv7: 'arm', arm: 'arm' };
const OS = ['linux', 'darwin', 'win32', 'android', 'freebsd', 'openbsd', 'netbsd', 'sunos', 'aix'];

/** The entry of a package that is for another platform, read off its name: `@biomejs/cli-darwin-arm64`. */
function platformEntry(name, version) {
  const words = name.split(/[/-]/);
  const os = words.find((word) => OS.includes(word));
  const cpu = words.map((word) => CPU[word]).find(Boolean);
  if (os === undefined)
    throw new Error(`${name}: not in the registry, and for no platform that its name tells`);
  const libc = words.includes('musl') ? { libc: ['musl'] } : {};
  return { version, ...(cpu ? { cpu: [cpu] } : {}), ...libc, optional: true, os: [os] };
}

const folder = mkdtempSync(join(tmpdir(), 'mydocker-lock-'));
try {
  for (const file of ['package.json', '.npmrc']) copyFileSync(file, join(folder, file));
  execFileSync('npm', ['install', '--package-lock-only', '--ignore-scripts'], {
    cwd: folder,
    stdio: 'inherit',
  });
  const lock = JSON.parse(readFileSync(join(folder, 'package-lock.json'), 'utf8'));
  for (const entry of Object.values(lock.packages))
    for (const [name, version] of Object.entries(entry.optionalDependencies ?? {}))
      lock.packages[`node_modules/${name}`] ??= { ...platformEntry(name, version), dev: entry.dev };
  const sorted = Object.entries(lock.packages).sort(([a], [b]) => (a < b ? -1 : 1));
  writeFileSync(
    'package-lock.json',
    `${JSON.stringify({ ...lock, packages: Object.fromEntries(sorted) }, null, 2)}\n`,
  );
} finally {
  rmSync(folder, { recursive: true });
}
