/**
 * A registry that lies, stalls and breaks off: nothing of it becomes an image, and the error says what is at fault.
 */
import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import { after, afterEach, before, describe, test } from 'node:test';
import { gzipSync, zstdCompressSync } from 'node:zlib';
import {
  descriptorOf,
  OCI_INDEX_TYPE,
  OCI_LAYER_TYPE,
  OCI_MANIFEST_TYPE,
  type PackedDescriptor,
  type PackedImage,
  packImage,
  sha256,
} from '../fixtures/image-archive.ts';
import { rawTar } from '../fixtures/raw-tar.ts';
import { breakOff, type Handler, type RegistryMock } from '../fixtures/registry-mock.ts';
import type { Host } from '../harness/host.ts';
import { refused, until } from './ground.ts';
import { answer, type PullGround, startPullGround } from './pull-ground.ts';

let ground: PullGround;
let host: Host;
let mock: RegistryMock;
let other: RegistryMock;
let image: PackedImage;
let layer: string;
before(async () => {
  ground = await startPullGround();
  ({ host, mock, other, image, layer } = ground);
});
afterEach(() => ground.clean());
after(() => ground?.dispose());

const pull = (what?: string): Promise<string> => ground.pull(what);
const fails = (message: RegExp, what?: string): Promise<void> => ground.fails(message, what);

/** Serves a document under the tag `bad`. */
function serve(document: unknown, mediaType = OCI_MANIFEST_TYPE, contentType = mediaType): string {
  const bytes = Buffer.isBuffer(document) ? document : Buffer.from(JSON.stringify(document));
  mock.put(
    { manifest: { ...descriptorOf(contentType, bytes) }, blobs: new Map([[sha256(bytes), bytes]]) },
    'bad:1',
  );
  return `${mock.address}/bad:1`;
}

const manifestOf = (packed: PackedImage): Record<string, unknown> =>
  JSON.parse(packed.blobs.get(packed.manifest.digest)?.toString() ?? '') as Record<string, unknown>;
const BLOBS = /\/blobs\//;

