/** PullImage between the wire and the operation. */
import {
  PullImageRequest,
  type PullImageResponse,
  PullPolicy,
  type RegistryAuth,
  TransferStage,
} from '../../proto/gen/mydocker/v1/images.ts';
import { invalidArgument, quoteId } from '../model/error.ts';
import { parseReference } from '../model/reference.ts';
import type { ImageEngine } from '../ops/image-engine.ts';
import {
  type PulledImage,
  type PullProgress,
  type PullReport,
  type PullRequest,
  pullImage,
} from '../ops/pull-image.ts';
import type { RequestIds } from '../ops/request-ids.ts';
import { decodePlatform } from './encode-image.ts';
import { fingerprintOf } from './handlers.ts';
import { serveTransfer } from './serve-transfer.ts';
import { TransferNews } from './transfer-news.ts';

const RPC = 'mydocker.v1.ImagesService/PullImage';

const STAGE: Readonly<Record<PullProgress['stage'], TransferStage>> = {
  waiting: TransferStage.WAITING,
  fetching: TransferStage.FETCHING,
  verifying: TransferStage.VERIFYING,
  unpacking: TransferStage.UNPACKING,
  present: TransferStage.PRESENT,
  done: TransferStage.DONE,
  retrying: TransferStage.RETRYING,
};

const POLICY: Readonly<Partial<Record<PullPolicy, PullRequest['policy']>>> = {
  [PullPolicy.MISSING]: 'missing',
  [PullPolicy.NEWER]: 'newer',
  [PullPolicy.NEVER]: 'never',
};

type Event = PullImageResponse['event'];

/** The whole call. */
export async function* servePull(
  engine: ImageEngine,
  requestIds: RequestIds,
  request: PullImageRequest,
  signal: AbortSignal,
): AsyncGenerator<PullImageResponse, undefined> {
  const wish = decodePull(request);
  const news = new TransferNews<Event>();
  yield* serveTransfer<Event, PulledImage>(requestIds, {
    ...{ rpc: RPC, requestId: request.requestId, news, encode: encodePulled },
    fingerprint: fingerprintOf({ requestType: PullImageRequest }, request),
    work: () => pullImage(engine, wish, reportTo(news), signal),
    isResult: (event) => event?.$case === 'result',
  });
}

function decodePull(request: PullImageRequest): PullRequest {
  const { reference, allTags, auth } = request;
  const platform = decodePlatform(request.platform);
  const credentials = decodeAuth(auth, () => parseReference(reference).domain);
  return {
    ...{ reference, allTags, policy: POLICY[request.policy] ?? 'always' },
    ...(platform === undefined ? {} : { platform }),
    ...(credentials === undefined ? {} : { credentials }),
  };
}

/**
 * Meant for one registry: with another one's reference they are a mistake, and go nowhere.
 * @param domainOf - of the registry that is asked; throws for a reference that cannot be read.
 * @throws MydockerError `invalid-argument` (REGISTRY_AUTH_INVALID).
 */
export function decodeAuth(
  auth: RegistryAuth | undefined,
  domainOf: () => string,
): PullRequest['credentials'] {
  if (auth === undefined) return undefined;
  const { server, ...credentials } = auth;
  const domain = domainOf();
  const secrets = Object.values(credentials);
  if (secrets.every((secret) => secret === '')) return undefined;
  // A name with a colon would end early; and what is not printable has no place in a header.
  const isPlain = secrets.every((secret) => !/\p{Cc}/u.test(secret));
  if (server === domain && isPlain && !credentials.username.includes(':')) return credentials;
  const why =
    server === domain
      ? 'they cannot be sent'
      : `they are meant for ${quoteId(server)}, the image is at ${domain}`;
  throw invalidArgument(`cannot use credentials: ${why}`, { reason: 'REGISTRY_AUTH_INVALID' });
}

function reportTo(news: TransferNews<Event>): PullReport {
  return {
    resolved: ({ reference, manifest, layers }) =>
      news.tell(`resolved ${reference}`, {
        $case: 'resolved',
        value: { reference, manifest: encodeBlob(manifest), layers: layers.map(encodeBlob) },
      }),
    progress: ({ stage, ...value }) =>
      news.progress(value.digest, stage, { $case: 'progress', value: { ...value, stage: STAGE[stage] } }),
    warning: (message) =>
      news.tell(`warning ${message}`, {
        $case: 'progress',
        value: { digest: '', stage: TransferStage.RETRYING, doneBytes: 0n, totalBytes: 0n, message },
      }),
    image: (image) => news.tell(`image ${image.reference}`, encodePulled(image)),
  };
}

function encodeBlob({
  mediaType,
  digest,
  sizeBytes,
}: {
  mediaType: string;
  digest: string;
  sizeBytes: number;
}) {
  return { mediaType, digest, sizeBytes: BigInt(sizeBytes) };
}

function encodePulled(image: PulledImage): Event {
  return { $case: 'result', value: image };
}
