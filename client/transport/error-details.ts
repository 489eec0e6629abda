/** Reads google.rpc.Status out of a call's trailers. A file of its own, because calls that succeed never need it. */
import { ErrorInfo, LocalizedMessage } from '../../proto/gen/google/rpc/error_details.ts';
import { Status } from '../../proto/gen/google/rpc/status.ts';
import type { RpcErrorDetails } from './rpc-error.ts';

/**
 * Details of an error.
 * @param encoded - value of `grpc-status-details-bin`, base64 with or without padding.
 * @returns none where it cannot be read: the code and the sentence are still good.
 */
export function decodeErrorDetails(encoded: string): RpcErrorDetails {
  try {
    const details: { -readonly [K in keyof RpcErrorDetails]: RpcErrorDetails[K] } = {};
    for (const { typeUrl, value } of Status.decode(Buffer.from(encoded, 'base64')).details) {
      const type = typeUrl.slice(typeUrl.lastIndexOf('/') + 1);
      if (type === 'google.rpc.ErrorInfo') {
        const info = ErrorInfo.decode(value);
        details.reason = info.reason;
        details.metadata = info.metadata;
      } else if (type === 'google.rpc.LocalizedMessage') {
        details.hint = LocalizedMessage.decode(value).message;
      }
    }
    return details;
  } catch {
    return {};
  }
}
