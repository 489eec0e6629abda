/**
 * Who understands whom: images of every maker, at docker-registry and at the mock of the tests, are pulled, run and pushed
 * on by mydocker; what it pushed is pulled and run by docker, podman and ctr.
 *
 *   scripts/compare-registry.sh [--write]    --write: the table of docs/registries.md is written anew
 */
import { execFile } from 'node:child_process';
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { type Ground, prepareGround } from '../bench/ground.ts';
import { type Own, startOwn } from '../bench/own.ts';
import { type Peer, startContainerd, startDocker, startPodman } from '../bench/peers.ts';
import { TestRegistry } from '../fixtures/registry.ts';
import { RegistryMock } from '../fixtures/registry-mock.ts';
import { toolArchives } from '../fixtures/tool-archives.ts';
import { PROJECT } from '../harness/cli.ts';

const PATH = join(PROJECT, 'docs/registries.md');
const BEGIN = '<!-- generated: npm run compare:registry -- --write -->';
const END = '<!-- end -->';
/** What each image says when it is asked, whoever made it. */
const SAYS = 'loaded';
const SCRIPT = `cat /marker 2>/dev/null || echo ${SAYS}`;

/** What cannot be, by maker and column. */
const NOT_POSSIBLE: Readonly<Record<string, string>> = {
  'skopeo, zstd docker': 'no: Docker 20.10 reads no zstd',
};

/** Puts an image under a name at a registry. */
interface Maker {
  readonly name: string;
  put(reference: string): Promise<void>;
}

/** One image on its way. */
interface Row {
  readonly maker: string;
  readonly registry: string;
  /** `yes`, or what went wrong, by column. */
  readonly cells: Readonly<Record<string, string>>;
}

async function main(): Promise<number> {
  const ground = await prepareGround();
  try {
    const registry = new TestRegistry(join(ground.folder, 'registry'), { port: 5000 });
    const mock = new RegistryMock();
    await Promise.all([registry.start(), mock.start()]);
    const docker = await startDocker(ground);
    const peers = [docker, await startPodman(ground), await startContainerd(ground)];
    const own = await startOwn(ground);
    const rows: Row[] = [];
    const makers = await makersOf(ground, own, peers);
    for (const { name: kind, address } of [
      { name: 'docker-registry', address: registry.address },
      { name: 'mock', address: mock.address },
    ])
      for (const maker of makers) {
        const row = await walk(maker, kind, address, own, peers);
        rows.push(row);
        console.log(row.maker.padEnd(22), kind.padEnd(18), JSON.stringify(row.cells));
      }
    if (process.argv.includes('--write')) write(rows, peers);
    for (const one of [own, ...peers]) await one.stop();
    await registry.stop();
    await mock.stop();
    const failed = rows.filter(({ cells }) =>
      Object.values(cells).some((cell) => !/^(?:yes|no: )/.test(cell)),
    ).length;
    console.log(`${rows.length} images, ${failed} of them not everywhere where they could be`);
    return failed === 0 ? 0 : 1;
  } finally {
    await ground.clear();
  }
}

