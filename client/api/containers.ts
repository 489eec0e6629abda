/** Methods of ContainersService, each by itself, so that a bundle holds the codecs of those it calls. */
import {
  CreateContainerRequest,
  CreateContainerResponse,
  ExplainContainerRequest,
  ExplainContainerResponse,
  GetContainerRequest,
  GetContainerResponse,
  ListContainersRequest,
  ListContainersResponse,
  PruneContainersRequest,
  PruneContainersResponse,
  RemoveContainerRequest,
  RemoveContainerResponse,
  RenameContainerRequest,
  RenameContainerResponse,
  UpdateContainerRequest,
  UpdateContainerResponse,
} from '../../proto/gen/mydocker/v1/containers.ts';
import type { Method } from '../transport/method.ts';

export const createContainer: Method<CreateContainerRequest, CreateContainerResponse> = {
  path: '/mydocker.v1.ContainersService/CreateContainer',
  request: CreateContainerRequest,
  response: CreateContainerResponse,
};

export const getContainer: Method<GetContainerRequest, GetContainerResponse> = {
  path: '/mydocker.v1.ContainersService/GetContainer',
  request: GetContainerRequest,
  response: GetContainerResponse,
};

export const listContainers: Method<ListContainersRequest, ListContainersResponse> = {
  path: '/mydocker.v1.ContainersService/ListContainers',
  request: ListContainersRequest,
  response: ListContainersResponse,
};

export const removeContainer: Method<RemoveContainerRequest, RemoveContainerResponse> = {
  path: '/mydocker.v1.ContainersService/RemoveContainer',
  request: RemoveContainerRequest,
  response: RemoveContainerResponse,
};

export const pruneContainers: Method<PruneContainersRequest, PruneContainersResponse> = {
  path: '/mydocker.v1.ContainersService/PruneContainers',
  request: PruneContainersRequest,
  response: PruneContainersResponse,
};

export const renameContainer: Method<RenameContainerRequest, RenameContainerResponse> = {
  path: '/mydocker.v1.ContainersService/RenameContainer',
  request: RenameContainerRequest,
  response: RenameContainerResponse,
};

export const updateContainer: Method<UpdateContainerRequest, UpdateContainerResponse> = {
  path: '/mydocker.v1.ContainersService/UpdateContainer',
  request: UpdateContainerRequest,
  response: UpdateContainerResponse,
};

export const explainContainer: Method<ExplainContainerRequest, ExplainContainerResponse> = {
  path: '/mydocker.v1.ContainersService/ExplainContainer',
  request: ExplainContainerRequest,
  response: ExplainContainerResponse,
};
