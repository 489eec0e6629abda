/** Which form an archive of images has, and its images. */
import { invalidArgument } from '../model/error.ts';
import { formatReference, parseReference } from '../model/reference.ts';
import type { ArchiveFiles } from './archive-files.ts';
import type { ArchiveImage, ArchiveWish } from './archive-image.ts';
import { DOCKER_MANIFEST, readDockerArchive, readDockerTags } from './docker-archive.ts';
import { OCI_INDEX, readOciLayout } from './oci-layout.ts';

/**
 * The images of an archive. Where it is written for both readers (`docker save` of today), the OCI side is
 * read, which has digests for everything; tags that only the other side knows count too.
 * @throws MydockerError `invalid-argument`: its form is unknown (ARCHIVE_UNKNOWN_FORMAT), or as the readers.
 */
export async function readArchive(files: ArchiveFiles, wish: ArchiveWish): Promise<ArchiveImage[]> {
  const images = await readImages(files, wish);
  if (wish.defaultReference === '') return images;
  const fallback = formatReference(parseReference(wish.defaultReference));
  // One name for one image: of several without a name none is meant.
  const nameless = images.filter(({ references }) => references.length === 0);
  if (nameless.length !== 1) return images;
  return images.map((image) => (image === nameless[0] ? { ...image, references: [fallback] } : image));
}

async function readImages(files: ArchiveFiles, wish: ArchiveWish): Promise<ArchiveImage[]> {
  if (files.find(OCI_INDEX) === undefined) {
    if (files.find(DOCKER_MANIFEST) === undefined) throw unknownForm(files);
    return await readDockerArchive(files, wish);
  }
  const images = await readOciLayout(files, wish);
  if (images.every(({ references }) => references.length > 0)) return images;
  const tags = await readDockerTags(files);
  return images.map((image) =>
    image.references.length > 0 ? image : { ...image, references: tags.get(image.config.digest) ?? [] },
  );
}

function unknownForm(files: ArchiveFiles): Error {
  const names = [...files.names()];
  const isRootfs = names.some((name) => /^(?:bin|etc|usr)(?:\/|$)/.test(name));
  const isOld = files.find('repositories') !== undefined || names.some((name) => /\/layer\.tar$/.test(name));
  const why = isOld
    ? 'it is of the form before Docker 1.10, without a manifest.json'
    : `it has neither ${OCI_INDEX} nor ${DOCKER_MANIFEST}`;
  const hint = isOld
    ? 'load it into a Docker of today and save it again'
    : isRootfs
      ? 'a root filesystem is taken by mydocker import'
      : 'it must be an archive of docker save, or an OCI layout';
  return invalidArgument(`cannot read archive: ${why}`, {
    reason: 'ARCHIVE_UNKNOWN_FORMAT',
    hint,
    metadata: { why },
  });
}
