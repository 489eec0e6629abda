/**
 * One blob on its way to a registry: in one piece, or in pieces where the registry wants that or where the
 * connection broke and it still has the beginning; begun anew where it has not.
 * Source: OCI distribution-spec, "Pushing blobs".
 */
import { setTimeout as sleep } from 'node:timers/promises';
import type { ContentDigest } from '../model/digest.ts';
import { MydockerError, quoteId } from '../model/error.ts';
import type { Exchange } from './exchange.ts';
import type { HttpResponse } from './http.ts';
import { pushRefusal, UPLOAD_LOST } from './push-refusal.ts';
import { mismatch, pauseMs } from './refusal.ts';
import { isTransient, registryError } from './registry-error.ts';

/** Where the bytes come from. */
export interface UploadSource {
  /** @param from - offset of the first. @param to - offset behind the last. */
  read(from: number, to: number): AsyncIterable<Buffer>;
}

/** Told while it goes on; must not wait. */
export interface UploadReport {
  sent(bytes: number): void;
  /** It broke, and is tried again. */
  retrying(why: string): void;
}

/** At least this much in one piece where pieces are wanted. */
const PIECE_BYTES = 16 * 2 ** 20;
/** Largest piece that a registry may ask for. */
const MAX_PIECE_BYTES = 2 ** 31;
/** Beginnings anew because the registry lost or mistook what it had. */
const RESTARTS = 2;
const FORGET_MS = 2000;
/** Of what stands in front of a registry that is being restarted. */
const GATEWAY_SAYS_AWAY: ReadonlySet<number> = new Set([502, 503, 504]);

interface Upload {
  readonly exchange: Exchange;
  readonly blob: { readonly digest: ContentDigest; readonly sizeBytes: number };
  readonly source: UploadSource;
  readonly report: UploadReport;
  readonly signal: AbortSignal;
}

/** What the registry has of it, and where it goes on. */
interface Session {
  url: URL;
  sizeBytes: number;
  /** It goes on in pieces, of at least so many bytes; 0: in one. */
  pieceBytes: number;
}

/**
 * Sends a blob; it is there when this returns. After a failure the registry is told to forget what it has.
 * @throws MydockerError as push-refusal.ts once there were enough tries; `invalid-argument` (DIGEST_MISMATCH);
 * the signal's reason; what the source throws.
 */
export async function upload(
  exchange: Exchange,
  blob: Upload['blob'],
  source: UploadSource,
  report: UploadReport,
  signal: AbortSignal,
): Promise<void> {
  const one: Upload = { exchange, blob, source, report, signal };
  const { limits } = exchange;
  let session: Session | undefined;
  let broke: MydockerError | undefined;
  let [tries, restarts] = [0, 0];
  for (let resumes = 0; ; resumes += 1) {
    const before = session?.sizeBytes ?? 0;
    try {
      if (broke !== undefined) await sleep(pauseMs(limits, tries, broke.metadata), undefined, { signal });
      if (broke !== undefined && session !== undefined) {
        const rest = await goOn(one, session, broke);
        if (rest === 'nothing') return;
        session = rest;
      }
      session ??= await begin(one);
      return await sendRest(one, session);
    } catch (error) {
      tries = (session?.sizeBytes ?? 0) > before ? 1 : tries + 1;
      const isLost = isLostUpload(error);
      if (isLost) restarts += 1;
      const isOver = tries >= limits.tries || resumes >= limits.resumes || restarts > RESTARTS;
      if (!(isLost || isTransient(error)) || isOver || signal.aborted) {
        if (session !== undefined) void forgetUpload(exchange, session.url);
        throw error;
      }
      report.retrying(error.metadata['why'] ?? error.message);
      broke = error;
    }
  }
}

function isLostUpload(error: unknown): error is MydockerError {
  return error instanceof MydockerError && error.reason === UPLOAD_LOST;
}

/**
 * After a break: where it goes on.
 * @returns undefined: it begins anew; `nothing`: it is there, and only the answer got lost.
 */
async function goOn(
  upload: Upload,
  session: Session,
  broke: MydockerError,
): Promise<Session | 'nothing' | undefined> {
  if (isLostUpload(broke)) return await restart(upload, session);
  const taken = await takeUp(upload, session);
  return taken === undefined && (await isThere(upload)) ? 'nothing' : taken;
}

async function begin({ exchange, signal }: Upload): Promise<Session> {
  const at = 'blobs/uploads/';
  const headers = { 'content-length': '0' };
  const answer = await exchange.ask({ method: 'POST', at, headers, body: '', signal });
  if (answer.status !== 202) throw await pushRefusal(exchange.host, answer, 'an upload');
  answer.discard();
  const asked = Number(answer.header('oci-chunk-min-length'));
  const wanted = Number.isSafeInteger(asked) && asked > 0 ? Math.max(asked, PIECE_BYTES) : 0;
  if (wanted > MAX_PIECE_BYTES)
    throw registryError(exchange.host, `it wants pieces of ${asked} bytes`, { reason: 'REGISTRY_LIMIT' });
  return { url: next(exchange, exchange.address(at), answer), sizeBytes: 0, pieceBytes: wanted };
}

/** Where the registry says that it goes on; there, if it does not say. */
function next(exchange: Exchange, from: URL, answer: HttpResponse): URL {
  const location = answer.header('location');
  if (location !== '') return exchange.locate(from, location);
  if (answer.status !== 202 || from.pathname.endsWith('/blobs/uploads/'))
    throw registryError(exchange.host, 'it does not say where an upload goes on');
  return from;
}

