/**
 * The credentials for a registry as Docker's client keeps them: in config.json, or with a program that keeps
 * them. Read for each call, sent to the server for that registry alone; written by login and logout.
 */
import { mkdir, readFile, realpath, rename, writeFile } from 'node:fs/promises';
import { homedir } from 'node:os';
import { dirname, join } from 'node:path';
import { RegistryAuth } from '../../proto/gen/mydocker/v1/images.ts';
import { UsageError } from '../usage-error.ts';
import { runHelper } from './credential-helper.ts';

const DOCKER_IO = 'docker.io';
/** Docker's own name for its registry, from its first version. */
const DOCKER_IO_KEY = 'https://index.docker.io/v1/';
/** Name with which a helper says that the secret is a token. */
const TOKEN_NAME = '<token>';

const MAX_CONFIG_BYTES = 4 << 20;

interface Config {
  readonly auths?: Readonly<
    Record<string, { auth?: unknown; identitytoken?: unknown; registrytoken?: unknown } | null>
  >;
  readonly credHelpers?: Readonly<Record<string, unknown>>;
  readonly credsStore?: unknown;
}

/** Host and port of the registry that a reference names, as the server has it. */
export function registryOf(reference: string): string {
  const slash = reference.indexOf('/');
  const first = slash < 0 ? '' : reference.slice(0, slash).toLowerCase();
  if (!/[.:]/.test(first) && first !== 'localhost') return DOCKER_IO;
  return first === 'index.docker.io' ? DOCKER_IO : first;
}

/**
 * @param server - as {@link registryOf}.
 * @returns undefined: there are none.
 * @throws UsageError for a file or a helper that cannot be used; no other registry's are taken then.
 */
export async function credentialsFor(server: string, env: Env): Promise<RegistryAuth | undefined> {
  const path = configPath(env);
  const config = await readConfig(path);
  if (config === undefined) return undefined;
  const helper = helperOf(config, server);
  if (helper !== undefined) return await askHelper(path, helper, server);
  const found = entryOf(config.auths ?? {}, server);
  if (found === undefined || found === null) return undefined;
  const identityToken = text(found.identitytoken);
  const registryToken = text(found.registrytoken);
  const decoded = Buffer.from(text(found.auth), 'base64').toString().replace(/\0+$/, '');
  const colon = decoded.indexOf(':');
  if (colon < 0 && decoded !== '') throw unusable(path, `the entry for ${server} has no name and password`);
  const username = decoded.slice(0, Math.max(colon, 0));
  const auth = { server, username, password: decoded.slice(colon + 1), identityToken, registryToken };
  return RegistryAuth.create(identityToken === '' ? auth : { ...auth, username: '', password: '' });
}

async function readConfig(path: string): Promise<Config | undefined> {
  let content: string;
  try {
    content = await readFile(path, 'utf8');
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException;
    if (code === 'ENOENT' || code === 'ENOTDIR') return undefined;
    throw unusable(path, String(code));
  }
  if (content.length > MAX_CONFIG_BYTES) throw unusable(path, 'it is too large');
  try {
    const config: unknown = JSON.parse(content);
    if (typeof config === 'object' && config !== null) return config;
  } catch {
    // as below
  }
  throw unusable(path, 'it is no JSON object');
}

/** Keys are host names, or addresses as older versions wrote them. */
function entryOf<T>(entries: Readonly<Record<string, T>>, server: string): T | undefined {
  if (Object.hasOwn(entries, server)) return entries[server];
  const key = Object.keys(entries).find((key) => hostOf(key) === server);
  return key === undefined ? undefined : entries[key];
}

