/** Methods of VolumesService, each by itself, so that a bundle holds the codecs of those it calls. */
import {
  CreateVolumeRequest,
  CreateVolumeResponse,
  GetVolumeRequest,
  GetVolumeResponse,
  ListVolumesRequest,
  ListVolumesResponse,
  PruneVolumesRequest,
  PruneVolumesResponse,
  RemoveVolumeRequest,
  RemoveVolumeResponse,
} from '../../proto/gen/mydocker/v1/volumes.ts';
import type { Method } from '../transport/method.ts';

export const createVolume: Method<CreateVolumeRequest, CreateVolumeResponse> = {
  path: '/mydocker.v1.VolumesService/CreateVolume',
  request: CreateVolumeRequest,
  response: CreateVolumeResponse,
};

export const getVolume: Method<GetVolumeRequest, GetVolumeResponse> = {
  path: '/mydocker.v1.VolumesService/GetVolume',
  request: GetVolumeRequest,
  response: GetVolumeResponse,
};

export const listVolumes: Method<ListVolumesRequest, ListVolumesResponse> = {
  path: '/mydocker.v1.VolumesService/ListVolumes',
  request: ListVolumesRequest,
  response: ListVolumesResponse,
};

export const removeVolume: Method<RemoveVolumeRequest, RemoveVolumeResponse> = {
  path: '/mydocker.v1.VolumesService/RemoveVolume',
  request: RemoveVolumeRequest,
  response: RemoveVolumeResponse,
};

export const pruneVolumes: Method<PruneVolumesRequest, PruneVolumesResponse> = {
  path: '/mydocker.v1.VolumesService/PruneVolumes',
  request: PruneVolumesRequest,
  response: PruneVolumesResponse,
};
