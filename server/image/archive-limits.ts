/**
 * Everything about an archive that has a limit, by name: what comes from outside may be arbitrarily large,
 * and a number here is what stands between it and our memory and disk.
 */

/** Limits of one archive. */
export interface ArchiveLimits {
  /** Entries, headers that only describe others not counted. */
  readonly entries: number;
  /** Bytes of PAX, GNU long name and sparse headers before one entry. */
  readonly headerBytes: number;
  /** Bytes of the uncompressed archive, so also of what it unpacks to. */
  readonly unpackedBytes: number;
  /** Logical size of one file; only a sparse one can reach it. */
  readonly fileBytes: number;
  /** Length of a whole name or link target: PATH_MAX without its NUL. */
  readonly pathBytes: number;
  /** Length of one component of a name: NAME_MAX. */
  readonly nameBytes: number;
  /** Data regions of one sparse file. */
  readonly sparseRegions: number;
}

/** What is used where nothing else is asked for. */
export const ARCHIVE_LIMITS: ArchiveLimits = {
  entries: 4_000_000,
  headerBytes: 1 << 20,
  unpackedBytes: 256 * 2 ** 30,
  fileBytes: 8 * 2 ** 40,
  pathBytes: 4095,
  nameBytes: 255,
  sparseRegions: 100_000,
};
