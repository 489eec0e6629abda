/** What tests share that send frames which no kernel would make, or not this one: by `build/test/frames`. */
import { spawn } from 'node:child_process';
import { join } from 'node:path';
import { addressBytes, parseAddress } from '../../server/network/ip.ts';
import { PROJECT, SLOWNESS } from '../harness/cli.ts';
import { runIn } from './publish-ground.ts';

/** Sends and hears frames, and speaks SCTP. */
export const FRAMES: string = join(PROJECT, 'build/test/frames');

/** Followed by one letter in a frame; the frame with Z is the last one. */
export const MARK = 'mydocker-frame:';

/** The end of a test that fails: what is sent arrives at once. */
const HEARD_MS = 5000 * SLOWNESS;

/** Bytes as people write them, with spaces and colons. */
export const bytes = (hex: string): Buffer => Buffer.from(hex.replaceAll(/[ :]/g, ''), 'hex');

/** The bytes of an address. */
export const addressed = (text: string): Buffer => addressBytes(parseAddress(text));

/** Of IP (RFC 1071). @param words - an even number of bytes. */
export function checksum(words: Buffer): number {
  let sum = 0;
  for (let at = 0; at < words.length; at += 2) sum += words.readUInt16BE(at);
  while (sum > 0xffff) sum = (sum & 0xffff) + (sum >>> 16);
  return ~sum & 0xffff;
}

/** Of SCTP (RFC 9260, appendix A), as it stands in the packet. */
export function crc32c(message: Buffer): Buffer {
  let rest = 0xffffffff;
  for (const byte of message) {
    rest ^= byte;
    for (let bit = 0; bit < 8; bit += 1) rest = (rest >>> 1) ^ ((rest & 1) === 0 ? 0 : 0x82f63b78);
  }
  const sum = Buffer.alloc(4);
  sum.writeUInt32LE(~rest >>> 0);
  return sum;
}

/** Where frames are sent from: the network of a process. */
export interface Sender {
  readonly pid: number;
  readonly interface: string;
}

/** Sends frames; @returns the letters that arrive at the eth0 of a container, up to Z. */
export async function heardOf(from: Sender, to: number, frames: readonly Buffer[]): Promise<string> {
  const child = spawn('nsenter', ['-t', String(to), '-n', FRAMES, 'hear', 'eth0', MARK], {
    timeout: HEARD_MS,
  });
  let text = '';
  const closed = new Promise((resolve) => child.on('close', resolve));
  await new Promise<void>((resolve) => {
    child.stdout.on('data', (data) => {
      text += data;
      if (text.startsWith('ready')) resolve();
    });
  });
  runIn(from.pid, FRAMES, 'send', from.interface, ...frames.map((frame) => frame.toString('hex')));
  await closed;
  return text.replace('ready', '').trim();
}
