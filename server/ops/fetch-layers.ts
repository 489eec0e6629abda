/**
 * The layers of an image at a registry as `load-layer.ts` wants them: those that are not here are fetched from
 * now on, a few beside each other and the lowest first, so that one can be unpacked while the next ones come.
 */
import { open } from 'node:fs/promises';
import { filePosition } from '../image/file-position.ts';
import type { Descriptor } from '../image/oci-manifest.ts';
import { chainIdOn, type Digest } from '../model/digest.ts';
import type { Download } from '../registry/downloads.ts';
import type { ImageSource } from '../registry/image-source.ts';
import { Slots } from '../registry/slots.ts';
import type { ImageEngine } from './image-engine.ts';
import type { CameFile } from './keep-packed.ts';
import type { LayerInput, PackedLayer } from './load-layer.ts';
import type { PullReport } from './pull-image.ts';

/** What the fetching works with. */
export interface LayerFetch {
  readonly repository: ImageSource;
  readonly report: PullReport;
  readonly signal: AbortSignal | undefined;
}

/** Layers on their way. Disposing ends what is still fetched. */
export interface FetchedLayers extends AsyncDisposable {
  /** Base first. */
  readonly layers: readonly PackedLayer[];
  /** What was fetched and unpacked, by layer. */
  files(): readonly (CameFile | undefined)[];
  /** The image is complete: nothing of it need be kept for another try. */
  consumed(): void;
}

/**
 * @param descriptors - base first. @param diffIds - as many.
 * @throws MydockerError nothing; what goes wrong is thrown by the layer that is opened.
 */
export function fetchedLayers(
  engine: ImageEngine,
  fetch: LayerFetch,
  descriptors: readonly Descriptor[],
  diffIds: readonly Digest[],
): FetchedLayers {
  const own = new AbortController();
  const signal = fetch.signal === undefined ? own.signal : AbortSignal.any([own.signal, fetch.signal]);
  const slots = new Slots(engine.registryLimits.downloads);
  const downloads: Download[] = [];
  const files: (CameFile | undefined)[] = descriptors.map(() => undefined);
  let parent: Digest | undefined;
  const layers = descriptors.map((blob, index): PackedLayer => {
    const diffId = diffIds[index] as Digest;
    parent = chainIdOn(parent, diffId);
    const news = reporter(fetch.report, blob);
    let download: Download | undefined;
    const begin = (): Download => {
      const source = fetch.repository;
      const begun = engine.downloads.open(blob, { source, slots, signal, report: news });
      downloads.push(begun);
      return begun;
    };
    if (engine.store.layers.get(parent) === undefined) {
      news.tell('waiting');
      download = begin();
    }
    return {
      ...{ digest: blob.digest, sizeBytes: blob.sizeBytes, diffId, reportAs: blob.digest },
      open: async () => {
        // It was here a moment ago, or its download is under way.
        download ??= begin();
        news.opened();
        files[index] = { path: download.path, digest: blob.digest, sizeBytes: blob.sizeBytes };
        return await inputOf(download, news);
      },
      release: async () => {
        download?.consumed();
        await download?.[Symbol.asyncDispose]();
      },
    };
  });
  return {
    layers,
    files: () => files,
    consumed: () => {
      for (const download of downloads) download.consumed();
    },
    [Symbol.asyncDispose]: async () => {
      own.abort();
      await Promise.all(downloads.map((download) => download[Symbol.asyncDispose]()));
    },
  };
}

/** Kept until the image is recorded or has failed: then it is known whether another try needs it. */
async function inputOf(download: Download, news: LayerNews): Promise<LayerInput> {
  // What has come already, the worker reads itself.
  if (news.isFetched()) return await fileOf(download);
  let read = 0;
  const counted = async function* (): AsyncGenerator<Buffer, void, undefined> {
    for await (const chunk of download.bytes()) {
      read += chunk.length;
      yield chunk;
    }
  };
  return {
    archive: counted(),
    checked: download.done,
    // While it still comes, that is what people wait for.
    position: () => (news.isFetched() ? read : undefined),
    [Symbol.asyncDispose]: () => Promise.resolve(),
  };
}

async function fileOf({ path, done }: Download): Promise<LayerInput> {
  await done;
  const file = await open(path, 'r');
  return {
    archive: { fd: file.fd },
    checked: done,
    position: () => filePosition(file.fd),
    [Symbol.asyncDispose]: () => file.close(),
  };
}

interface LayerNews {
  fetched(bytes: number): void;
  retrying(why: string): void;
  tell(stage: 'waiting' | 'unpacking'): void;
  isFetched(): boolean;
  /** Its unpacking has begun. */
  opened(): void;
}

function reporter(report: PullReport, { digest, sizeBytes }: Descriptor): LayerNews {
  let isOpen = false;
  let done = 0;
  const totalBytes = BigInt(sizeBytes);
  const tell = (stage: 'waiting' | 'unpacking' | 'fetching' | 'retrying', message = ''): void =>
    report.progress({ digest, stage, doneBytes: BigInt(done), totalBytes, message });
  return {
    tell,
    fetched: (bytes) => {
      done = bytes;
      tell(bytes < sizeBytes ? 'fetching' : isOpen ? 'unpacking' : 'waiting');
    },
    retrying: (why) => tell('retrying', why),
    isFetched: () => done === sizeBytes,
    opened: () => {
      isOpen = true;
    },
  };
}
