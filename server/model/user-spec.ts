/**
 * Which user a process runs as: the strict reading of `-u` and of an image's USER, and its look-up in the
 * image's own passwd and group files. Old faults of this trade that it excludes: a number looked up as a
 * name, a number too large for an id wrapping to 0, a part that cannot be read taken for root.
 */
import { invalidArgument, quoteId } from './error.ts';

/** A user or a group: a number is never looked up as a name. */
export type Principal =
  | { readonly kind: 'id'; readonly id: number }
  | { readonly kind: 'name'; readonly name: string };

/** What `-u` says. Both absent: root. */
export interface UserSpec {
  readonly user?: Principal;
  readonly group?: Principal;
}

/** Who a process is. */
export interface Credentials {
  readonly uid: number;
  readonly gid: number;
  /** All supplementary groups, the primary one first, none twice: what setgroups(2) gets. */
  readonly groups: readonly number[];
  /** Home directory by passwd, else `/`. */
  readonly home: string;
}

/** Largest uid and gid; above it ids have turned negative or to 0 elsewhere. */
const MAX_ID = 2_147_483_647;
/** Largest passwd or group file that is read. */
export const MAX_USER_FILE_BYTES: number = 10 * 1024 * 1024;
/** NGROUPS_MAX of Linux. */
const MAX_GROUPS = 65_536;

const NAME = /^[A-Za-z0-9_][A-Za-z0-9_.-]{0,254}\$?$/;
const LIKE_A_NUMBER = /^\d+$|^0[xXoObB]|^\d+[eE]\d*$/;

/**
 * Parses `''`, `uid`, `name`, `uid:gid`, `uid:group`, `name:gid`, `name:group`.
 * @throws MydockerError `invalid-argument` for anything else, also for an empty part and an id above 2^31 - 1.
 */
export function parseUserSpec(text: string): UserSpec {
  if (text === '') return {};
  const [user = '', group, ...more] = text.split(':');
  if (more.length > 0) throw invalidPrincipal('user', text, 'it has more than two parts');
  const parsed = { user: parsePrincipal(text, user) };
  return group === undefined ? parsed : { ...parsed, group: parsePrincipal(text, group) };
}

/**
 * Parses a further group: a number or a name.
 * @throws MydockerError `invalid-argument` as {@link parseUserSpec}.
 */
export function parseGroup(text: string): Principal {
  return parsePrincipal(text, text, 'group');
}

function parsePrincipal(text: string, part: string, noun: 'user' | 'group' = 'user'): Principal {
  const invalid = (text: string, why: string): Error => invalidPrincipal(noun, text, why);
  if (part === '') throw invalid(text, 'a part of it is empty');
  if (/^\d+$/.test(part)) {
    const id = parseId(part);
    if (id === undefined) throw invalid(text, `an id must be 0 to ${MAX_ID}, without leading zeros`);
    return { kind: 'id', id };
  }
  if (LIKE_A_NUMBER.test(part)) throw invalid(text, 'numbers are decimal');
  if (!NAME.test(part)) throw invalid(text, 'a name is letters, digits, _ . and -');
  return { kind: 'name', name: part };
}

function parseId(digits: string): number | undefined {
  return /^(?:0|[1-9]\d{0,9})$/.test(digits) && Number(digits) <= MAX_ID ? Number(digits) : undefined;
}

interface PasswdEntry {
  readonly name: string;
  readonly uid: number;
  readonly gid: number;
  readonly home: string;
}

/**
 * Looks a spec up in an image's files; lines of them that cannot be read do not exist.
 * @param passwd - bytes of /etc/passwd, undefined when there is none.
 * @param group - bytes of /etc/group, undefined when there is none.
 * @param more - further groups.
 * @throws MydockerError `invalid-argument` for a name that the files do not have, for a file larger than
 * {@link MAX_USER_FILE_BYTES} and for a user in more groups than Linux gives to a process.
 */
