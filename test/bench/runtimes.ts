/**
 * OCI runtimes without anything around them: what a container start costs when no daemon and no image stands beside it.
 */
import { execFileSync } from 'node:child_process';
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import type { Ground } from './ground.ts';
import { firstLine, quiet } from './peers.ts';

/** runc or crun. */
export interface Runtime {
  readonly name: string;
  readonly version: string;
  /** Runs `true` in a new container to its end. */
  runTrue(): Promise<void>;
  /** Writes what that many sleeping containers need. @returns their ids; the same ones each time. */
  prepareSleepers(count: number): string[];
  /** Starts a sleeping container and returns when it runs. */
  startSleeper(id: string): Promise<void>;
  /** Runs `true` in a running container. */
  execTrue(id: string): Promise<void>;
  /** The beginning of a command line that executes something there. @param flags - `-i`: nothing to them; `-it`. */
  execIn(id: string, flags: string): readonly string[];
  /** Kills and removes a container. */
  remove(id: string): Promise<void>;
}

/** A folder for each container with a config.json as `runc spec` makes it, on the rootfs that all share, read-only. */
function bundles(ground: Ground): (id: string, args: readonly string[]) => string {
  const folder = join(ground.folder, 'bundles');
  mkdirSync(folder, { recursive: true });
  const template = join(folder, 'config.json');
  execFileSync('rm', ['-f', template]);
  execFileSync('/usr/sbin/runc', ['spec', '--bundle', folder]);
  const text = readFileSync(template, 'utf8');
  return (id, args) => {
    const spec = JSON.parse(text);
    spec.process.terminal = false;
    spec.process.args = args;
    spec.root = { path: ground.rootfs, readonly: true };
    spec.linux.cgroupsPath = `${ground.cgroupParent}/${id}`;
    spec.linux.namespaces.push({ type: 'cgroup' });
    const bundle = join(folder, id);
    mkdirSync(bundle, { recursive: true });
    writeFileSync(join(bundle, 'config.json'), JSON.stringify(spec));
    return bundle;
  };
}

/** Prepares a runtime; it has no daemon. */
export function prepareRuntime(ground: Ground, name: 'runc' | 'crun'): Runtime {
  const program = name === 'runc' ? '/usr/sbin/runc' : '/usr/bin/crun';
  const root = ['--root', `/run/${name}-own`];
  const write = bundles(ground);
  const once = write(`${name}-true`, ['/bin/true']);
  let number = 0;
  return {
    name,
    version: firstLine(program, '--version'),
    runTrue: () => quiet(program, [...root, 'run', '--bundle', once, `${name}-true-${number++}`]),
    prepareSleepers: (count) =>
      Array.from({ length: count }, (_, index) => {
        const id = `${name}-sleep-${index}`;
        write(id, ['/bin/sleep', '100000']);
        return id;
      }),
    startSleeper: (id) =>
      quiet(program, [...root, 'run', '--detach', '--bundle', join(ground.folder, 'bundles', id), id]),
    execTrue: (id) => quiet(program, [...root, 'exec', id, '/bin/true']),
    execIn: (id, flags) => [program, ...root, 'exec', ...(flags.includes('t') ? ['--tty'] : []), id],
    remove: (id) => quiet(program, [...root, 'delete', '--force', id]),
  };
}
