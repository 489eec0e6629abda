/** Methods of SystemService, each by itself, so that a bundle holds the codecs of those it calls. */
import {
  GetDiskUsageRequest,
  GetDiskUsageResponse,
  GetInfoRequest,
  GetInfoResponse,
  GetVersionRequest,
  GetVersionResponse,
  PruneSystemRequest,
  PruneSystemResponse,
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

export const getDiskUsage: Method<GetDiskUsageRequest, GetDiskUsageResponse> = {
  path: '/mydocker.v1.SystemService/GetDiskUsage',
  request: GetDiskUsageRequest,
  response: GetDiskUsageResponse,
};

export const pruneSystem: Method<PruneSystemRequest, PruneSystemResponse> = {
  path: '/mydocker.v1.SystemService/PruneSystem',
  request: PruneSystemRequest,
  response: PruneSystemResponse,
};
