/** `pull` of what other tools made, in OCI's and in Docker's media types, from Debian's docker-registry. */
import assert from 'node:assert/strict';
import { join } from 'node:path';
import { after, afterEach, before, test } from 'node:test';
import { TestRegistry } from '../fixtures/registry.ts';
import { toolArchives } from '../fixtures/tool-archives.ts';
import { type Host, startHost } from '../harness/host.ts';
import { assertClean, untilNoImages } from './ground.ts';

let host: Host;
let folder: string;
let registry: TestRegistry;
before(async () => {
  folder = await toolArchives();
  host = await startHost();
  registry = new TestRegistry(join(host.folder, 'registry'), { port: 5000 });
  await registry.start();
  host.remember();
});
afterEach(async () => {
  await host.ok(['image', 'prune', '-a', '-f']);
  await untilNoImages(host);
  await assertClean(host);
});
after(async () => {
  await registry?.stop();
  await host?.dispose();
});

const CASES: readonly (readonly [source: string, options: readonly string[]])[] = [
  ['docker-archive:skopeo-docker.tar', ['--format', 'v2s2']],
  ['oci-archive:skopeo-oci.tar', ['--format', 'oci']],
  ['oci:skopeo-zstd', ['--preserve-digests']],
  ['oci:umoci-folder', ['--preserve-digests']],
  ['oci-archive:podman-oci.tar', ['--format', 'v2s2']],
  ['docker-archive:buildah-docker.tar', ['--format', 'v2s2']],
  ['oci-archive:buildah-oci.tar', ['--preserve-digests']],
  ['docker-archive:docker.tar', ['--format', 'v2s2']],
];

for (const [source, options] of CASES) {
  test(`${source} ${options.join(' ')} is pulled and runs`, async () => {
    const [transport = '', file = ''] = source.split(':');
    const name = await registry.copy(
      `${transport}:${join(folder, file)}`,
      `tools/${file.split('.')[0]}:1`,
      options,
    );
    assert.equal(await host.ok(['pull', '-q', name]), name);
    const script =
      'cat /marker; echo " $A $PWD $(id -un) $(stat -c "%u %g %a" mine) $(ls /etc/nsswitch.conf)"';
    const result = await host.cli(['run', '--rm', name, script]);
    assert.equal(result.stdout, 'loaded b c /opt user 1000 50 640 \n', result.stderr);
  });
}
