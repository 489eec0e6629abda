/**
 * The same images unpacked by umoci, by containerd and here, compared name by name as a container sees them:
 * kind, mode, owner, time in nanoseconds, names that share a file, attributes, devices, content.
 */
import assert from 'node:assert/strict';
import { execFile, execFileSync } from 'node:child_process';
import {
  closeSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  openSync,
  readFileSync,
  rmSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { promisify } from 'node:util';
import { createLayerStore } from '../../server/image/layer-store.ts';
import { SILENT } from '../../server/model/logger.ts';
import { debianLayers } from '../fixtures/debian-image.ts';
import { ociEntries, type PackedImage, packImage } from '../fixtures/image-archive.ts';
import { type RawEntry, rawTar } from '../fixtures/raw-tar.ts';
import type { ScannedName } from '../fixtures/scan-tree.ts';
import { spawnLauncher } from '../fixtures/spawn-worker.ts';

const PROJECT = join(import.meta.dirname, '../..');
const SCAN = join(PROJECT, 'test/fixtures/scan-tree.ts');
const run = promisify(execFile);

let folder = '';
before(() => {
  folder = mkdtempSync(join(tmpdir(), 'mydocker-peers-'));
});
after(() => rmSync(folder, { recursive: true, force: true }));

/** In mounts of its own: what is mounted there is gone with the command. */
async function alone(script: string, args: readonly string[]): Promise<string> {
  const unshare = ['--mount', '--net', '--pid', '--fork', '--kill-child', '--propagation', 'private'];
  const { stdout } = await run('unshare', [...unshare, 'sh', '-euc', script, 'sh', ...args], {
    maxBuffer: 1 << 28,
  });
  return stdout;
}

const parse = (text: string): ScannedName[] =>
  text
    .trimEnd()
    .split('\n')
    .map((line) => JSON.parse(line) as ScannedName);

/** A layout as a folder, and as the tar that containerd imports. */
function layout(name: string, archive: Buffer | string): { readonly dir: string; readonly tar: string } {
  const dir = join(folder, `${name}.layout`);
  const tar = typeof archive === 'string' ? archive : `${dir}.tar`;
  if (typeof archive !== 'string') writeFileSync(tar, archive);
  mkdirSync(dir, { recursive: true });
  execFileSync('tar', ['-xf', tar, '-C', dir]);
  return { dir, tar };
}

async function byUmoci(dir: string): Promise<ScannedName[]> {
  const bundle = join(folder, 'bundle');
  rmSync(bundle, { recursive: true, force: true });
  await run('umoci', ['unpack', '--image', `${dir}:latest`, bundle]);
  return parse((await run(process.execPath, [SCAN, join(bundle, 'rootfs')], { maxBuffer: 1 << 28 })).stdout);
}

const CONTAINERD = `
  folder=$1; tar=$2; chain=$3; node=$4; scan=$5
  mount -t tmpfs tmpfs /run; mkdir -p "$folder/ctd" /run/mnt
  containerd --root "$folder/ctd" --state /run/containerd --address /run/c.sock --log-level error >&2 &
  for i in $(seq 300); do ctr -a /run/c.sock version >/dev/null 2>&1 && break; sleep 0.1; done
  ctr -a /run/c.sock image import --base-name test.example/x "$tar" >&2
  # Its garbage collection may take a view that nobody uses yet.
  for i in $(seq 50); do
    ctr -a /run/c.sock snapshot view "v$i" "$chain" >&2
    if mounts=$(ctr -a /run/c.sock snapshot mounts /run/mnt "v$i"); then break; fi
  done
  eval "$mounts"; mountpoint -q /run/mnt
  "$node" "$scan" /run/mnt
  kill $!`;

async function byContainerd(tar: string, chain: string): Promise<ScannedName[]> {
  try {
    return parse(await alone(CONTAINERD, [folder, tar, chain, process.execPath, SCAN]));
  } finally {
    rmSync(join(folder, 'ctd'), { recursive: true, force: true });
  }
}

interface Manifest {
  readonly layers: readonly { readonly digest: string }[];
  readonly config: { readonly digest: string };
}

/** Unpacks by our workers, then shows the layers as the plan of a container mounts them. */
async function byUs(dir: string): Promise<{ readonly names: ScannedName[]; readonly chain: string }> {
  const root = mkdtempSync(join(folder, 'root-'));
  const layers = createLayerStore(root, spawnLauncher().launch, SILENT);
  await layers.prepare();
  const blob = (digest: string): string => join(dir, 'blobs', digest.replace(':', '/'));
  const json = (digest: string): unknown => JSON.parse(readFileSync(blob(digest), 'utf8'));
  const index = JSON.parse(readFileSync(join(dir, 'index.json'), 'utf8')) as {
    manifests: { digest: string }[];
  };
  const manifest = json(index.manifests[0]?.digest ?? '') as Manifest;
  const below: bigint[] = [];
  let chain = '';
  for (const [at, { digest }] of manifest.layers.entries()) {
    const fd = openSync(blob(digest), 'r');
    const { diffId } = await layers.unpack(BigInt(at), { fd }, { below });
    closeSync(fd);
    await layers.publish(BigInt(at));
    below.unshift(BigInt(at));
    const next = execFileSync('sh', ['-c', 'printf %s "$1" | sha256sum', 'sh', `${chain} ${diffId}`], {
      encoding: 'utf8',
    });
    chain = chain === '' ? diffId : `sha256:${next.slice(0, 64)}`;
  }
  mkdirSync(join(root, 'empty'));
  const lower = [...below.map((serial) => layers.folder(serial)), join(root, 'empty')].join(':');
  const script = 'mount -t overlay overlay -o "ro,lowerdir=$1,xino=off" /mnt; "$2" "$3" /mnt';
  const names = parse(await alone(script, [lower, process.execPath, SCAN]));
  rmSync(root, { recursive: true });
  return { names, chain };
}

/** Lines that differ: `path field: ours | theirs`. */
function differences(ours: readonly ScannedName[], theirs: readonly ScannedName[]): string[] {
  const other = new Map(theirs.map((name) => [name.path, name]));
  const lines: string[] = [];
  for (const name of ours) {
    const their = other.get(name.path);
    other.delete(name.path);
    if (their === undefined) lines.push(`${name.path} only here`);
    for (const key of [
      'mode',
      'owner',
      'mtimeNs',
      'group',
      'device',
      'target',
      'content',
      'xattrs',
    ] as const) {
      const [a, b] = [JSON.stringify(name[key]), JSON.stringify(their?.[key])];
      if (their !== undefined && a !== b) lines.push(`${name.path} ${key}: ${a} | ${b}`);
    }
  }
  return [...lines, ...[...other.keys()].map((path) => `${path} only there`)];
}

const missing = ['umoci', 'containerd', 'ctr'].filter((tool) => !existsSync(`/usr/bin/${tool}`));

function image(layers: readonly (readonly RawEntry[])[], compression: 'none' | 'gzip' = 'gzip'): Buffer {
  return layoutOf(packImage({ layers: layers.map((entries) => rawTar(entries)), compression }));
}

function layoutOf(packed: PackedImage): Buffer {
  const named = {
    ...packed.manifest,
    annotations: { 'org.opencontainers.image.ref.name': 'latest' },
  };
  return rawTar(ociEntries([named], packed.blobs));
}

const dir = (name: string, more: Partial<RawEntry> = {}): RawEntry => ({ name: `${name}/`, ...more });
const link = (name: string, target: string): RawEntry => ({ name, type: '2', link: target });
const hard = (name: string, target: string): RawEntry => ({ name, type: '1', link: target });
const file = (name: string, data = name, more: Partial<RawEntry> = {}): RawEntry => ({ name, data, ...more });
const ROOT = dir('.', { mtime: 5 });
const CAPABILITY = Buffer.from('0100000200040000000000000000000000000000', 'hex');

/**
 * An image, and what containerd 1.6 makes otherwise; umoci makes all of it as we do. docs/unpacking.md says why ours
 * stands.
 */
interface OddImage {
  readonly layers: readonly (readonly RawEntry[])[];
  /** Lines of {@link differences}. */
  readonly containerd?: readonly RegExp[];
  /** It refuses the image, with these words. */
  readonly containerdRefuses?: RegExp;
}

/** Directories that no layer has are of the time of the unpacking; umoci's `opt` is, too. See docs/unpacking.md. */
const IMPLIED_TIMES = /^opt(\/deep(\/er)?)? mtimeNs:/;

/** It gives the root the time of the unpacking, and a directory that is only implied too. */
const ROOT_TIME = /^ mtimeNs:/;

const ODD: Readonly<Record<string, OddImage>> = {
  'every kind, mode and owner': {
    layers: [
      [
        ROOT,
        dir('d', { mode: 0o3775, uid: 3, gid: 4, mtime: 1000 }),
        file('d/setuid', 'x', { mode: 0o6755, uid: 1, gid: 2, pax: { mtime: '1000.123456789' } }),
        file('d/cap', 'x', { mode: 0o755, pax: { 'SCHILY.xattr.security.capability': CAPABILITY } }),
        file('d/user', 'x', { pax: { 'SCHILY.xattr.user.name': 'value' } }),
        link('d/link', '../nowhere'),
        hard('d/hard', 'd/setuid'),
        { name: 'd/null', type: '3', major: 1, minor: 3, mode: 0o666 },
        { name: 'd/loop', type: '4', major: 7, minor: 300, mode: 0o660, gid: 6 },
        { name: 'd/fifo', type: '6', mode: 0o640 },
        file('d/old', 'x', { pax: { mtime: '-5.5' } }),
        { name: Buffer.from('d/\xff\xfe \n', 'latin1'), data: 'bytes' },
      ],
    ],
    // The looks of a hard link's entry go over those of the file; a time before 1970 is 1970.
    containerd: [/^d\/(hard|setuid) (mode|owner|mtimeNs):/, /^d\/old mtimeNs: "-5500000000" \| "0"$/],
  },
  'whiteouts and opaque directories': {
    layers: [
      [
        ROOT,
        dir('a'),
        file('a/1'),
        file('a/2'),
        dir('b'),
        dir('b/c'),
        file('b/c/3'),
        dir('o'),
        file('o/4'),
        file('f'),
      ],
      [
        dir('a', { mtime: 9 }),
        file('a/.wh.1', ''),
        file('b/.wh.c', ''),
        dir('o', { mtime: 8 }),
        file('o/.wh..wh..opq', ''),
        file('o/5'),
        file('.wh.f', ''),
      ],
      [dir('b', { mtime: 7 }), dir('b/c', { mtime: 6 }), file('b/c/6'), file('f', 'again')],
    ],
  },
  'kinds that change': {
    layers: [
      [ROOT, dir('d'), file('d/x'), file('f'), link('l', 'd'), dir('e'), file('e/y')],
      [
        file('d', 'now a file'),
        dir('f', { mtime: 3 }),
        file('f/z'),
        dir('l', { mtime: 4 }),
        file('l/own'),
        link('e', 'f'),
      ],
    ],
  },
  'implied directories keep their looks': {
    layers: [
      [
        ROOT,
        dir('a', { mode: 0o1777, uid: 5, mtime: 11 }),
        dir('a/b', { mode: 0o700, gid: 6, mtime: 12 }),
        file('a/b/old'),
      ],
      [file('a/b/new')],
    ],
    containerd: [/^a(\/b)? mtimeNs:/],
  },
  'symlinks of a lower layer as parents': {
    layers: [
      [
        ROOT,
        dir('usr', { mtime: 2 }),
        dir('usr/bin', { mtime: 3 }),
        link('bin', 'usr/bin'),
        link('abs', '/usr/bin'),
      ],
      [file('bin/one'), file('abs/two')],
    ],
    // It knows the new layer alone, and makes directories that hide the symlinks.
    containerd: [/^(bin|abs|usr\/bin)(\/one|\/two)? /],
  },
  'hard links to a lower layer': {
    layers: [
      [
        ROOT,
        dir('d', { mtime: 3 }),
        file('d/f', 'content', { mode: 0o4711, uid: 7, pax: { 'SCHILY.xattr.user.k': 'v' } }),
      ],
      [hard('g', 'd/f')],
    ],
    containerdRefuses: /link .* no such file or directory/,
  },
};

const skip = missing.length > 0 && `without ${missing.join(', ')}`;

for (const [name, odd] of Object.entries(ODD)) {
  test(`as umoci and containerd: ${name}`, { skip }, async () => {
    const { dir, tar } = layout(name.replaceAll(/\W/g, '-'), image(odd.layers));
    const ours = await byUs(dir);
    assert.deepEqual(differences(ours.names, await byUmoci(dir)), []);
    if (odd.containerdRefuses !== undefined) {
      await assert.rejects(byContainerd(tar, ours.chain), odd.containerdRefuses);
      return;
    }
    const known = [ROOT_TIME, ...(odd.containerd ?? [])];
    const lines = differences(ours.names, await byContainerd(tar, ours.chain));
    assert.deepEqual(
      lines.filter((line) => !known.some((pattern) => pattern.test(line))),
      [],
    );
  });
}

test('as umoci and containerd: Debian with packages and changes of every kind', { skip }, async () => {
  const layers = debianLayers().map((path) => readFileSync(path));
  const whole = layout('debian', layoutOf(packImage({ layers })));
  const { names } = await byUs(whole.dir);
  assert.ok(names.length > 11_000, String(names.length));
  const inUmoci = differences(names, await byUmoci(whole.dir));
  assert.deepEqual(
    inUmoci.filter((line) => !IMPLIED_TIMES.test(line)),
    [],
  );
  // containerd takes no hard link to what only a lower layer has.
  const last = join(folder, 'last.tar');
  writeFileSync(last, layers.pop() ?? '');
  execFileSync('tar', ['--delete', '-f', last, 'opt/lower']);
  const images = packImage({ layers: [...layers, readFileSync(last)] });
  const without = layout('debian-without', layoutOf(images));
  const ours = await byUs(without.dir);
  const lines = differences(ours.names, await byContainerd(without.tar, ours.chain));
  assert.deepEqual(
    // The looks of a hard link's entry go over those of the file there.
    lines.filter((line) => !isTimeOfDirectory(ours.names, line) && !/^opt\/(one|two) /.test(line)),
    [],
  );
});

/** containerd gives directories that a layer implies the time of the unpacking. */
function isTimeOfDirectory(names: readonly ScannedName[], line: string): boolean {
  const path = / mtimeNs: "\d+" \| "\d+"$/.exec(line);
  const name = path === null ? undefined : names.find((each) => each.path === line.slice(0, path.index));
  return name?.mode.startsWith('4') === true;
}
