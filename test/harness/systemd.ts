/**
 * systemd as process 1 of namespaces of its own, in groups of its own, with nothing but a command and a bus: what a
 * machine under systemd is to a server, on a machine that is not, or that has better things to do.
 */
import { existsSync, mkdirSync, mkdtempSync, readFileSync, rmdirSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { basename, join } from 'node:path';
import { readCgroupLayout } from '../../server/cgroup/layout.ts';
import { makeRoom } from '../../server/cgroup/parent.ts';
import { treeOf } from '../../server/cgroup/processes.ts';
import { testName } from './clean.ts';
import { run } from './cli.ts';

export const SYSTEMD_PROGRAM = '/lib/systemd/systemd';

const quote = (word: string): string => `'${word.replaceAll("'", "'\\''")}'`;

/** Mounts that the machine's own would else shine through, and the units; then it becomes systemd. */
const INSIDE = `
set -eu
mount -t proc proc /proc
# systemd sets some of the whole machine's.
for part in fs kernel vm; do
  mount --bind /proc/sys/$part /proc/sys/$part
  mount -o remount,bind,ro /proc/sys/$part
done
mount -t tmpfs -o mode=755 run /run
mkdir -p /run/systemd/system
if [ "$LAYOUT" = v2 ]; then
  umount -R /sys/fs/cgroup
  mount -t cgroup2 cgroup2 /sys/fs/cgroup
else
  mount -t tmpfs -o mode=755 cgroup /sys/fs/cgroup
  cut -d: -f2 /proc/self/cgroup | while read -r controllers; do
    case $controllers in
      '') mkdir /sys/fs/cgroup/unified; mount -t cgroup2 cgroup2 /sys/fs/cgroup/unified ;;
      name=*) mkdir "/sys/fs/cgroup/\${controllers#name=}"
        mount -t cgroup -o "none,$controllers" cgroup "/sys/fs/cgroup/\${controllers#name=}" ;;
      *) mkdir "/sys/fs/cgroup/$controllers"; mount -t cgroup -o "$controllers" cgroup "/sys/fs/cgroup/$controllers" ;;
    esac
  done
  if [ ! -e /sys/fs/cgroup/systemd ]; then
    mkdir /sys/fs/cgroup/systemd
    mount -t cgroup -o none,name=systemd cgroup /sys/fs/cgroup/systemd
  fi
fi
ip link set lo up
# On v2 whoever made these namespaces has to leave the group first, or it hands no controllers down.
: >"$UNITS/ready"
while [ ! -e "$UNITS/go" ]; do sleep 0.1; done
cp "$UNITS"/*.* /run/systemd/system/
for unit in dbus.socket dbus.service; do
  mkdir "/run/systemd/system/$unit.d"
  printf '[Unit]\\nDefaultDependencies=no\\n' >"/run/systemd/system/$unit.d/alone.conf"
done
exec env -i PATH="$PATH" container=other ${SYSTEMD_PROGRAM} --unit=guest.target --log-target=null --show-status=no
`;

/** A command as the only unit; its end is that of everything. */
function units(command: readonly string[], output: string): Readonly<Record<string, string>> {
  const service = [
    '[Unit]\nDefaultDependencies=no\nWants=dbus.socket\nAfter=dbus.socket',
    '[Service]\nType=oneshot\nTimeoutStartSec=infinity',
    `Environment="PATH=${process.env['PATH']}" HOME=/root MYDOCKER_TEST_SLOWNESS=${process.env['MYDOCKER_TEST_SLOWNESS'] ?? 1}`,
    `WorkingDirectory=${process.cwd()}`,
    `StandardOutput=append:${output}\nStandardError=append:${output}`,
    `ExecStart=/bin/sh -c "${command.map(quote).join(' ')}; echo status $?"`,
    // Ends systemd at once. Source: systemd(1), SIGRTMIN+13.
    'ExecStopPost=/bin/sh -c "kill -RTMIN+13 1"',
  ];
  return {
    'guest.target': '[Unit]\nDefaultDependencies=no\nWants=guest.service\n',
    'guest.service': `${service.join('\n')}\n`,
  };
}

/**
 * A group in each hierarchy, which becomes the root of what is inside.
 * @param folders - gets those that are made.
 * @returns what to join them by.
 */
function makeGroups(name: string, folders: string[]): readonly string[] {
  const layout = readCgroupLayout();
  const mounts = [
    ...layout.hierarchies.map(({ path }) => path),
    ...(layout.unified === undefined ? [] : [layout.unified]),
  ];
  for (const mount of mounts) {
    mkdirSync(`${mount}/${name}`);
    folders.push(`${mount}/${name}`);
  }
  for (const [index, folder] of folders.entries())
    for (const file of ['cpuset.cpus', 'cpuset.mems'])
      if (layout.kind !== 'v2' && existsSync(`${folder}/${file}`)) {
        writeFileSync(`${folder}/${file}`, readFileSync(`${mounts[index]}/${file}`));
        writeFileSync(`${folder}/cgroup.clone_children`, '1');
      }
  if (layout.kind === 'v2') {
    const has = readFileSync(`${layout.unified}/cgroup.controllers`, 'utf8').trim().split(' ');
    const enable = (): void =>
      writeFileSync(`${layout.unified}/cgroup.subtree_control`, has.map((one) => `+${one}`).join(' '));
    try {
      if (has[0] !== '') enable();
    } catch (error) {
      if (!makeRoom(layout.unified)) throw error;
      enable();
    }
  }
  return folders.map((folder) => `${folder}/cgroup.procs`);
}

async function removeGroups(folders: readonly string[]): Promise<void> {
  for (let tries = 0; tries < 200; tries += 1) {
    for (const path of folders.flatMap((folder) => treeOf(folder).reverse()))
      try {
        rmdirSync(path);
      } catch {
        // Its processes are not quite gone.
      }
    if (folders.every((folder) => !existsSync(folder))) return;
    await new Promise((resolve) => setTimeout(resolve, 20));
  }
  throw new Error(`cgroups are left behind: ${folders.filter((folder) => existsSync(folder)).join(' ')}`);
}

/**
 * Boots, runs a command as a service, switches off.
 * @returns the command's exit status and everything it wrote.
 */
export async function underSystemd(
  command: readonly string[],
  timeoutMs: number,
): Promise<{ readonly code: number; readonly output: string }> {
  const folder = mkdtempSync(join(tmpdir(), `${testName('systemd')}-`));
  const folders: string[] = [];
  try {
    const output = join(folder, 'output');
    mkdirSync(join(folder, 'units'));
    for (const [name, text] of Object.entries(units(command, output)))
      writeFileSync(join(folder, 'units', name), text);
    writeFileSync(join(folder, 'inside'), INSIDE);
    const procs = makeGroups(basename(folder), folders);
    const { kind, unified = '' } = readCgroupLayout();
    const own = /^0::(.*)$/m.exec(readFileSync('/proc/self/cgroup', 'utf8'))?.[1] ?? '';
    const script = [
      'set -eu',
      ...procs.map((file) => `echo $$ >${quote(file)}`),
      'unshare --mount --net --uts --ipc --cgroup --pid --fork --kill-child --propagation private sh "$UNITS/../inside" &',
      'while [ ! -e "$UNITS/ready" ] && kill -0 $!; do sleep 0.1; done',
      ...(kind === 'v2' ? ['$!', '$$'] : []).map(
        (pid) => `echo ${pid} >${quote(`${unified}${own}/cgroup.procs`)}`,
      ),
      ': >"$UNITS/go"',
      'wait $!',
    ].join('\n');
    const env = { LAYOUT: kind, UNITS: join(folder, 'units') };
    const ended = await run('sh', ['-c', script], { env, timeoutMs });
    const text = existsSync(output) ? readFileSync(output, 'utf8') : '';
    const status = /^status (\d+)$/m.exec(text)?.[1];
    return {
      code: Number(status ?? 1),
      output: status === undefined ? `${text}${ended.stdout}${ended.stderr}` : text,
    };
  } finally {
    await removeGroups(folders);
    rmSync(folder, { recursive: true, force: true });
  }
}