describe('what is sent is not what was announced', () => {
  test('a layer of other bytes, fewer, more, none', async () => {
    const bytes = image.blobs.get(layer) ?? Buffer.alloc(0);
    const wrong = Buffer.from(bytes);
    wrong[600] = 1;
    const cases: [body: Buffer | undefined, says: RegExp][] = [
      [wrong, /layer sha256.*something else|what it sends for sha256:.* is something else/],
      [bytes.subarray(0, -1), /has \d+ bytes, not \d+/],
      [Buffer.concat([bytes, Buffer.alloc(1)]), /has \d+ bytes, not \d+/],
      [undefined, /it does not have sha256:/],
    ];
    for (const [body, says] of cases) {
      mock.on(BLOBS, ({ url }, response) => {
        if (!url.endsWith(layer)) return false;
        if (body === undefined) response.writeHead(410).end();
        else response.writeHead(200, { 'content-length': body.length }).end(body);
        return true;
      });
      await fails(says);
      mock.reset();
    }
    // Without a length it is known at the end only.
    mock.on(BLOBS, ({ url }, response) => {
      if (!url.endsWith(layer)) return false;
      response.writeHead(200);
      response.end(Buffer.concat([bytes, Buffer.alloc(1)]));
      return true;
    });
    await fails(/is longer than the \d+ bytes/);
  });

  test('manifest, config and the digest in a header', async () => {
    const { config, manifest } = image;
    mock.on(new RegExp(sha256(config)), answer(200, {}, Buffer.from(`${config} `)));
    await fails(/what it sends for sha256:.* is something else/);
    mock.on(/manifests/, answer(200, { 'content-type': OCI_MANIFEST_TYPE }, '{}'));
    await fails(/has the digest sha256:.*, not/, `${mock.address}/app@${manifest.digest}`);
    mock.reset();
    mock.on(/manifests/, (_, response) => {
      response.setHeader('docker-content-digest', sha256('other'));
      return false;
    });
    await fails(/has the digest sha256:.*, not sha256:/);
    mock.reset();
    mock.on(BLOBS, answer(200, { 'content-encoding': 'gzip' }, 'x'));
    await fails(/content encoding gzip/);
  });

  test('documents that are two things, none, or too much', async () => {
    const manifest = manifestOf(image);
    const index = { schemaVersion: 2, mediaType: OCI_INDEX_TYPE, manifests: [image.manifest] };
    const bytes = Buffer.from(JSON.stringify(manifest));
    const sizes = [2 ** 53, -1, 1e18, '5', null].map((size) => [
      serveLater({ ...manifest, layers: [{ ...(manifest['layers'] as object[])[0], size }] }),
      /size/,
    ]);
    const digests = ['sha256:../../x', 'sha256:ab', `sha256:${'A'.repeat(64)}`, `md5:${'a'.repeat(32)}`].map(
      (digest) => [
        serveLater({ ...manifest, layers: [{ ...(manifest['layers'] as object[])[0], digest }] }),
        /digest/,
      ],
    );
    const cases = [
      [serveLater({ ...index, layers: [] }, OCI_INDEX_TYPE), /an index and has the parts of a manifest/],
      [serveLater({ ...manifest, manifests: [] }), /a manifest and has the parts of an index/],
      [serveLater(manifest, OCI_INDEX_TYPE), /it calls itself|parts of a manifest/],
      [serveLater({ ...manifest, schemaVersion: 1 }), /schema version 1/],
      [serveLater({ ...manifest, schemaVersion: 3 }), /schemaVersion is not 2/],
      [serveLater({ ...manifest, schemaVersion: '2' }), /schemaVersion/],
      [serveLater({}, 'application/vnd.docker.distribution.manifest.v1+prettyjws'), /schema version 1/],
      [serveLater('<html>', 'text/html'), /it is of the type text\/html/],
      [serveLater(Buffer.from('{"schemaVersion":2,"schemaVersion":2}')), /equal keys|twice|key/],
      [serveLater(Buffer.from('{"__proto__":{},"schemaVersion":2}')), /./],
      [serveLater(Buffer.from('[')), /JSON|end/],
      [serveLater(Buffer.from('['.repeat(10_000))), /./],
      [serveLater(Buffer.concat([bytes, Buffer.from('x')])), /./],
      [serveLater(Buffer.alloc(5 * 2 ** 20, ' ')), /longer than \d+ bytes/],
      [
        serveLater({
          ...manifest,
          config: { ...(manifest['config'] as object), mediaType: 'application/x' },
        }),
        /it is no image/,
      ],
      [
        serveLater({
          ...manifest,
          layers: [{ ...(manifest['layers'] as object[])[0], mediaType: 'application/x' }],
        }),
        /which no layer here has/,
      ],
      [
        serveLater({ ...manifest, layers: (manifest['layers'] as object[]).slice(1) }),
        /its config has 2 layers, its manifest 1/,
      ],
      [serveLater({ ...index, manifests: [] }, OCI_INDEX_TYPE), /there is no image in it/],
      [
        serveLater(
          {
            ...index,
            manifests: [{ ...image.manifest, platform: { os: 'unknown', architecture: 'unknown' } }],
          },
          OCI_INDEX_TYPE,
        ),
        /there is no image in it/,
      ],
      [
        serveLater(
          {
            ...index,
            manifests: [{ ...image.manifest, platform: { os: 'windows', architecture: 'amd64' } }],
          },
          OCI_INDEX_TYPE,
        ),
        /it is for windows\/amd64, not for linux/,
      ],
      [
        serveLater({ ...index, manifests: [{ ...image.manifest, size: 5 }] }, OCI_INDEX_TYPE),
        /bytes, its index says 5/,
      ],
      ...sizes,
      ...digests,
    ] as [() => string, RegExp][];
    for (const [make, says] of cases) await fails(says, make());
  });

  test('indexes within indexes, and a config that does not fit', async () => {
    let inner: PackedDescriptor = image.manifest;
    const blobs = new Map(image.blobs);
    for (let depth = 0; depth < 6; depth += 1) {
      const bytes = Buffer.from(
        JSON.stringify({ schemaVersion: 2, mediaType: OCI_INDEX_TYPE, manifests: [inner] }),
      );
      blobs.set(sha256(bytes), bytes);
      inner = descriptorOf(OCI_INDEX_TYPE, bytes);
      const deep = mock.put({ manifest: inner, blobs }, `deep:${depth}`);
      if (depth < 4) {
        await pull(deep);
        await host.ok(['rmi', deep]);
      } else await fails(/nested deeper than 4/, deep);
    }
    const diffIds = [sha256('x'), sha256('y')];
    const wrong = packImage({
      layers: image.layers,
      config: { rootfs: { type: 'layers', diff_ids: diffIds } },
    });
    await fails(/layer sha256:.*its content has the diff id/, mock.put(wrong, 'wrong:1'));
    const many = packImage({ layers: Array.from({ length: 128 }, () => image.layers[1] as Buffer) });
    await fails(/127 layers|128 layers|layers/, mock.put(many, 'many:1'));
  });

  test('a layer of another place is asked of the registry alone', async () => {
    const manifest = manifestOf(image);
    const foreign = {
      ...descriptorOf('application/vnd.docker.image.rootfs.foreign.diff.tar.gzip', Buffer.from('x')),
      urls: [`http://${other.address}/x`, 'file:///etc/passwd', 'http://169.254.169.254/'],
    };
    ground.logIn(mock.address);
    await ground.failsWithLogin(
      /it does not have sha256:/,
      serve({ ...manifest, layers: [foreign, foreign] }),
    );
    assert.deepEqual(other.seen, []);
  });
});

