/** Methods of NetworksService, each by itself, so that a bundle holds the codecs of those it calls. */
import {
  ConnectNetworkRequest,
  ConnectNetworkResponse,
  CreateNetworkRequest,
  CreateNetworkResponse,
  DisconnectNetworkRequest,
  DisconnectNetworkResponse,
  ExplainNetworkRequest,
  ExplainNetworkResponse,
  GetNetworkRequest,
  GetNetworkResponse,
  ListNetworksRequest,
  ListNetworksResponse,
  PruneNetworksRequest,
  PruneNetworksResponse,
  PublishPortsRequest,
  PublishPortsResponse,
  ReloadNetworksRequest,
  ReloadNetworksResponse,
  RemoveNetworkRequest,
  RemoveNetworkResponse,
  UnpublishPortsRequest,
  UnpublishPortsResponse,
} from '../../proto/gen/mydocker/v1/networks.ts';
import type { Method } from '../transport/method.ts';

export const createNetwork: Method<CreateNetworkRequest, CreateNetworkResponse> = {
  path: '/mydocker.v1.NetworksService/CreateNetwork',
  request: CreateNetworkRequest,
  response: CreateNetworkResponse,
};

export const getNetwork: Method<GetNetworkRequest, GetNetworkResponse> = {
  path: '/mydocker.v1.NetworksService/GetNetwork',
  request: GetNetworkRequest,
  response: GetNetworkResponse,
};

export const listNetworks: Method<ListNetworksRequest, ListNetworksResponse> = {
  path: '/mydocker.v1.NetworksService/ListNetworks',
  request: ListNetworksRequest,
  response: ListNetworksResponse,
};

export const removeNetwork: Method<RemoveNetworkRequest, RemoveNetworkResponse> = {
  path: '/mydocker.v1.NetworksService/RemoveNetwork',
  request: RemoveNetworkRequest,
  response: RemoveNetworkResponse,
};

export const pruneNetworks: Method<PruneNetworksRequest, PruneNetworksResponse> = {
  path: '/mydocker.v1.NetworksService/PruneNetworks',
  request: PruneNetworksRequest,
  response: PruneNetworksResponse,
};

export const connectNetwork: Method<ConnectNetworkRequest, ConnectNetworkResponse> = {
  path: '/mydocker.v1.NetworksService/ConnectNetwork',
  request: ConnectNetworkRequest,
  response: ConnectNetworkResponse,
};

export const disconnectNetwork: Method<DisconnectNetworkRequest, DisconnectNetworkResponse> = {
  path: '/mydocker.v1.NetworksService/DisconnectNetwork',
  request: DisconnectNetworkRequest,
  response: DisconnectNetworkResponse,
};

export const publishPorts: Method<PublishPortsRequest, PublishPortsResponse> = {
  path: '/mydocker.v1.NetworksService/PublishPorts',
  request: PublishPortsRequest,
  response: PublishPortsResponse,
};

export const unpublishPorts: Method<UnpublishPortsRequest, UnpublishPortsResponse> = {
  path: '/mydocker.v1.NetworksService/UnpublishPorts',
  request: UnpublishPortsRequest,
  response: UnpublishPortsResponse,
};

export const reloadNetworks: Method<ReloadNetworksRequest, ReloadNetworksResponse> = {
  path: '/mydocker.v1.NetworksService/ReloadNetworks',
  request: ReloadNetworksRequest,
  response: ReloadNetworksResponse,
};

export const explainNetwork: Method<ExplainNetworkRequest, ExplainNetworkResponse> = {
  path: '/mydocker.v1.NetworksService/ExplainNetwork',
  request: ExplainNetworkRequest,
  response: ExplainNetworkResponse,
};
