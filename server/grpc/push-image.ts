/** PushImage between the wire and the operation. */
import {
  PushImageRequest,
  type PushImageResponse,
  TransferStage,
} from '../../proto/gen/mydocker/v1/images.ts';
import { parseReference } from '../model/reference.ts';
import type { ImageEngine } from '../ops/image-engine.ts';
import { type PushedImage, type PushReport, type PushRequest, pushImage } from '../ops/push-image.ts';
import type { PushProgress } from '../ops/push-layers.ts';
import type { RequestIds } from '../ops/request-ids.ts';
import { decodePlatform } from './encode-image.ts';
import { fingerprintOf } from './handlers.ts';
import { decodeAuth } from './pull-image.ts';
import { serveTransfer } from './serve-transfer.ts';
import { TransferNews } from './transfer-news.ts';

const RPC = 'mydocker.v1.ImagesService/PushImage';

const STAGE: Readonly<Record<PushProgress['stage'], TransferStage>> = {
  waiting: TransferStage.WAITING,
  sending: TransferStage.SENDING,
  present: TransferStage.PRESENT,
  done: TransferStage.DONE,
  retrying: TransferStage.RETRYING,
};

type Event = PushImageResponse['event'];

/** The whole call. */
export async function* servePush(
  engine: ImageEngine,
  requestIds: RequestIds,
  request: PushImageRequest,
  signal: AbortSignal,
): AsyncGenerator<PushImageResponse, undefined> {
  const wish = decodePush(request);
  const news = new TransferNews<Event>();
  yield* serveTransfer<Event, PushedImage>(requestIds, {
    ...{ rpc: RPC, requestId: request.requestId, news, encode },
    fingerprint: fingerprintOf({ requestType: PushImageRequest }, request),
    work: () => pushImage(engine, wish, reportTo(news), signal),
    isResult: (event) => event?.$case === 'result',
  });
}

function decodePush({ reference, allTags, auth, ...request }: PushImageRequest): PushRequest {
  const platform = decodePlatform(request.platform);
  const credentials = decodeAuth(auth, () => parseReference(reference).domain);
  return {
    ...{ reference, allTags },
    ...(platform === undefined ? {} : { platform }),
    ...(credentials === undefined ? {} : { credentials }),
  };
}

function reportTo(news: TransferNews<Event>): PushReport {
  return {
    progress: ({ stage, ...value }) =>
      news.progress(value.digest, stage, { $case: 'progress', value: { ...value, stage: STAGE[stage] } }),
    image: (image) => news.tell(`image ${image.reference}`, encode(image)),
  };
}

function encode(image: PushedImage): Event {
  return { $case: 'result', value: image };
}
