/** The course of a call that tells how far a transfer is: news while it goes on, a result for each image. */
import type { RequestIds } from '../ops/request-ids.ts';
import type { TransferNews } from './transfer-news.ts';

/** One call. */
export interface TransferCall<Event extends { readonly $case: string } | undefined, Result> {
  /** Full name. */
  readonly rpc: string;
  readonly requestId: string;
  /** Of the request, so that another one with the same id is told apart. */
  readonly fingerprint: string;
  readonly news: TransferNews<Event>;
  /** The operation; tells of each result as an event that {@link isResult} knows. */
  work(): Promise<readonly Result[]>;
  isResult(event: Event): boolean;
  encode(result: Result): Event;
}

/**
 * News, then what was not told yet: a request that came again is answered as the first time, without its progress.
 * @throws what the work throws, once it has ended.
 */
export async function* serveTransfer<Event extends { readonly $case: string } | undefined, Result>(
  requestIds: RequestIds,
  { rpc, requestId, fingerprint, news, work, isResult, encode }: TransferCall<Event, Result>,
): AsyncGenerator<{ event: Event }, undefined> {
  const working = requestId === '' ? work() : requestIds.run({ rpc, requestId, fingerprint }, work);
  const ended = working.then(news.end, news.end);
  let told = 0;
  try {
    for await (const event of news.events()) {
      if (isResult(event)) told += 1;
      yield { event };
    }
    for (const result of (await working).slice(told)) yield { event: encode(result) };
  } finally {
    await ended;
  }
}
