/** What images at registries may be made of, and what is none: digests, layers, kinds of documents. */
import assert from 'node:assert/strict';
import { after, afterEach, before, test } from 'node:test';
import {
  descriptorOf,
  OCI_INDEX_TYPE,
  OCI_LAYER_TYPE,
  OCI_MANIFEST_TYPE,
  packImage,
  sha256,
  sha512,
} from '../fixtures/image-archive.ts';
import { rawTar } from '../fixtures/raw-tar.ts';
import { answer, type PullGround, startPullGround } from './pull-ground.ts';

let ground: PullGround;
let base: Buffer;
before(async () => {
  ground = await startPullGround();
  [base = Buffer.alloc(0)] = ground.image.layers;
});
afterEach(() => ground.clean());
after(() => ground?.dispose());

/** Puts a document under a tag. @returns its reference. */
function put(
  tag: string,
  mediaType: string,
  document: object,
  blobs: Iterable<readonly [string, Buffer]> = [],
): string {
  const bytes = Buffer.from(JSON.stringify({ schemaVersion: 2, mediaType, ...document }));
  const manifest = descriptorOf(mediaType, bytes);
  return ground.mock.put({ manifest, blobs: new Map([...blobs, [manifest.digest, bytes]]) }, tag);
}

test('sha512 in every place but a diff id, by tag and by digest', async () => {
  const { host, mock } = ground;
  const upper = rawTar([{ name: 'marker', data: 'long digests' }]);
  const config = { config: { Cmd: ['cat', '/marker'] } };
  const image = packImage({ layers: [base, upper], config, digest: sha512, compression: 'gzip' });
  const platform = { os: 'linux', architecture: 'amd64' };
  const name = put('long:1', OCI_INDEX_TYPE, { manifests: [{ ...image.manifest, platform }] }, image.blobs);
  assert.match(await host.ok(['pull', name]), /Status: Downloaded newer image/);
  assert.equal(await host.ok(['run', '--rm', name]), 'long digests');
  assert.match(await host.ok(['pull', name]), /Status: Image is up to date/);
  await host.ok(['rmi', name]);
  const byDigest = `${mock.address}/long@${image.manifest.digest}`;
  await ground.pull(byDigest);
  assert.equal(await host.ok(['run', '--rm', byDigest]), 'long digests');
  assert.match(await host.ok(['images', '--digests']), new RegExp(`/long +<none> +${image.manifest.digest}`));
  await host.ok(['rmi', byDigest]);
  // Each of them is compared.
  const layer = [...image.blobs.keys()][1] ?? '';
  for (const digest of [image.manifest.digest, sha512(image.config), layer]) {
    await ground.prune();
    const bytes = Buffer.from(image.blobs.get(digest) ?? []);
    bytes[bytes.length - 1] = (bytes.at(-1) ?? 0) ^ 1;
    const kind = digest === image.manifest.digest ? 'manifests' : 'blobs';
    mock.on(new RegExp(`${kind}/${digest}`), answer(200, { 'content-type': OCI_MANIFEST_TYPE }, bytes));
    await ground.fails(/is something else|has the digest sha256:.*, not sha512:/, name);
    mock.reset();
  }
  const diffIds = { rootfs: { type: 'layers', diff_ids: [base, upper].map(sha512) } };
  const odd = mock.put(packImage({ layers: [base, upper], config: diffIds }), 'odd:1');
  await ground.fails(/rootfs.diff_ids.* is no digest: sha256|rootfs.diff_ids.*sha256/, odd);
});

test('what has digests of sha512 is pushed on with those of sha256', async () => {
  const { host, mock } = ground;
  const config = { config: { Cmd: ['cat', '/marker'] } };
  const layers = [base, rawTar([{ name: 'marker', data: 'long digests' }])];
  const onlyLayers = (bytes: Buffer): string => (bytes[0] === 0x1f ? sha512(bytes) : sha256(bytes));
  for (const digest of [sha512, onlyLayers]) {
    const image = packImage({ layers, config, digest, compression: 'gzip' });
    const [name, there] = [mock.put(image, 'long:2'), `${mock.address}/sent:1`];
    await ground.pull(name);
    const id = await host.ok(['images', '-q', name]);
    mock.empty();
    await host.ok(['tag', name, there]);
    await host.ok(['push', '-q', there]);
    const manifest = mock.has('sent:1')?.toString() ?? '';
    const packed = [...image.blobs.values()].slice(0, 2).map(sha256);
    for (const layer of packed) assert.match(manifest, new RegExp(`"${layer}"`));
    assert.doesNotMatch(manifest, /sha512/);
    await ground.prune();
    await ground.pull(there);
    assert.equal(await host.ok(['images', '-q', there]), id);
    await ground.prune();
    mock.empty();
  }
});

test('layers with nothing in them, and layers of other places that are here all the same', async () => {
  const { host, mock } = ground;
  const nothing = rawTar([]);
  const image = packImage({
    layers: [nothing, base, nothing],
    config: { config: { Cmd: ['echo', 'here'] } },
  });
  const foreign = 'application/vnd.oci.image.layer.nondistributable.v1.tar';
  const { digest, size } = descriptorOf(foreign, base);
  const layers = [
    descriptorOf(OCI_LAYER_TYPE, nothing),
    { mediaType: foreign, digest, size, urls: [`http://${ground.other.address}/x`] },
    descriptorOf(OCI_LAYER_TYPE, nothing),
  ];
  const config = descriptorOf('application/vnd.oci.image.config.v1+json', image.config);
  const name = put('odd:1', OCI_MANIFEST_TYPE, { config, layers }, image.blobs);
  await ground.pull(name);
  assert.equal(await host.ok(['run', '--rm', name]), 'here');
  assert.deepEqual(ground.other.seen, []);
  await host.ok(['rmi', name]);
  const bare = mock.put(packImage({ layers: [] }), 'bare:1');
  await ground.pull(bare);
  await host.ok(['rmi', bare]);
});

test('what is no image is told as what it is', async () => {
  const empty = Buffer.from('{}');
  const none = descriptorOf('application/vnd.oci.empty.v1+json', empty);
  const blobs = [[sha256(empty), empty] as const];
  const artifact = { artifactType: 'application/vnd.example', config: none, layers: [none] };
  const chart = { config: descriptorOf('application/vnd.cncf.helm.config.v1+json', empty), layers: [none] };
  const cases: [name: string, says: RegExp][] = [
    [
      put('no:1', OCI_MANIFEST_TYPE, artifact, blobs),
      /it is no image, but of the type application\/vnd.oci.empty/,
    ],
    [
      put('no:2', OCI_MANIFEST_TYPE, chart, blobs),
      /it is no image, but of the type application\/vnd.cncf.helm/,
    ],
    [
      put('no:3', 'application/vnd.oci.artifact.manifest.v1+json', {}),
      /of the type application\/vnd.oci.artifact/,
    ],
    [
      put('no:4', 'application/vnd.docker.distribution.manifest.v1+json', { schemaVersion: 1 }),
      /schema version 1, which nobody writes/,
    ],
    [
      put(
        'no:5',
        OCI_INDEX_TYPE,
        { manifests: [{ ...none, artifactType: 'application/vnd.example' }] },
        blobs,
      ),
      /there is no image in it/,
    ],
  ];
  for (const [name, says] of cases) await ground.fails(says, name);
});
