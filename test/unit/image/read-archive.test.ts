/**
 * What is read out of an archive of images, and what is refused: one line for each way in which its documents
 * can be wrong. The files lie on a disk as a worker leaves them.
 */
import assert from 'node:assert/strict';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, describe, test } from 'node:test';
import { ArchiveFiles } from '../../../server/image/archive-files.ts';
import type { ArchiveImage, ArchiveWish } from '../../../server/image/archive-image.ts';
import { readArchive } from '../../../server/image/read-archive.ts';
import type { SpooledEntry } from '../../../server/image/spool-table.ts';
import { type Digest, digestOf } from '../../../server/model/digest.ts';
import { MydockerError } from '../../../server/model/error.ts';
import {
  blobPath,
  descriptorOf,
  named,
  OCI_CONFIG_TYPE,
  OCI_INDEX_TYPE,
  OCI_LAYER_TYPE,
  OCI_MANIFEST_TYPE,
  ociEntries,
  packImage,
  sha256,
} from '../../fixtures/image-archive.ts';
import type { RawEntry } from '../../fixtures/raw-tar.ts';

let folder = '';
before(() => {
  folder = mkdtempSync(join(tmpdir(), 'mydocker-read-archive-'));
});
after(() => rmSync(folder, { recursive: true }));

let numbers = 0;

/** As the worker spools them. */
function spooled(entries: readonly RawEntry[]): ArchiveFiles {
  const table = entries.flatMap(({ name = '', type, data = '', link }): SpooledEntry[] => {
    if (type === '5') return [];
    if (type === '2') return [{ kind: 'symlink', name: String(name), target: String(link) }];
    const bytes = Buffer.from(data);
    numbers += 1;
    writeFileSync(join(folder, String(numbers)), bytes);
    const digest = digestOf(bytes);
    return [{ kind: 'file', name: String(name), number: numbers, digest, sizeBytes: bytes.length }];
  });
  return new ArchiveFiles(folder, table);
}

const WISH: ArchiveWish = {
  platform: { os: 'linux', architecture: 'amd64', variant: '' },
  isPlatformAsked: false,
  defaultReference: '',
};
const read = (entries: readonly RawEntry[], wish: Partial<ArchiveWish> = {}): Promise<ArchiveImage[]> =>
  readArchive(spooled(entries), { ...WISH, ...wish });

const LAYER = Buffer.from('a layer, which nobody unpacks here');
const image = packImage({ layers: [LAYER] });
const name = 'docker.io/library/a:1';

/** An index within an archive. */
function indexOf(entries: readonly object[], more: object = {}): [Buffer, ReturnType<typeof descriptorOf>] {
  const bytes = Buffer.from(
    JSON.stringify({ schemaVersion: 2, mediaType: OCI_INDEX_TYPE, manifests: entries, ...more }),
  );
  return [bytes, descriptorOf(OCI_INDEX_TYPE, bytes)];
}

/** A layout whose blobs are those of images and documents. */
const layout = (
  index: readonly object[],
  documents: readonly Buffer[] = [],
  images: readonly (typeof image)[] = [image],
): RawEntry[] =>
  ociEntries(
    index,
    new Map([
      ...images.flatMap(({ blobs }) => [...blobs]),
      ...documents.map((bytes) => [sha256(bytes), bytes] as const),
    ]),
  );

