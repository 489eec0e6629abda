/**
 * One repository that images are sent to: what is there already, blobs from other repositories of the registry,
 * uploads, manifests and their names.
 * Source: OCI distribution-spec, "Push".
 */
import { type ContentDigest, type Digest, digestOf } from '../model/digest.ts';
import { quoteId } from '../model/error.ts';
import { Exchange, type RegistryState } from './exchange.ts';
import { pushRefusal } from './push-refusal.ts';
import { mismatch } from './refusal.ts';
import type { Credentials } from './token.ts';
import { forgetUpload, type UploadReport, type UploadSource, upload } from './upload.ts';

/** What a blob is known by. */
export interface SentBlob {
  readonly digest: ContentDigest;
  readonly sizeBytes: number;
}

/** A manifest or an index, as it shall be there. */
export interface SentDocument {
  readonly mediaType: string;
  readonly digest: Digest;
  readonly bytes: Buffer;
}

export class PushRepository {
  readonly host: string;
  /** As references have it. */
  readonly domain: string;
  readonly path: string;
  readonly #exchange: Exchange;
  readonly #registry: RegistryState;
  readonly #credentials: Credentials | undefined;
  /** With the right to read the other repository too. */
  readonly #others = new Map<string, Exchange>();

  /** @param path - `library/redis`. @param credentials - absent: anonymous. */
  constructor(registry: RegistryState, path: string, credentials?: Credentials) {
    this.host = registry.host;
    this.domain = registry.host;
    this.path = path;
    this.#registry = registry;
    this.#credentials = credentials;
    this.#exchange = new Exchange(registry, path, credentials, `repository:${path}:pull,push`);
  }

  /** Whether a blob is there. @throws MydockerError as exchange.ts and push-refusal.ts. */
  async has({ digest, sizeBytes }: SentBlob, signal: AbortSignal): Promise<boolean> {
    return await this.#exchange.again(signal, async () => {
      const answer = await this.#exchange.ask({ ...HEAD, at: `blobs/${digest}`, signal });
      const length = answer.header('content-length');
      // What has another size is not what is meant, and is written over.
      if (answer.status === 200) {
        answer.discard();
        return length === '' || Number(length) === sizeBytes;
      }
      if (answer.status !== 404 && answer.status !== 400)
        throw await pushRefusal(this.host, answer, `layer ${digest}`);
      answer.discard();
      return false;
    });
  }

  /**
   * Brings a blob here from another repository of the registry, which need not have it.
   * @param from - path of that one.
   * @returns whether it is here now.
   * @throws MydockerError `unavailable`; the signal's reason.
   */
  async mount({ digest }: SentBlob, from: string, signal: AbortSignal): Promise<boolean> {
    const scope = `repository:${this.path}:pull,push repository:${from}:pull`;
    const known = this.#others.get(from);
    const exchange = known ?? new Exchange(this.#registry, this.path, this.#credentials, scope);
    this.#others.set(from, exchange);
    const query = new URLSearchParams({ mount: digest, from });
    const at = `blobs/uploads/?${query.toString()}`;
    return await this.#exchange.again(signal, async () => {
      const answer = await exchange
        .ask({ method: 'POST', headers: EMPTY, at, signal, body: '' })
        .catch((error: unknown) => {
          // Whoever may not read there sends the bytes.
          if ((error as { code?: unknown }).code === 'permission-denied') return undefined;
          throw error;
        });
      answer?.discard();
      if (answer?.status !== 202) return answer?.status === 201;
      // It began an upload instead, which nobody needs.
      const location = answer.header('location');
      if (location !== '') await forgetUpload(exchange, exchange.locate(exchange.address(at), location));
      return false;
    });
  }

  /**
   * Sends a blob.
   * @throws MydockerError as upload.ts.
   */
  async send(blob: SentBlob, source: UploadSource, report: UploadReport, signal: AbortSignal): Promise<void> {
    await upload(this.#exchange, blob, source, report, signal);
  }

  /**
   * Gives a manifest to the registry; what it names must be there.
   * @param name - a tag, or the digest.
   * @throws MydockerError `invalid-argument` (DIGEST_MISMATCH) where it has another digest there; as
   * push-refusal.ts.
   */
  async put(name: string, { mediaType, digest, bytes }: SentDocument, signal: AbortSignal): Promise<void> {
    await this.#exchange.again(signal, async () => {
      const headers = { 'content-type': mediaType };
      const body = { sizeBytes: bytes.length, chunks: () => once(bytes) };
      const answer = await this.#exchange.ask({
        method: 'PUT',
        at: `manifests/${name}`,
        headers,
        body,
        signal,
      });
      if (answer.status < 200 || answer.status > 299)
        throw await pushRefusal(this.host, answer, `manifest ${quoteId(name)}`);
      answer.discard();
      const told = answer.header('docker-content-digest');
      if (told.startsWith('sha256:') && told !== digestOf(bytes))
        throw mismatch(this.host, `it has ${quoteId(told)} for what was sent as ${digest}`);
    });
  }
}

const EMPTY = { 'content-length': '0' } as const;
const HEAD = { method: 'HEAD', headers: {} } as const;

async function* once(bytes: Buffer): AsyncGenerator<Buffer, void, undefined> {
  yield bytes;
}
