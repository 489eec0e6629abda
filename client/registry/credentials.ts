/**
 * The credentials for a registry as Docker's client keeps them: in config.json, or with a program that keeps
 * them. Read for each call, sent to the server for that registry alone, stored nowhere else.
 */
import { spawn } from 'node:child_process';
import { readFile } from 'node:fs/promises';
import { homedir } from 'node:os';
import { join } from 'node:path';
import { RegistryAuth } from '../../proto/gen/mydocker/v1/images.ts';
import { UsageError } from '../usage-error.ts';

const DOCKER_IO = 'docker.io';
/** Docker's own name for its registry, from its first version. */
const DOCKER_IO_KEY = 'https://index.docker.io/v1/';
/** Name with which a helper says that the secret is a token. */
const TOKEN_NAME = '<token>';

const HELPER_MS = 30_000;
const MAX_HELPER_BYTES = 1 << 20;
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
export async function credentialsFor(
  server: string,
  env: Readonly<Record<string, string | undefined>>,
): Promise<RegistryAuth | undefined> {
  const path = join(env['DOCKER_CONFIG'] || join(env['HOME'] || homedir(), '.docker'), 'config.json');
  const config = await readConfig(path);
  if (config === undefined) return undefined;
  const { auths = {}, credHelpers = {}, credsStore } = config;
  const helper = entryOf(credHelpers, server) ?? credsStore;
  if (helper !== undefined && helper !== '') return await askHelper(path, String(helper), server);
  const found = entryOf(auths, server);
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
  // It becomes the name of a program.
  if (!/^[\w.-]+$/.test(name)) throw unusable(path, `${JSON.stringify(name)} is no name of a helper`);
  const program = `docker-credential-${name}`;
  const { code, output } = await run(program, server === DOCKER_IO ? DOCKER_IO_KEY : server);
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

function run(program: string, input: string): Promise<{ code: number; output: string }> {
  return new Promise((resolve, reject) => {
    const child = spawn(program, ['get'], { stdio: ['pipe', 'pipe', 'ignore'], timeout: HELPER_MS });
    const parts: Buffer[] = [];
    let size = 0;
    child.stdout.on('data', (part: Buffer) => {
      size += part.length;
      if (size > MAX_HELPER_BYTES) child.kill('SIGKILL');
      else parts.push(part);
    });
    child.on('error', (error) => {
      const why = (error as NodeJS.ErrnoException).code === 'ENOENT' ? 'it is not installed' : error.message;
      reject(new UsageError(`cannot ask ${program} for credentials: ${why}`));
    });
    child.on('close', (code) => resolve({ code: code ?? 1, output: Buffer.concat(parts).toString() }));
    // It may end without having read.
    child.stdin.on('error', () => undefined);
    child.stdin.end(input);
  });
}

const text = (value: unknown): string => (typeof value === 'string' ? value : '');

function unusable(path: string, why: string): UsageError {
  return new UsageError(`cannot read ${path}: ${why}`);
}
