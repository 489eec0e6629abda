/**
 * LoadImages between the wire and the operation: chunks come in while news go out.
 */
import {
  LoadHeader,
  type LoadImagesRequest,
  type LoadImagesResponse,
  TransferStage,
} from '../../proto/gen/mydocker/v1/images.ts';
import { invalidArgument } from '../model/error.ts';
import type { ImageEngine } from '../ops/image-engine.ts';
import { loadHostFile } from '../ops/load-host-file.ts';
import { type LoadedImage, type LoadProgress, type LoadReport, loadImages } from '../ops/load-images.ts';
import type { RequestIds } from '../ops/request-ids.ts';
import { decodePlatform } from './encode-image.ts';
import { fingerprintOf } from './handlers.ts';
import { serveTransfer } from './serve-transfer.ts';
import { TransferNews } from './transfer-news.ts';

const RPC = 'mydocker.v1.ImagesService/LoadImages';

const STAGE: Readonly<Record<LoadProgress['stage'], TransferStage>> = {
  fetching: TransferStage.FETCHING,
  unpacking: TransferStage.UNPACKING,
  present: TransferStage.PRESENT,
  done: TransferStage.DONE,
};

/** The whole call. */
export async function* serveLoad(
  engine: ImageEngine,
  requestIds: RequestIds,
  requests: AsyncGenerator<LoadImagesRequest>,
  signal: AbortSignal,
): AsyncGenerator<LoadImagesResponse, undefined> {
  const header = await firstFrame(requests);
  const news = new TransferNews<Event>();
  const report = reportTo(news);
  const { requestId, defaultReference, totalBytes } = header;
  const platform = decodePlatform(header.platform);
  yield* serveTransfer<Event, LoadedImage>(requestIds, {
    ...{ rpc: RPC, requestId, news, encode: encodeLoaded },
    fingerprint: fingerprintOf({ requestType: LoadHeader }, header),
    work: () => {
      const wish = { defaultReference, ...(platform === undefined ? {} : { platform }) };
      return header.file === undefined
        ? loadImages(engine, wish, chunksOf(requests, totalBytes, report), report, signal)
        : loadHostFile(engine, wish, header.file, report, signal);
    },
    isResult: (event) => event?.$case === 'image',
  });
}

type Event = LoadImagesResponse['event'];

function reportTo(news: TransferNews<Event>): LoadReport {
  return {
    progress: ({ digest, stage, doneBytes, totalBytes }) => {
      const value = { digest, stage: STAGE[stage], doneBytes, totalBytes, message: '' };
      news.progress(digest, stage, { $case: 'progress', value });
    },
    image: (image) => news.tell(`image ${image.imageId}`, encodeLoaded(image)),
  };
}

function encodeLoaded({ imageId, references }: LoadedImage): Event {
  return { $case: 'image', value: { imageId, references } };
}

async function firstFrame(requests: AsyncGenerator<LoadImagesRequest>): Promise<LoadHeader> {
  const { value } = await requests.next();
  const frame = (value as LoadImagesRequest | undefined)?.frame;
  if (frame?.$case === 'header') return frame.value;
  throw outOfOrder('the first frame is not `header`');
}

/** What comes behind the header; the next message is read when the one before was taken. */
async function* chunksOf(
  requests: AsyncGenerator<LoadImagesRequest>,
  totalBytes: bigint,
  report: LoadReport,
): AsyncGenerator<Uint8Array, undefined> {
  let doneBytes = 0n;
  for await (const { frame } of requests) {
    if (frame?.$case !== 'chunk') throw outOfOrder('a frame behind the header is no chunk');
    yield frame.value;
    doneBytes += BigInt(frame.value.length);
    report.progress({ digest: '', stage: 'fetching', doneBytes, totalBytes });
  }
}

function outOfOrder(why: string): Error {
  return invalidArgument(`cannot load archive: ${why}`, { reason: 'FRAME_OUT_OF_ORDER' });
}