const serveLater = (document: unknown, mediaType?: string) => (): string => serve(document, mediaType);

test('a layer that is what was announced, and nothing that can be unpacked, ends at once', async () => {
  // Long enough for the worker to be gone while it still comes.
  const plain = rawTar([{ name: 'noise', data: randomBytes(4 << 20) }]);
  const [gzip, zstd] = [gzipSync(plain, { level: 1 }), zstdCompressSync(plain)];
  const torn = (bytes: Buffer): Buffer => {
    const copy = Buffer.from(bytes);
    copy.fill(0xff, 1 << 20, (1 << 20) + 512);
    return copy;
  };
  const forms: [what: string, bytes: Buffer][] = [
    ['gzip', gzip.subarray(0, 1 << 20)],
    ['gzip', torn(gzip)],
    ['gzip', Buffer.concat([Buffer.from([0x1f, 0x8b]), randomBytes(2 << 20)])],
    ['zstd', zstd.subarray(0, 1 << 20)],
    ['zstd', torn(zstd)],
    ['gzip', randomBytes(2 << 20)],
    ['gzip', Buffer.alloc(0)],
  ];
  const manifest = manifestOf(image);
  const config = { rootfs: { type: 'layers', diff_ids: [sha256(plain)] } };
  const own = packImage({ layers: [plain], config });
  for (const [index, [form, bytes]] of forms.entries()) {
    const layers = [descriptorOf(`${OCI_LAYER_TYPE}+${form}`, bytes)];
    const name = serve({ ...manifest, config: manifestOf(own)['config'], layers });
    const blobs = new Map([...own.blobs, [sha256(bytes), bytes]]);
    mock.put({ manifest: own.manifest, blobs }, `parts:${index}`);
    await fails(/cannot pull image .*bad:1: layer sha256:/, name);
    await ground.prune();
  }
});

test('more documents than anybody would look through', async () => {
  const index = (manifests: readonly object[]): string =>
    serve({ schemaVersion: 2, mediaType: OCI_INDEX_TYPE, manifests }, OCI_INDEX_TYPE);
  await fails(/at most 10000/, index(Array.from({ length: 10_001 }, () => image.manifest)));
  // Each says nothing about its platform, so that its config has to be read.
  const others = Array.from({ length: 70 }, (_, at) =>
    packImage({ layers: [], config: { architecture: 's390x', author: String(at) } }),
  );
  for (const [at, other] of others.entries()) mock.put(other, `other:${at}`);
  mock.seen.length = 0;
  await fails(/more than 64 of its documents/, index(others.map(({ manifest }) => manifest)));
  assert.ok(mock.seen.length < 140, `${mock.seen.length} requests`);
});

test('the same layer several times is fetched once', async () => {
  const [base = Buffer.alloc(0), upper = Buffer.alloc(0)] = image.layers;
  const config = { config: { Cmd: ['wc', '-c', '/marker'] } };
  const name = mock.put(packImage({ layers: [base, upper, upper, upper], config }), 'same:1');
  await pull(name);
  assert.equal(mock.seen.filter(({ url }) => url.endsWith(layer)).length, 1);
  assert.match(await host.ok(['run', '--rm', name]), /^100000 /);
});

