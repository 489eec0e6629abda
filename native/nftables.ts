/**
 * nftables: scripts run by libnftables, and the number that tells whether any rule changed since.
 *
 * WHY NOT nft(8): a process of it costs 4 ms, the library a tenth; where the library is missing, the program is
 * used all the same.
 * SAFETY: one context and one socket for the life of the process, used by one thread; strings are copied out with the
 * call. They are not closed after each call because of the kernel: when any netfilter socket is closed, whatever was
 * deleted just before must be out of sight first, which takes 15 ms and holds up every other transaction. A call blocks
 * for what its transaction takes, a tenth of a millisecond; it waits for no RTNL.
 */
import { spawnSync } from 'node:child_process';
import koffi from 'koffi';
import { calls, check } from './libc.ts';

const AF_NETLINK = 16;
const SOCK_RAW_CLOEXEC = 3 | 0o2000000;
const NETLINK_NETFILTER = 12;
/** (NFNL_SUBSYS_NFTABLES << 8) | NFT_MSG_GETGEN, linux/netfilter/nf_tables.h. */
const GET_GENERATION = (10 << 8) | 16;
const NLM_F_REQUEST = 1;
const NFTA_GEN_ID = 1;
const NFGENMSG_BYTES = 20;
const MSG_DONTWAIT = 0x40;

interface Library {
  readonly create: (flags: number) => unknown;
  readonly bufferOutput: (context: unknown) => number;
  readonly bufferError: (context: unknown) => number;
  readonly output: (context: unknown) => string | null;
  readonly error: (context: unknown) => string | null;
  readonly run: (context: unknown, text: string) => number;
  readonly setFlags: (context: unknown, flags: number) => void;
}

const NFT_CTX_OUTPUT_STATELESS = 1 << 2;
const NFT_CTX_OUTPUT_TERSE = 1 << 11;

/** Undefined where the library is not installed. */
function loadLibrary(): Library | undefined {
  try {
    const lib = koffi.load('libnftables.so.1');
    return {
      create: lib.func('void *nft_ctx_new(uint32_t flags)'),
      bufferOutput: lib.func('int nft_ctx_buffer_output(void *ctx)'),
      bufferError: lib.func('int nft_ctx_buffer_error(void *ctx)'),
      output: lib.func('const char *nft_ctx_get_output_buffer(void *ctx)'),
      error: lib.func('const char *nft_ctx_get_error_buffer(void *ctx)'),
      run: lib.func('int nft_run_cmd_from_buffer(void *ctx, const char *buf)'),
      setFlags: lib.func('void nft_ctx_output_set_flags(void *ctx, unsigned int flags)'),
    };
  } catch {
    return undefined;
  }
}

let library: { readonly found: Library | undefined } | undefined;

/** What nft said instead of doing it. */
class NftError extends Error {
  override readonly name = 'NftError';
}

/**
 * Runs a script as one transaction.
 * @param terse - lists show sets without their elements, so that they cost the same however many there are.
 * @returns what it printed; counters are left out.
 * @throws NftError with nft's own words.
 */
export function runNft(script: string, terse = false): string {
  library ??= { found: process.env['MYDOCKER_NFT'] === 'program' ? undefined : loadLibrary() };
  return library.found === undefined ? runProgram(script, terse) : runLibrary(library.found, script, terse);
}

function openContext(lib: Library): unknown {
  const made = lib.create(0);
  if (made === null) throw new NftError('libnftables has no context to give');
  lib.bufferOutput(made);
  lib.bufferError(made);
  return made;
}

let context: unknown;

function runLibrary(lib: Library, script: string, terse: boolean): string {
  context ??= openContext(lib);
  lib.setFlags(context, NFT_CTX_OUTPUT_STATELESS | (terse ? NFT_CTX_OUTPUT_TERSE : 0));
  const result = lib.run(context, script);
  // Both are read, so that neither buffer keeps what the next call would show.
  const error = lib.error(context) ?? '';
  const output = lib.output(context) ?? '';
  if (result !== 0) throw new NftError(error.trim() || `nft failed with ${result}`);
  return output;
}

function runProgram(script: string, terse: boolean): string {
  const { status, stdout, stderr, error } = spawnSync(
    'nft',
    ['--stateless', ...(terse ? ['--terse'] : []), '-f', '-'],
    {
      input: script,
      encoding: 'utf8',
      // A service's own PATH may lack it.
      env: { PATH: '/usr/sbin:/sbin:/usr/bin:/bin' },
    },
  );
  if (error !== undefined)
    throw new NftError(`neither libnftables.so.1 nor nft can be used: ${error.message}`);
  if (status !== 0) throw new NftError(stderr.trim() || `nft ended with ${status}`);
  return stdout;
}

const sysSocket = calls.func('int mydocker_socket(int domain, int type, int protocol)');
const sysSend = calls.func('long mydocker_send(int fd, const void *bytes, size_t length, int flags)');
const sysRecv = calls.func('long mydocker_recv(int fd, void *bytes, size_t length, int flags)');

let generationSocket: number | undefined;

function openGenerationSocket(): number {
  return check(sysSocket(AF_NETLINK, SOCK_RAW_CLOEXEC, NETLINK_NETFILTER), 'socket', 'NETLINK_NETFILTER');
}

/**
 * The generation of this namespace's rules: another number after every change by anybody.
 * @throws SyscallError EPROTONOSUPPORT and the like where the kernel has no nftables.
 */
export function rulesGeneration(): number {
  const request = Buffer.alloc(NFGENMSG_BYTES);
  request.writeUInt32LE(NFGENMSG_BYTES, 0);
  request.writeUInt16LE(GET_GENERATION, 4);
  request.writeUInt16LE(NLM_F_REQUEST, 6);
  const reply = Buffer.alloc(512);
  generationSocket ??= openGenerationSocket();
  check(sysSend(generationSocket, request, request.length, 0), 'send', 'NFT_MSG_GETGEN');
  // The kernel answers within the send.
  const got = check(sysRecv(generationSocket, reply, reply.length, MSG_DONTWAIT), 'recv', 'NFT_MSG_GETGEN');
  return generationIn(reply.subarray(0, got));
}

/** The first attribute; -1 where the kernel answers with an error. */
function generationIn(reply: Buffer): number {
  const isGeneration =
    reply.length >= NFGENMSG_BYTES + 8 && reply.readUInt16LE(NFGENMSG_BYTES + 2) === NFTA_GEN_ID;
  return isGeneration ? reply.readUInt32BE(NFGENMSG_BYTES + 4) : -1;
}