/** Each with the tool's own way to a registry where it has one. */
async function makersOf(ground: Ground, own: Own, peers: readonly Peer[]): Promise<readonly Maker[]> {
  const folder = await toolArchives();
  const skopeo = (source: string) => async (reference: string) => {
    const args = ['copy', '-q', '--insecure-policy', '--preserve-digests', '--dest-tls-verify=false'];
    // Not waited for in one piece: the mock answers from this process.
    await promisify(execFile)('skopeo', [...args, source, `docker://${reference}`]);
  };
  const byPeer = (name: string, archive: string, loaded: string): Maker => {
    const peer = peers.find((each) => each.name === name) as Peer;
    return {
      name,
      put: async (reference) => {
        await peer.load(join(folder, archive));
        await peer.tag(loaded, reference);
        await peer.push(reference);
        await peer.forgetImage(reference);
        // What it has of it already would not be fetched later.
        await peer.forgetImage(loaded);
      },
    };
  };
  return [
    { name: 'skopeo', put: skopeo(`oci-archive:${folder}/skopeo-oci.tar`) },
    { name: 'skopeo, zstd', put: skopeo(`oci:${folder}/skopeo-zstd`) },
    { name: 'umoci', put: skopeo(`oci:${folder}/umoci-folder`) },
    byPeer('docker', 'docker.tar', 'tools/docker:1'),
    byPeer('podman', 'podman-oci.tar', 'localhost/tools/podman:1'),
    {
      name: 'mydocker, import',
      put: async (reference) => {
        await own.cli(['import', '--change', 'ENTRYPOINT ["sh","-c"]', ground.tar, reference]);
        await own.cli(['push', '-q', reference]);
        await own.cli(['rmi', reference]);
      },
    },
    {
      name: 'mydocker, load',
      put: async (reference) => {
        await own.cli(['load', '-q', '-i', join(folder, 'docker.tar')]);
        await own.cli(['tag', 'tools/docker:1', reference]);
        await own.cli(['push', '-q', reference]);
        await own.cli(['rmi', 'tools/docker:1', reference]);
      },
    },
  ];
}

async function walk(
  maker: Maker,
  registry: string,
  address: string,
  own: Own,
  peers: readonly Peer[],
): Promise<Row> {
  const path = maker.name.replaceAll(/[^a-z]+/g, '-');
  const [source, target] = [`${address}/made/${path}:1`, `${address}/again/${path}:2`];
  const cells: Record<string, string> = {};
  const step = async (column: string, work: () => Promise<string | undefined>): Promise<void> => {
    cells[column] = await work().then(
      (said) => (said === undefined || said.trim() === SAYS ? 'yes' : `says ${said}`),
      (error: unknown) =>
        NOT_POSSIBLE[`${maker.name} ${column}`] ?? String(error).split('\n').slice(0, 3).join(' '),
    );
  };
  await step('put', async () => void (await maker.put(source)));
  await step('pulled and run', async () => {
    await own.cli(['pull', '-q', source]);
    return await own.read(['run', '--rm', '--network', 'none', source, SCRIPT]);
  });
  await step('pushed', async () => {
    await own.cli(['tag', source, target]);
    await own.cli(['push', '-q', target]);
    const [before, after] = [await digestAt(source), await digestAt(target)];
    return before === after ? undefined : `${after}, not ${before}`;
  });
  for (const peer of peers)
    await step(peer.name, async () => {
      await peer.pull(target);
      const said = await peer.output(target, peer.name === 'ctr' ? ['sh', '-c', SCRIPT] : [SCRIPT]);
      await peer.forgetImage(target);
      return said;
    });
  await own.cli(['rmi', '-f', source, target]).catch(() => undefined);
  return { maker: maker.name, registry, cells };
}

async function digestAt(reference: string): Promise<string> {
  const args = ['inspect', '--tls-verify=false', '--no-tags', '--format', '{{.Digest}}'];
  const { stdout } = await promisify(execFile)('skopeo', [...args, `docker://${reference}`]);
  return stdout.trim();
}

function write(rows: readonly Row[], peers: readonly Peer[]): void {
  const text = readFileSync(PATH, 'utf8');
  const [before = ''] = text.split(BEGIN);
  const [, after = ''] = text.split(END);
  const columns = Object.keys(rows[0]?.cells ?? {});
  const table = [
    `| made by | at | ${columns.join(' | ')} |`,
    `| --- | --- | ${columns.map(() => '---').join(' | ')} |`,
    ...rows.map(({ maker, registry, cells }) => {
      return `| ${maker} | ${registry} | ${columns.map((column) => cells[column] ?? '').join(' | ')} |`;
    }),
  ];
  const versions = peers.map(({ version }) => version).join('; ');
  writeFileSync(PATH, `${before}${BEGIN}\n\n${versions}\n\n${table.join('\n')}\n\n${END}${after}`);
}

process.exitCode = await main();