describe('a connection that does not hold', () => {
  test('is taken up where it broke, at any byte', async () => {
    const bytes = image.blobs.get(layer) ?? Buffer.alloc(0);
    for (const after of [0, 1, 512, 50_000, bytes.length - 1]) {
      mock.reset();
      mock.on(new RegExp(layer), (_, response, count) => {
        if (count > 1) return false;
        breakOff(bytes, after, response);
        return true;
      });
      await pull();
      const ranges = mock.seen.filter(({ url }) => url.endsWith(layer)).map(({ headers }) => headers.range);
      assert.equal(ranges.length, 2);
      // What was on the way when it broke may be lost.
      assert.match(ranges[1] ?? 'bytes=0-', /^bytes=\d+-$/);
      assert.match(await host.ok(['run', '--rm', ground.name]), /^100000 /);
      await ground.prune();
    }
  });

  test('a range that is ignored, refused or another one', async () => {
    const bytes = image.blobs.get(layer) ?? Buffer.alloc(0);
    const broken: Handler = (_, response) => {
      breakOff(bytes, 1000, response);
      return true;
    };
    const second = (handler: Handler): void => {
      mock.reset();
      mock.on(new RegExp(layer), (request, response, count) =>
        count === 1 ? broken(request, response, count) : handler(request, response, count),
      );
    };
    second(answer(200, {}, bytes));
    await pull();
    await ground.prune();
    second(answer(206, { 'content-range': `bytes 0-${bytes.length - 1}/${bytes.length}` }, bytes));
    await fails(/asked for bytes from \d+ on, it sends/);
    await ground.prune();
    second(answer(416));
    await fails(/status 416/);
  });

  test('that says it is busy is asked again, not for ever, and not too late', async () => {
    mock.on(/manifests/, (request, response, count) =>
      count > 3 ? false : answer(429, { 'retry-after': '315360000' })(request, response, count),
    );
    mock.on(BLOBS, (request, response, count) => (count > 2 ? false : answer(503)(request, response, count)));
    await pull();
    await ground.prune();
    mock.reset();
    mock.on(/manifests/, answer(500));
    await fails(/it answers with status 500/);
    assert.equal(mock.seen.length, 5);
  });

  test('that stalls, crawls, says too much or nothing at all', async () => {
    const bytes = image.blobs.get(layer) ?? Buffer.alloc(0);
    mock.on(new RegExp(layer), (_, response) => {
      response.writeHead(200, { 'content-length': bytes.length });
      response.write(bytes.subarray(0, 10));
      return true;
    });
    await fails(/nothing came for 700 ms/);
    await ground.prune();
    mock.reset();
    mock.on(new RegExp(layer), (_, response) => {
      response.writeHead(200, { 'content-length': bytes.length });
      const timer = setInterval(() => response.write('x'), 100);
      response.on('close', () => clearInterval(timer));
      return true;
    });
    const started = Date.now();
    const crawling = host.spawn(['pull', '-q', ground.name]);
    await until(
      () => mock.seen.filter(({ url }) => url.endsWith(layer)).length,
      (count) => count > 1,
    );
    assert.ok(Date.now() - started > 1000);
    crawling.kill('SIGKILL');
    mock.reset();
    mock.on(/manifests/, () => true);
    await fails(/no answer in 1000 ms/);
    mock.reset();
    mock.on(/manifests/, answer(200, { 'x-large': 'x'.repeat(100_000) }));
    await fails(/HPE_HEADER_OVERFLOW/);
    mock.reset();
    mock.on(/manifests/, (_, response) => {
      response.socket?.end('this is no HTTP\r\n\r\n');
      return true;
    });
    await fails(/its answer is no HTTP/);
  });
});

test('tags page by page, however they are linked', async () => {
  const pages = (link: string): void => {
    mock.reset();
    mock.on(/tags\/list/, ({ url }, response) => {
      const isFirst = !url.includes('last=');
      response.writeHead(200, { link });
      response.end(JSON.stringify({ name: 'app', tags: [isFirst ? '1' : '2'] }));
      return true;
    });
  };
  mock.put(image, 'app:2');
  for (const link of [
    '</v2/app/tags/list?last=1>; rel="next"',
    `<http://${other.address}/x?last=1>; rel="next"`,
  ]) {
    pages(link);
    assert.equal(
      await host.ok(['pull', '-q', '-a', `${mock.address}/app`]),
      `${mock.address}/app:1\n${mock.address}/app:2`,
    );
    await ground.prune();
  }
  assert.deepEqual(other.seen, []);
  mock.on(/tags\/list/, answer(200, {}, '{"tags":["../../x"]}'));
  await refused(host, ['pull', '-q', '-a', `${mock.address}/app`], /its list of tags cannot be read/);
});
