/** Methods of SystemService, each by itself, so that a bundle holds the codecs of those it calls. */
import {
  GetInfoRequest,
  GetInfoResponse,
  GetVersionRequest,
  GetVersionResponse,
} from '../../proto/gen/mydocker/v1/system.ts';
import type { Method } from '../transport/method.ts';

export const getVersion: Method<GetVersionRequest, GetVersionResponse> = {
  path: '/mydocker.v1.SystemService/GetVersion',
  request: GetVersionRequest,
  response: GetVersionResponse,
};

export const getInfo: Method<GetInfoRequest, GetInfoResponse> = {
  path: '/mydocker.v1.SystemService/GetInfo',
  request: GetInfoRequest,
  response: GetInfoResponse,
};