describe('names', () => {
  const cases: [annotations: Record<string, string>, wish: Partial<ArchiveWish>, references: string[]][] = [
    [{ 'io.containerd.image.name': 'docker.io/library/a:1' }, {}, ['docker.io/library/a:1']],
    [{ 'org.opencontainers.image.ref.name': 'a:1' }, {}, ['docker.io/library/a:1']],
    [{ 'org.opencontainers.image.ref.name': 'localhost/a' }, {}, ['localhost/a:latest']],
    [
      { 'io.containerd.image.name': 'quay.io/x/y:2', 'org.opencontainers.image.ref.name': '2' },
      {},
      ['quay.io/x/y:2'],
    ],
    [{ 'org.opencontainers.image.ref.name': 'latest' }, {}, []],
    [{ 'org.opencontainers.image.ref.name': 'v1' }, { defaultReference: 'a/b' }, ['docker.io/a/b:v1']],
    [{}, {}, []],
    [{}, { defaultReference: 'a' }, ['docker.io/library/a:latest']],
    [{ 'io.containerd.image.name': `a@${sha256('')}` }, {}, []],
  ];
  for (const [annotations, wish, references] of cases) {
    test(`${JSON.stringify(annotations)} ${JSON.stringify(wish)}`, async () => {
      const [found, ...more] = await read(layout([{ ...image.manifest, annotations }]), wish);
      assert.deepEqual([found?.references, more], [references, []]);
    });
  }

  test('one image under several names is one image', async () => {
    const found = await read(layout([named(image, 'a:1'), named(image, 'a:2'), named(image, 'a:1')]));
    assert.deepEqual(
      found.map(({ references }) => references),
      [['docker.io/library/a:1', 'docker.io/library/a:2']],
    );
  });

  test('of both forms in one archive the tags of the older one count too', async () => {
    const entries = layout([image.manifest]);
    const config = blobPath(sha256(image.config));
    const data = JSON.stringify([{ Config: config, RepoTags: ['t:3'], Layers: [blobPath(sha256(LAYER))] }]);
    const [found] = await read([...entries, { name: 'manifest.json', data }]);
    assert.deepEqual(found?.references, ['docker.io/library/t:3']);
  });
});

describe('a platform', () => {
  const offer = (architecture: string, variant = '', os = 'linux'): readonly [typeof image, object] => {
    const packed = packImage({ layers: [LAYER], config: { architecture, variant, os, author: variant } });
    return [packed, { ...packed.manifest, platform: { os, architecture, variant } }];
  };
  const cases: [wanted: string, offered: string[], chosen: string | RegExp][] = [
    ['linux/amd64', ['linux/arm64/v8', 'linux/amd64'], 'linux/amd64'],
    ['linux/amd64', ['linux/amd64/v3', 'linux/amd64/v1'], 'linux/amd64/v1'],
    ['linux/amd64/v3', ['linux/amd64', 'linux/amd64/v2'], 'linux/amd64/v2'],
    ['linux/amd64', ['linux/386', 'linux/arm64'], 'linux/386'],
    ['linux/arm64', ['linux/arm/v7', 'linux/arm64/v8', 'linux/amd64'], 'linux/arm64/v8'],
    ['linux/arm/v6', ['linux/arm/v7', 'linux/arm/v5'], 'linux/arm/v5'],
    ['linux/arm', ['linux/arm/v6', 'linux/arm/v7'], 'linux/arm/v7'],
    [
      'linux/amd64',
      ['windows/amd64', 'linux/s390x'],
      /for windows\/amd64, linux\/s390x, none for linux\/amd64/,
    ],
    ['linux/amd64', ['linux/amd64/v9'], /none for linux\/amd64/],
  ];
  for (const [wanted, offered, chosen] of cases) {
    test(`${wanted} of ${offered.join(', ')}`, async () => {
      const [os = '', architecture = '', variant = ''] = wanted.split('/');
      const all = offered.map((text) => {
        const [offeredOs = '', arch = '', kind = ''] = text.split('/');
        return offer(arch, kind, offeredOs);
      });
      const [bytes, entry] = indexOf(all.map(([, manifest]) => manifest));
      const entries = layout(
        [{ ...entry, annotations: { 'io.containerd.image.name': name } }],
        [bytes],
        [...all.map(([packed]) => packed)],
      );
      const wish = { platform: { os, architecture, variant }, isPlatformAsked: true };
      if (chosen instanceof RegExp) return void (await assert.rejects(read(entries, wish), chosen));
      const [{ description }] = (await read(entries, wish)) as [ArchiveImage];
      const parts = [description.os, description.architecture, description.variant].filter((p) => p !== '');
      assert.equal(parts.join('/'), chosen);
    });
  }

  test('that is not in the archive does not matter where another one is', async () => {
    const absent = packImage({ layers: [Buffer.from('absent')], config: { architecture: 'arm64' } });
    const [bytes, entry] = indexOf([
      { ...absent.manifest, platform: { os: 'linux', architecture: 'arm64' } },
      { ...image.manifest, platform: { os: 'linux', architecture: 'amd64' } },
      {
        ...absent.manifest,
        platform: { os: 'unknown', architecture: 'unknown' },
        annotations: { 'vnd.docker.reference.type': 'attestation-manifest' },
      },
    ]);
    const [found] = await read(layout([entry], [bytes]));
    assert.equal(found?.config.digest, sha256(image.config));
  });

  test('of an image that comes alone is what it is, unless another one is asked for', async () => {
    const [packed] = offer('s390x');
    const entries = layout([named(packed, name)], [], [packed]);
    assert.equal((await read(entries)).length, 1);
    await assert.rejects(
      read(entries, { isPlatformAsked: true }),
      /has docker.io\/library\/a:1 for linux\/s390x/,
    );
  });
});