async function sendRest(upload: Upload, session: Session): Promise<void> {
  const { blob, signal } = upload;
  if (session.pieceBytes > 0)
    while (session.sizeBytes < blob.sizeBytes) {
      signal.throwIfAborted();
      await sendPiece(upload, session);
    }
  await finish(upload, session);
}

async function sendPiece(upload: Upload, session: Session): Promise<void> {
  const { exchange, blob, signal } = upload;
  const from = session.sizeBytes;
  const to = Math.min(blob.sizeBytes, from + session.pieceBytes);
  const headers = { ...BYTES, 'content-range': `${from}-${to - 1}` };
  const body = bodyOf(upload, from, to);
  const answer = await exchange.ask({ method: 'PATCH', at: session.url, headers, body, signal });
  if (answer.status !== 202 && answer.status !== 204 && answer.status !== 201)
    throw await pushRefusal(exchange.host, answer, `layer ${blob.digest}`);
  answer.discard();
  session.url = answer.header('location') === '' ? session.url : next(exchange, session.url, answer);
  const has = hasBytes(answer) ?? to;
  if (has <= from || has > to)
    throw registryError(
      exchange.host,
      `sent bytes ${from}-${to - 1}, it has ${quoteId(answer.header('range'))}`,
    );
  session.sizeBytes = has;
}

/** The last step, with all of it where it goes in one piece. */
async function finish(upload: Upload, session: Session): Promise<void> {
  const { exchange, blob, signal } = upload;
  const at = new URL(session.url);
  // What stands there is the registry's own and stays as it is.
  at.search = `${at.search === '' ? '?' : `${at.search}&`}digest=${blob.digest}`;
  const body = bodyOf(upload, session.sizeBytes, blob.sizeBytes);
  const answer = await exchange.ask({ method: 'PUT', at, headers: BYTES, body, signal });
  if (answer.status !== 201 && answer.status !== 204 && answer.status !== 200)
    throw await pushRefusal(exchange.host, answer, `layer ${blob.digest}`);
  answer.discard();
  const told = answer.header('docker-content-digest');
  if (told.startsWith('sha256:') && told !== blob.digest)
    throw mismatch(exchange.host, `it has ${quoteId(told)} for what was sent as ${blob.digest}`);
}

function bodyOf({ source, report }: Upload, from: number, to: number) {
  const chunks = async function* (): AsyncGenerator<Buffer, void, undefined> {
    let at = from;
    for await (const chunk of source.read(from, to)) {
      yield chunk;
      // Asked for the next one: this one is on its way.
      at += chunk.length;
      report.sent(at);
    }
  };
  return { sizeBytes: to - from, chunks };
}

/**
 * What the registry has of it by now.
 * @returns undefined: nothing, and nothing to go on with.
 * @throws MydockerError `unavailable` while nobody can tell: it may still have it when it is back.
 */
async function takeUp(upload: Upload, session: Session): Promise<Session | undefined> {
  const { exchange, blob, signal } = upload;
  try {
    const answer = await exchange.ask({ method: 'GET', at: session.url, headers: {}, signal });
    if (GATEWAY_SAYS_AWAY.has(answer.status)) throw await pushRefusal(exchange.host, answer, 'an upload');
    answer.discard();
    const has = hasBytes(answer);
    const isKnown = answer.status === 204 || answer.status === 202 || answer.status === 200;
    if (isKnown && has !== undefined && has <= blob.sizeBytes) {
      const url = answer.header('location') === '' ? session.url : next(exchange, session.url, answer);
      return { url, sizeBytes: has, pieceBytes: Math.max(session.pieceBytes, PIECE_BYTES) };
    }
  } catch (error) {
    signal.throwIfAborted();
    if (!(error instanceof MydockerError) || isTransient(error)) throw error;
  }
  return await restart(upload, session);
}

async function isThere({ exchange, blob: { digest }, signal }: Upload): Promise<boolean> {
  const asked = exchange.ask({ method: 'HEAD', at: `blobs/${digest}`, headers: {}, signal });
  const answer = await asked.catch((error: unknown) => {
    signal.throwIfAborted();
    if (!(error instanceof MydockerError)) throw error;
    return undefined;
  });
  answer?.discard();
  return answer?.status === 200;
}

async function restart({ exchange, report }: Upload, session: Session): Promise<undefined> {
  await forgetUpload(exchange, session.url);
  report.sent(0);
  return undefined;
}

/** `0-99`: 100 bytes. A single byte is told as none is; then the registry refuses the next one, and it begins anew. */
function hasBytes(answer: HttpResponse): number | undefined {
  const end = /^(?:bytes=)?0-(\d{1,15})$/.exec(answer.header('range'))?.[1];
  if (end === undefined) return undefined;
  return end === '0' ? 0 : Number(end) + 1;
}

/** Ends an upload: what is left of it there would stay for a week. Waits a moment only, and never fails. */
export async function forgetUpload(exchange: Exchange, at: URL): Promise<void> {
  const signal = AbortSignal.timeout(FORGET_MS);
  await exchange.ask({ method: 'DELETE', at, headers: {}, signal }).then(
    (answer) => answer.discard(),
    () => undefined,
  );
}

const BYTES = { 'content-type': 'application/octet-stream' } as const;
