/** `load` of what other tools write: every form of each, run, and its config compared with what they were given. */
import assert from 'node:assert/strict';
import { join } from 'node:path';
import { after, afterEach, before, test } from 'node:test';
import { toolArchives } from '../fixtures/tool-archives.ts';
import { type Host, startHost } from '../harness/host.ts';
import { assertClean, untilNoImages } from './ground.ts';

let host: Host;
let folder: string;
before(async () => {
  folder = await toolArchives();
  host = await startHost();
});
afterEach(() => assertClean(host));
after(() => host.dispose());

/** Everything of every image goes. */
const empty = (): Promise<string[]> => untilNoImages(host);

/** What the image that all tools were given says about containers. */
const CONFIG = {
  ...{ entrypoint: ['/bin/sh', '-c'], command: ['cat /marker; echo " $A $PWD $(id -un)"'] },
  ...{ env: ['PATH=/bin:/usr/bin', 'A=b c'], workingDir: '/opt', user: 'user:staff', volumes: ['/vol'] },
  stopSignal: 'SIGQUIT',
};

const CASES: readonly (readonly [file: string, references: readonly string[]])[] = [
  ['skopeo-docker.tar', ['tools/skopeo:docker']],
  ['skopeo-oci.tar', ['tools/skopeo:oci']],
  ['skopeo-folder', ['tools/skopeo:folder']],
  ['skopeo-zstd', ['tools/skopeo:zstd']],
  ['umoci-folder', []],
  ['podman-docker.tar', ['localhost/tools/podman:1']],
  ['podman-oci.tar', ['localhost/tools/podman:1']],
  ['podman-folder', ['localhost/tools/podman:1']],
  ['podman-two.tar', ['localhost/tools/podman:1', 'localhost/tools/podman:2']],
  ['buildah-docker.tar', ['tools/buildah:docker']],
  ['buildah-oci.tar', ['tools/buildah:oci']],
  ['docker.tar', ['tools/docker:1']],
  ['docker-three.tar', ['tools/docker:1', 'tools/docker:2', 'tools/docker:3']],
  ['docker-id.tar', []],
];

for (const [file, references] of CASES) {
  test(`${file} is loaded and runs`, async () => {
    const lines = (await host.ok(['load', '-i', join(folder, file)])).split('\n');
    const [id = ''] = /sha256:\w+/.exec(lines[0] ?? '') ?? [];
    const expected = references.map((reference) => `Loaded image: ${reference}`);
    assert.deepEqual(lines, references.length === 0 ? [`Loaded image ID: ${id}`] : expected);
    const [image = id] = references;
    const [{ config }] = JSON.parse(await host.ok(['image', 'inspect', '--format', 'api', image])) as [
      { config: Record<string, unknown> },
    ];
    for (const [key, value] of Object.entries(CONFIG)) assert.deepEqual(config[key], value, key);
    assert.equal((config['labels'] as Record<string, string>)['a.b'], 'c d');
    const script =
      'cat /marker; echo " $A $PWD $(id -un) $(stat -c "%u %g %a" mine) $(ls /etc/nsswitch.conf)"';
    // The whiteout hides, the file has its owner, the user is the image's.
    const result = await host.cli(['run', '--rm', image, script]);
    assert.equal(result.stdout, 'loaded b c /opt user 1000 50 640 \n', result.stderr);
    assert.equal(await host.ok(['run', '--rm', image]), 'loaded b c /opt user');
    await host.ok(['rmi', ...(references.length === 0 ? [id] : references)]);
    await empty();
  });
}