describe('refused', () => {
  const manifest = (change: object): RawEntry[] => {
    const bytes = Buffer.from(
      JSON.stringify({ ...JSON.parse(image.blobs.get(image.manifest.digest)?.toString() ?? ''), ...change }),
    );
    return layout([descriptorOf(OCI_MANIFEST_TYPE, bytes)], [bytes]);
  };
  const config = (change: object): RawEntry[] => {
    const packed = packImage({ layers: [LAYER], config: change as Record<string, unknown> });
    return layout([packed.manifest], [], [packed]);
  };
  const without = (digest: Digest | string): RawEntry[] =>
    layout([image.manifest]).filter((entry) => entry.name !== blobPath(digest));
  const resized = (change: number): RawEntry[] =>
    layout([{ ...image.manifest, size: image.manifest.size + change }]);
  const nested = (depth: number): RawEntry[] => {
    const documents: Buffer[] = [];
    let entry: object = image.manifest;
    for (let level = 0; level < depth; level += 1) {
      const [bytes, descriptor] = indexOf([entry]);
      documents.push(bytes);
      entry = descriptor;
    }
    return layout([entry], documents);
  };
  const json = (text: string | Buffer): RawEntry[] => [
    { name: 'oci-layout', data: '{}' },
    { name: 'index.json', data: text },
  ];
  const layers = (count: number): RawEntry[] => {
    const packed = packImage({
      layers: Array.from({ length: count }, (_, index) => Buffer.from(`l${index}`)),
    });
    return layout([packed.manifest], [], [packed]);
  };
  const docker = (text: string): RawEntry[] => [
    { name: 'manifest.json', data: text },
    { name: 'c.json', data: image.config },
    { name: 'l.tar', data: LAYER },
  ];

  const cases: [what: string, entries: RawEntry[], says: RegExp, reason: string][] = [
    [
      'a manifest that is not there',
      without(image.manifest.digest),
      /manifest sha256:.*does not have/,
      'BLOB_MISSING',
    ],
    [
      'a config that is not there',
      without(sha256(image.config)),
      /config sha256:.*does not have/,
      'BLOB_MISSING',
    ],
    ['a layer that is not there', without(sha256(LAYER)), /layer sha256:.*does not have/, 'BLOB_MISSING'],
    ['a manifest one byte shorter', resized(1), /has \d+ bytes, its descriptor says/, 'SIZE_MISMATCH'],
    ['a manifest one byte longer', resized(-1), /has \d+ bytes, its descriptor says/, 'SIZE_MISMATCH'],
    [
      'a layer of another size',
      manifest({ layers: [{ mediaType: OCI_LAYER_TYPE, digest: sha256(LAYER), size: 3 }] }),
      /layer sha256:.*descriptor says 3/,
      'SIZE_MISMATCH',
    ],
    [
      'a layer with other content',
      layout([image.manifest]).map((e) => (e.name === blobPath(sha256(LAYER)) ? { ...e, data: 'x' } : e)),
      /layer sha256:.*its content has the digest/,
      'DIGEST_MISMATCH',
    ],
    ['a manifest with manifests', manifest({ manifests: [] }), /parts of an index/, 'DOCUMENT_INVALID'],
    [
      'an index with layers',
      json(JSON.stringify({ schemaVersion: 2, manifests: [], layers: [] })),
      /parts of a manifest/,
      'DOCUMENT_INVALID',
    ],
    ['schema 1', manifest({ schemaVersion: 1 }), /schema version 1/, 'DOCUMENT_INVALID'],
    ['schema 3', manifest({ schemaVersion: 3 }), /schemaVersion is not 2/, 'DOCUMENT_INVALID'],
    [
      'schema "2"',
      manifest({ schemaVersion: '2' }),
      /schemaVersion is not a whole number/,
      'DOCUMENT_INVALID',
    ],
    [
      'another type than announced',
      manifest({ mediaType: OCI_INDEX_TYPE }),
      /was announced as/,
      'DOCUMENT_INVALID',
    ],
    ['a manifest without config', manifest({ config: null }), /no config/, 'DOCUMENT_INVALID'],
    [
      'a number for a digest',
      manifest({ config: { digest: 1, size: 1 } }),
      /digest is not a string/,
      'DOCUMENT_INVALID',
    ],
    [
      'a short digest',
      manifest({ config: { digest: 'sha256:00', size: 1 } }),
      /not a digest/,
      'DOCUMENT_INVALID',
    ],
    [
      'a digest that leads out',
      manifest({ config: { digest: 'sha256:../../etc/passwd', size: 1 } }),
      /not a digest/,
      'DOCUMENT_INVALID',
    ],
    ...[`sha256:${'A'.repeat(64)}`, `md5:${'0'.repeat(32)}`, `sha512:${'0'.repeat(128)}`].map(
      (digest): [string, RawEntry[], RegExp, string] => [
        `the digest ${digest.slice(0, 12)}…`,
        manifest({ layers: [{ mediaType: OCI_LAYER_TYPE, digest, size: 1 }] }),
        /not a digest|archives are read with sha256 alone/,
        'DOCUMENT_INVALID',
      ],
    ),
    ...[
      `${OCI_LAYER_TYPE}+gzip+encrypted`,
      'application/vnd.containerd.container.criu.checkpoint.criu.tar',
      '',
    ].map((mediaType): [string, RawEntry[], RegExp, string] => [
      `a layer of the type ${mediaType}`,
      manifest({ layers: [{ ...descriptorOf(mediaType, LAYER) }] }),
      /layer sha256:\w+ is of the type .*, which no layer here has/,
      'LAYER_TYPE_UNKNOWN',
    ]),
    [
      'a layer that lies elsewhere',
      manifest({
        layers: [{ ...descriptorOf(OCI_LAYER_TYPE, Buffer.from('x')), urls: ['file:///etc/passwd'] }],
      }),
      /layer sha256:.*does not have/,
      'BLOB_MISSING',
    ],
    [
      'ten thousand and one manifests',
      layout(Array.from({ length: 10_001 }, () => image.manifest)),
      /index.json: .*at most 10000/,
      'DOCUMENT_INVALID',
    ],
    [
      'nothing but what is said about images',
      layout([{ ...image.manifest, annotations: { 'vnd.docker.reference.type': 'attestation-manifest' } }]),
      /is no image/,
      'NOT_AN_IMAGE',
    ],
    [
      'a negative size',
      manifest({ config: { mediaType: OCI_CONFIG_TYPE, digest: sha256(image.config), size: -1 } }),
      /size in bytes/,
      'DOCUMENT_INVALID',
    ],
    [
      'an artifact',
      manifest({ config: { mediaType: 'application/x', digest: sha256(''), size: 0 } }),
      /is no image/,
      'NOT_AN_IMAGE',
    ],
    [
      'a media type nobody knows',
      layout([{ ...image.manifest, mediaType: 'text/x' }]),
      /no image \(text\/x\)/,
      'NOT_AN_IMAGE',
    ],
    ['no manifests', layout([]), /no image in it/, 'DOCUMENT_INVALID'],
    ['indexes in indexes', nested(5), /nested deeper than 4/, 'ARCHIVE_LIMIT'],
    ['a config without rootfs', config({ rootfs: undefined }), /no rootfs/, 'DOCUMENT_INVALID'],
    [
      'a rootfs of another type',
      config({ rootfs: { type: 'vm', diff_ids: [] } }),
      /type layers/,
      'DOCUMENT_INVALID',
    ],
    [
      'fewer diff ids than layers',
      config({ rootfs: { type: 'layers', diff_ids: [] } }),
      /config has 0 layers, it has 1/,
      'LAYERS_MISMATCH',
    ],
    [
      'more diff ids than layers',
      config({ rootfs: { type: 'layers', diff_ids: [sha256('a'), sha256('b')] } }),
      /config has 2 layers, it has 1/,
      'LAYERS_MISMATCH',
    ],
    ['128 layers', layers(128), /128 layers, at most 127/, 'IMAGE_TOO_MANY_LAYERS'],
    ['500 layers', layers(500), /500 layers, at most 127/, 'IMAGE_TOO_MANY_LAYERS'],
    [
      'a Cmd that is a text',
      config({ config: { Cmd: 'sh' } }),
      /config.config.Cmd is not a list/,
      'DOCUMENT_INVALID',
    ],
    [
      'an Env with a number',
      config({ config: { Env: [1] } }),
      /Env\[0\] is not a string/,
      'DOCUMENT_INVALID',
    ],
    [
      'a NUL',
      config({ config: { Entrypoint: ['a\0b'] } }),
      /Entrypoint\[0\] is not a text without NUL/,
      'DOCUMENT_INVALID',
    ],
    [
      'labels that are no texts',
      config({ config: { Labels: { a: 1 } } }),
      /Labels.a is not a string/,
      'DOCUMENT_INVALID',
    ],
    [
      'a health check of no kind',
      config({ config: { Healthcheck: { Test: ['X'] } } }),
      /Healthcheck/,
      'DOCUMENT_INVALID',
    ],
    ['no JSON', json('{'), /index.json: it ends too early/, 'JSON_INVALID'],
    ['a list for an index', json('[]'), /index is not an object/, 'DOCUMENT_INVALID'],
    [
      '4 MiB of index',
      json(`{"schemaVersion":2,"a":"${'x'.repeat(4 << 20)}"}`),
      /larger than 4194304 bytes/,
      'ARCHIVE_LIMIT',
    ],
    [
      'a config of 2 MiB',
      config({ config: { Labels: { a: 'x'.repeat(2 << 20) } } }),
      /larger than 2097152 bytes/,
      'ARCHIVE_LIMIT',
    ],
    [
      'nothing known',
      [{ name: 'x', data: '' }],
      /neither index.json nor manifest.json/,
      'ARCHIVE_UNKNOWN_FORMAT',
    ],
    [
      'a Docker before 1.10',
      [
        { name: 'repositories', data: '{}' },
        { name: 'abc/layer.tar', data: '' },
      ],
      /before Docker 1.10/,
      'ARCHIVE_UNKNOWN_FORMAT',
    ],
    ['an empty manifest.json', docker('[]'), /there is no image in it/, 'DOCUMENT_INVALID'],
    ['a manifest.json that is no list', docker('{}'), /not a list/, 'DOCUMENT_INVALID'],
    [
      'a config that leads out',
      docker('[{"Config":"../c.json","Layers":[]}]'),
      /no file ..\/c.json/,
      'BLOB_MISSING',
    ],
    [
      'a layer that leads out',
      docker('[{"Config":"c.json","Layers":["/../l.tar"]}]'),
      /no file/,
      'BLOB_MISSING',
    ],
    [
      'too few layers',
      docker('[{"Config":"c.json","Layers":[]}]'),
      /config has 1 layers, it has 0/,
      'LAYERS_MISMATCH',
    ],
    [
      'a tag that is none',
      docker('[{"Config":"c.json","Layers":["l.tar"],"RepoTags":["A:1"]}]'),
      /lower case|invalid/,
      'REFERENCE_INVALID',
    ],
  ];
  for (const [what, entries, says, reason] of cases) {
    test(what, async () => {
      await assert.rejects(read(entries), (error) => {
        assert.ok(error instanceof MydockerError, String(error));
        assert.match(error.message, says);
        assert.deepEqual([error.reason, error.metadata['why'] !== undefined], [reason, true]);
        return true;
      });
    });
  }

  test('links in a circle lead nowhere, links to a file lead to it', async () => {
    const circle: RawEntry[] = [
      { name: 'a/layer.tar', type: '2', link: '../b/layer.tar' },
      { name: 'b/layer.tar', type: '2', link: '../a/layer.tar' },
      { name: 'manifest.json', data: '[{"Config":"c.json","Layers":["a/layer.tar"]}]' },
      { name: 'c.json', data: image.config },
    ];
    await assert.rejects(read(circle), /no file a\/layer.tar/);
    const [found] = await read([...circle, { name: './b//layer.tar', data: LAYER }]);
    assert.deepEqual([found?.layers[0]?.digest, found?.manifest], [sha256(LAYER), undefined]);
  });

  test('127 layers, none, and one layer a hundred times are read', async () => {
    assert.equal((await read(layers(127)))[0]?.layers.length, 127);
    assert.equal((await read(layers(0)))[0]?.layers.length, 0);
    const same = packImage({ layers: Array.from({ length: 100 }, () => LAYER) });
    assert.equal((await read(layout([same.manifest], [], [same])))[0]?.layers.length, 100);
    assert.equal((await read(nested(3))).length, 1);
  });
});
