/** The part of snappyjs that is used; it brings no types. */
declare module 'snappyjs' {
  /** @throws Error for what is not Snappy's raw format. */
  export function uncompress(compressed: Uint8Array): Uint8Array;
}
