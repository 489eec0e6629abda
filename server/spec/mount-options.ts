/** Options of a mount, as fstab writes them, split into the flags of mount(2) and the filesystem's data. */

const FLAGS: Readonly<Record<string, number>> = {
  ro: 0x1,
  nosuid: 0x2,
  nodev: 0x4,
  noexec: 0x8,
  noatime: 0x400,
  nodiratime: 0x800,
  relatime: 0x200000,
  strictatime: 0x1000000,
};

/** MOUNT_ATTR_RDONLY of mount_setattr(2). */
export const MOUNT_ATTR_RDONLY = 0x1;

export const MS_REC = 0x4000;
export const MS_REC_SLAVE: number = MS_REC | 0x80000;
export const MS_REC_PRIVATE: number = MS_REC | 0x40000;
/** As `propagation` of mount_setattr(2). */
export const MS_PRIVATE: number = 0x40000;

/** Flags as one number, everything else as `a=b,c=d`. */
export function splitMountOptions(options: readonly string[]): { flags: number; data: string } {
  let flags = 0;
  const data: string[] = [];
  for (const option of options) {
    const flag = FLAGS[option];
    if (flag === undefined) data.push(option);
    else flags |= flag;
  }
  return { flags, data: data.join(',') };
}
