/**
 * nftables: scripts run by libnftables, and the number that tells whether any rule changed since.
 *
 * WHY NOT nft(8): a process of it costs 4 ms, the library a tenth; where the library is missing, the program is
 * used all the same.
 * SAFETY: one context for each call, freed in it; strings are copied out before that. A call blocks for what
 * its netlink transaction takes, a fraction of a millisecond; it waits for no RTNL.
 */
import { spawnSync } from 'node:child_process';
import koffi from 'koffi';
import { SyscallError } from './errno.ts';
import { lastErrno, libc } from './libc.ts';

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
  readonly free: (context: unknown) => void;
  readonly bufferOutput: (context: unknown) => number;
  readonly bufferError: (context: unknown) => number;
  readonly output: (context: unknown) => string | null;
  readonly error: (context: unknown) => string | null;
  readonly run: (context: unknown, text: string) => number;
  readonly setFlags: (context: unknown, flags: number) => void;
}

const NFT_CTX_OUTPUT_STATELESS = 2;

/** Undefined where the library is not installed. */
function loadLibrary(): Library | undefined {
  try {
    const lib = koffi.load('libnftables.so.1');
    return {
      create: lib.func('void *nft_ctx_new(uint32_t flags)'),
      free: lib.func('void nft_ctx_free(void *ctx)'),
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
export class NftError extends Error {
  override readonly name = 'NftError';
}

/**
 * Runs a script as one transaction.
 * @returns what it printed; counters are left out.
 * @throws NftError with nft's own words.
 */
export function runNft(script: string): string {
  library ??= { found: process.env['MYDOCKER_NFT'] === 'program' ? undefined : loadLibrary() };
  return library.found === undefined ? runProgram(script) : runLibrary(library.found, script);
}

function runLibrary(lib: Library, script: string): string {
  const context = lib.create(0);
  if (context === null) throw new NftError('libnftables has no context to give');
  try {
    lib.bufferOutput(context);
    lib.bufferError(context);
    lib.setFlags(context, NFT_CTX_OUTPUT_STATELESS);
    const result = lib.run(context, script);
    if (result !== 0) throw new NftError((lib.error(context) ?? '').trim() || `nft failed with ${result}`);
    return lib.output(context) ?? '';
  } finally {
    lib.free(context);
  }
}

function runProgram(script: string): string {
  const { status, stdout, stderr, error } = spawnSync('nft', ['--stateless', '-f', '-'], {
    input: script,
    encoding: 'utf8',
    // A service's own PATH may lack it.
    env: { PATH: '/usr/sbin:/sbin:/usr/bin:/bin' },
  });
  if (error !== undefined)
    throw new NftError(`neither libnftables.so.1 nor nft can be used: ${error.message}`);
  if (status !== 0) throw new NftError(stderr.trim() || `nft ended with ${status}`);
  return stdout;
}

const sysSocket = libc.func('int socket(int domain, int type, int protocol)');
const sysSend = libc.func('long send(int fd, const void *bytes, size_t length, int flags)');
const sysRecv = libc.func('long recv(int fd, void *bytes, size_t length, int flags)');
const sysClose = libc.func('int close(int fd)');

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
  const socket = sysSocket(AF_NETLINK, SOCK_RAW_CLOEXEC, NETLINK_NETFILTER) as number;
  if (socket < 0) throw new SyscallError('socket', lastErrno(), 'NETLINK_NETFILTER');
  try {
    if ((sysSend(socket, request, request.length, 0) as number) < 0)
      throw new SyscallError('send', lastErrno(), 'NFT_MSG_GETGEN');
    // The kernel answers within the send.
    const got = sysRecv(socket, reply, reply.length, MSG_DONTWAIT) as number;
    if (got < 0) throw new SyscallError('recv', lastErrno(), 'NFT_MSG_GETGEN');
    return generationIn(reply.subarray(0, got));
  } finally {
    sysClose(socket);
  }
}

/** The first attribute; -1 where the kernel answers with an error. */
function generationIn(reply: Buffer): number {
  const isGeneration =
    reply.length >= NFGENMSG_BYTES + 8 && reply.readUInt16LE(NFGENMSG_BYTES + 2) === NFTA_GEN_ID;
  return isGeneration ? reply.readUInt32BE(NFGENMSG_BYTES + 4) : -1;
}
