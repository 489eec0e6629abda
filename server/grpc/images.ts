/** mydocker.v1.ImagesService: decode, one operation, encode. */
import {
  type ImagesServiceDefinition,
  ImportHeader,
  type ImportImageRequest,
} from '../../proto/gen/mydocker/v1/images.ts';
import { invalidArgument } from '../model/error.ts';
import { checkRegistryAuth, registryDomain } from '../ops/check-registry-auth.ts';
import type { ImageEngine } from '../ops/image-engine.ts';
import { type ImportResult, importImage } from '../ops/import-image.ts';
import { findImageView, inspectImage } from '../ops/inspect-image.ts';
import { listImages } from '../ops/list-images.ts';
import { pruneImages } from '../ops/prune-images.ts';
import { removeImage } from '../ops/remove-image.ts';
import type { RequestIds } from '../ops/request-ids.ts';
import { tagImage } from '../ops/tag-image.ts';
import { decodePrune } from './decode-filter.ts';
import {
  decodeImageConfig,
  decodePlatform,
  encodeHistory,
  encodeImage,
  encodeImageSummary,
  imageSummarySize,
} from './encode-image.ts';
import { fingerprintOf, type Implementation } from './handlers.ts';
import { serveLoad } from './load-images.ts';
import { decodeAuth, servePull } from './pull-image.ts';
import { servePush } from './push-image.ts';
import { pages } from './streams.ts';

const IMPORT = 'mydocker.v1.ImagesService/ImportImage';

export function imagesService(
  engine: ImageEngine,
  requestIds: RequestIds,
): Implementation<typeof ImagesServiceDefinition> {
  return {
    importImage: async (requests, { signal }) => {
      const header = await firstFrame(requests);
      const work = (): Promise<ImportResult> => runImport(engine, header, chunksOf(requests), signal);
      const { requestId } = header;
      const fingerprint = fingerprintOf({ requestType: ImportHeader }, header);
      const { image, reference } = await (requestId === ''
        ? work()
        : requestIds.run({ rpc: IMPORT, requestId, fingerprint }, work));
      return { imageId: image.id, reference, sizeBytes: image.sizeBytes };
    },
    pullImage: (request, { signal }) => servePull(engine, requestIds, request, signal),
    pushImage: (request, { signal }) => servePush(engine, requestIds, request, signal),
    checkRegistryAuth: async ({ auth }, { signal }) => {
      const server = auth?.server ?? '';
      const credentials = decodeAuth(auth, () => registryDomain(server));
      return { identityToken: await checkRegistryAuth(engine, server, credentials, signal) };
    },
    loadImages: (requests, { signal }) => serveLoad(engine, requestIds, requests, signal),
    getImage: async ({ image }) => ({ image: encodeImage(await inspectImage(engine, image)) }),
    *listImages({ references, danglingOnly, labels, beforeImage, sinceImage, createdBefore }) {
      const found = listImages(engine, {
        ...{ references, danglingOnly, before: beforeImage, since: sinceImage },
        ...decodePrune({ createdBefore, labels }),
      });
      for (const images of pages(found.map(encodeImageSummary), imageSummarySize)) yield { images };
    },
    getImageHistory: ({ image }) => ({ entries: encodeHistory(findImageView(engine, image)) }),
    tagImage: ({ image, reference }) => tagImage(engine, image, reference),
    removeImage: ({ image, force, expectedRev }) => removeImage(engine, { image, force, expectedRev }),
    pruneImages: ({ all, filter }) => pruneImages(engine, { all, ...decodePrune(filter) }),
  };
}

function runImport(
  engine: ImageEngine,
  header: ImportHeader,
  archive: AsyncIterable<Uint8Array>,
  signal: AbortSignal,
): Promise<ImportResult> {
  const { reference, config, message } = header;
  const platform = decodePlatform(header.platform);
  return importImage(
    engine,
    {
      reference,
      message,
      config: decodeImageConfig(config),
      ...(platform === undefined ? {} : { platform }),
    },
    archive,
    signal,
  );
}

async function firstFrame(requests: AsyncGenerator<ImportImageRequest>): Promise<ImportHeader> {
  const { value } = await requests.next();
  const frame = (value as ImportImageRequest | undefined)?.frame;
  if (frame?.$case === 'header') return frame.value;
  throw outOfOrder('the first frame is not `header`');
}

/** What comes behind the header; the next message is read when the one before was taken. */
async function* chunksOf(
  requests: AsyncGenerator<ImportImageRequest>,
): AsyncGenerator<Uint8Array, undefined> {
  for await (const { frame } of requests) {
    if (frame?.$case !== 'chunk') throw outOfOrder('a frame behind the header is no chunk');
    yield frame.value;
  }
}

function outOfOrder(why: string): Error {
  return invalidArgument(`cannot import image: ${why}`, { reason: 'FRAME_OUT_OF_ORDER' });
}
