/** Methods of ImagesService, each by itself, so that a bundle holds the codecs of those it calls. */
import {
  CheckRegistryAuthRequest,
  CheckRegistryAuthResponse,
  GetImageHistoryRequest,
  GetImageHistoryResponse,
  GetImageRequest,
  GetImageResponse,
  ImportImageRequest,
  ImportImageResponse,
  ListImagesRequest,
  ListImagesResponse,
  LoadImagesRequest,
  LoadImagesResponse,
  PruneImagesRequest,
  PruneImagesResponse,
  PullImageRequest,
  PullImageResponse,
  PushImageRequest,
  PushImageResponse,
  RemoveImageRequest,
  RemoveImageResponse,
  TagImageRequest,
  TagImageResponse,
} from '../../proto/gen/mydocker/v1/images.ts';
import type { Method } from '../transport/method.ts';

export const importImage: Method<ImportImageRequest, ImportImageResponse> = {
  path: '/mydocker.v1.ImagesService/ImportImage',
  request: ImportImageRequest,
  response: ImportImageResponse,
};

export const loadImages: Method<LoadImagesRequest, LoadImagesResponse> = {
  path: '/mydocker.v1.ImagesService/LoadImages',
  request: LoadImagesRequest,
  response: LoadImagesResponse,
};

export const getImage: Method<GetImageRequest, GetImageResponse> = {
  path: '/mydocker.v1.ImagesService/GetImage',
  request: GetImageRequest,
  response: GetImageResponse,
};

export const listImages: Method<ListImagesRequest, ListImagesResponse> = {
  path: '/mydocker.v1.ImagesService/ListImages',
  request: ListImagesRequest,
  response: ListImagesResponse,
};

export const tagImage: Method<TagImageRequest, TagImageResponse> = {
  path: '/mydocker.v1.ImagesService/TagImage',
  request: TagImageRequest,
  response: TagImageResponse,
};

export const removeImage: Method<RemoveImageRequest, RemoveImageResponse> = {
  path: '/mydocker.v1.ImagesService/RemoveImage',
  request: RemoveImageRequest,
  response: RemoveImageResponse,
};

export const getImageHistory: Method<GetImageHistoryRequest, GetImageHistoryResponse> = {
  path: '/mydocker.v1.ImagesService/GetImageHistory',
  request: GetImageHistoryRequest,
  response: GetImageHistoryResponse,
};

export const pruneImages: Method<PruneImagesRequest, PruneImagesResponse> = {
  path: '/mydocker.v1.ImagesService/PruneImages',
  request: PruneImagesRequest,
  response: PruneImagesResponse,
};

export const pullImage: Method<PullImageRequest, PullImageResponse> = {
  path: '/mydocker.v1.ImagesService/PullImage',
  request: PullImageRequest,
  response: PullImageResponse,
};

export const pushImage: Method<PushImageRequest, PushImageResponse> = {
  path: '/mydocker.v1.ImagesService/PushImage',
  request: PushImageRequest,
  response: PushImageResponse,
};

export const checkRegistryAuth: Method<CheckRegistryAuthRequest, CheckRegistryAuthResponse> = {
  path: '/mydocker.v1.ImagesService/CheckRegistryAuth',
  request: CheckRegistryAuthRequest,
  response: CheckRegistryAuthResponse,
};