export function resolveUser(
  spec: UserSpec,
  passwd: Uint8Array | undefined,
  group: Uint8Array | undefined,
  more: readonly Principal[] = [],
): Credentials {
  const user = spec.user ?? { kind: 'id', id: 0 };
  const entry = findUser(user, passwd);
  if (user.kind === 'name' && entry === undefined) throw unknown('user', user.name, '/etc/passwd');
  const uid = user.kind === 'id' ? user.id : (entry?.uid ?? MAX_ID);
  const further = more.map((one) => (one.kind === 'id' ? one.id : findGroup(one.name, group)));
  const home = entry === undefined || !entry.home.startsWith('/') ? '/' : entry.home;
  if (spec.group !== undefined) {
    const gid = spec.group.kind === 'id' ? spec.group.id : findGroup(spec.group.name, group);
    return { uid, gid, groups: [...new Set([gid, ...further])], home };
  }
  const gid = entry?.gid ?? 0;
  const groups = new Set([gid]);
  if (entry !== undefined) addMemberships(groups, entry.name, group);
  for (const one of further) groups.add(one);
  return { uid, gid, groups: [...groups], home };
}

function findUser(user: Principal, passwd: Uint8Array | undefined): PasswdEntry | undefined {
  for (const [name = '', , uidText = '', gidText = '', , home = ''] of fields(passwd, '/etc/passwd')) {
    const uid = parseId(uidText);
    const gid = parseId(gidText);
    if (name === '' || uid === undefined || gid === undefined) continue;
    if (user.kind === 'id' ? user.id === uid : user.name === name) return { name, uid, gid, home };
  }
  return undefined;
}

function findGroup(wanted: string, group: Uint8Array | undefined): number {
  for (const [name, , gidText = ''] of fields(group, '/etc/group')) {
    const gid = parseId(gidText);
    if (name === wanted && gid !== undefined) return gid;
  }
  throw unknown('group', wanted, '/etc/group');
}

function addMemberships(groups: Set<number>, user: string, group: Uint8Array | undefined): void {
  for (const [, , gidText = '', members = ''] of fields(group, '/etc/group')) {
    const gid = parseId(gidText);
    if (gid === undefined || !members.split(',').includes(user)) continue;
    groups.add(gid);
    if (groups.size > MAX_GROUPS)
      throw invalidArgument(`cannot use user ${quoteId(user)}: it is in more than ${MAX_GROUPS} groups`, {
        reason: 'TOO_MANY_GROUPS',
        hint: 'name a group too, as in user:group; then that one alone counts',
      });
  }
}

/** The lines of a file, split at colons; made one by one, so that a large file costs one line at a time. */
function* fields(bytes: Uint8Array | undefined, path: string): Generator<string[]> {
  if (bytes === undefined) return;
  if (bytes.length > MAX_USER_FILE_BYTES) {
    throw invalidArgument(
      `cannot read ${path} of the image: it is larger than ${MAX_USER_FILE_BYTES} bytes`,
      {
        reason: 'USER_FILE_TOO_LARGE',
      },
    );
  }
  const text = new TextDecoder('latin1').decode(bytes);
  for (let start = 0; start < text.length; ) {
    const newline = text.indexOf('\n', start);
    const end = newline < 0 ? text.length : newline;
    // Nobody's account line has more fields; a line of a million colons must not become an array of them.
    if (end > start) yield text.slice(start, end).split(':', 7);
    start = end + 1;
  }
}

function unknown(noun: string, name: string, path: string): Error {
  return invalidArgument(`cannot find ${noun} ${quoteId(name)}: ${path} of the image does not have it`, {
    reason: `${noun.toUpperCase()}_NOT_FOUND`,
    hint: `use a number, or a ${noun} of the image`,
  });
}

function invalidPrincipal(noun: 'user' | 'group', text: string, why: string): Error {
  return invalidArgument(`invalid ${noun} ${quoteId(text)}: ${why}`, {
    reason: `${noun.toUpperCase()}_INVALID`,
    hint: noun === 'user' ? 'for example 1000, 1000:1000 or nobody' : 'for example 1000 or audio',
  });
}