function hostOf(key: string): string {
  const host = key
    .replace(/^https?:\/\//, '')
    .replace(/\/.*$/, '')
    .toLowerCase();
  return host === 'index.docker.io' || host === 'registry-1.docker.io' ? DOCKER_IO : host;
}

async function askHelper(path: string, name: string, server: string): Promise<RegistryAuth | undefined> {
  const { code, output, program } = await runHelper(name, 'get', keyOf(server));
  if (code !== 0) {
    if (/credentials not found/i.test(output)) return undefined;
    throw unusable(path, `${program} failed with status ${code}`);
  }
  try {
    const { Username, Secret } = JSON.parse(output) as { Username?: unknown; Secret?: unknown };
    const [username, secret] = [text(Username), text(Secret)];
    if (secret === '') return undefined;
    const isToken = username === TOKEN_NAME;
    return RegistryAuth.create(
      isToken ? { server, identityToken: secret } : { server, username, password: secret },
    );
  } catch {
    throw unusable(path, `what ${program} says is no JSON`);
  }
}

/**
 * Keeps name and password, or the token that came instead of it, where the configuration says: with a helper, or in the file, of mode 0600.
 * @returns the file, where it is there in the clear; undefined: a helper has it.
 * @throws UsageError where that cannot be done; nothing is changed then.
 */
export async function storeCredentials(auth: RegistryAuth, env: Env): Promise<string | undefined> {
  const { server, username, identityToken } = auth;
  const isToken = identityToken !== '';
  const [name, secret] = isToken ? [TOKEN_NAME, identityToken] : [username, auth.password];
  const path = configPath(env);
  const config = (await readConfig(path)) ?? {};
  const helper = helperOf(config, server);
  if (helper !== undefined) {
    const input = JSON.stringify({ ServerURL: keyOf(server), Username: name, Secret: secret });
    const { code, program } = await runHelper(helper, 'store', input);
    if (code !== 0) throw unusable(path, `${program} failed with status ${code}`);
    return undefined;
  }
  // Docker's own has the name beside a token too.
  const encoded = Buffer.from(`${username}:${isToken ? '' : secret}`).toString('base64');
  const entry = { auth: encoded, ...(isToken ? { identitytoken: identityToken } : {}) };
  await writeConfig(path, { ...config, auths: { ...without(config.auths, server), [keyOf(server)]: entry } });
  return path;
}

/**
 * Forgets the credentials for a registry.
 * @returns whether there were any in the file; always true with a helper.
 * @throws UsageError as {@link storeCredentials}.
 */
export async function eraseCredentials(server: string, env: Env): Promise<boolean> {
  const path = configPath(env);
  const config = await readConfig(path);
  if (config === undefined) return false;
  const helper = helperOf(config, server);
  if (helper !== undefined) await runHelper(helper, 'erase', keyOf(server));
  const auths = without(config.auths, server);
  const had = Object.keys(auths).length < Object.keys(config.auths ?? {}).length;
  if (had) await writeConfig(path, { ...config, auths });
  return had || helper !== undefined;
}

type Env = Readonly<Record<string, string | undefined>>;

const configPath = (env: Env): string =>
  join(env['DOCKER_CONFIG'] || join(env['HOME'] || homedir(), '.docker'), 'config.json');

const keyOf = (server: string): string => (server === DOCKER_IO ? DOCKER_IO_KEY : server);

function helperOf({ credHelpers = {}, credsStore }: Config, server: string): string | undefined {
  const helper = entryOf(credHelpers, server) ?? credsStore;
  return helper === undefined || helper === '' ? undefined : String(helper);
}

function without(auths: Config['auths'], server: string): NonNullable<Config['auths']> {
  return Object.fromEntries(Object.entries(auths ?? {}).filter(([key]) => hostOf(key) !== server));
}

/** Whole or not at all; where the name is a link, what it leads to. */
async function writeConfig(path: string, config: Config): Promise<void> {
  try {
    await mkdir(dirname(path), { recursive: true, mode: 0o700 });
    const real = await realpath(path).catch(() => path);
    const temporary = `${real}.${process.pid}`;
    await writeFile(temporary, `${JSON.stringify(config, null, '\t')}\n`, { mode: 0o600, flag: 'wx' });
    await rename(temporary, real);
  } catch (error) {
    throw new UsageError(`cannot write ${path}: ${(error as NodeJS.ErrnoException).code}`);
  }
}

const text = (value: unknown): string => (typeof value === 'string' ? value : '');

function unusable(path: string, why: string): UsageError {
  return new UsageError(`cannot read ${path}: ${why}`);
}
