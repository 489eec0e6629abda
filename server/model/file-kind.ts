/** Words for what is no regular file: a name that a user took for one is told as what it is. */

/** Of the file's type, as inode(7) numbers them. */
const KINDS: ReadonlyMap<number, string> = new Map([
  [0o040000, 'a directory'],
  [0o020000, 'a device'],
  [0o060000, 'a device'],
  [0o010000, 'a fifo'],
  [0o140000, 'a socket'],
]);

/** `a directory` and the like; undefined for a file and a symbolic link. @param mode - as stat(2) has it. */
export function fileKind(mode: number): string | undefined {
  return KINDS.get(mode & 0o170000);
}
