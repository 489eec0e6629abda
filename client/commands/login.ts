/** `mydocker login` and `logout`: name and password for a registry, kept as Docker's client keeps them. */
import { spawnSync } from 'node:child_process';
import { readFileSync, readSync } from 'node:fs';
import { CheckRegistryAuthRequest, RegistryAuth } from '../../proto/gen/mydocker/v1/images.ts';
import { checkRegistryAuth } from '../api/images.ts';
import { stdinIsTerminal } from '../attach/raw-terminal.ts';
import type { Action } from '../grammar/command.ts';
import type { LOGIN_OPTIONS, NO_OPTIONS } from '../grammar/command-options.ts';
import { print, printError } from '../output.ts';
import { eraseCredentials, registryOf, storeCredentials } from '../registry/credentials.ts';
import { UsageError } from '../usage-error.ts';

const STDIN = 0;
/** Longest answer; a terminal gives one line at a time. */
const MAX_ANSWER_BYTES = 4096;

export const login: Action<typeof LOGIN_OPTIONS> = async ({ options, positionals }, context) => {
  const server = serverOf(positionals[0]);
  const { passwordStdin = false } = options;
  if (passwordStdin && (options.password !== undefined || options.username === undefined))
    throw new UsageError('--password-stdin goes with --username, and not with --password');
  if (options.password !== undefined)
    printError('the password can be seen in the list of processes: better use --password-stdin\n');
  const username = options.username ?? ask('Username: ', true);
  const password = passwordStdin
    ? readFileSync(STDIN, 'utf8').replace(/\r?\n$/, '')
    : (options.password ?? ask('Password: ', false));
  if (username === '' || password === '') throw new UsageError('name and password must not be empty');
  const auth = RegistryAuth.create({ server, username, password });
  const request = CheckRegistryAuthRequest.create({ auth });
  const { identityToken } = await context.connect().unary(checkRegistryAuth, request);
  const path = await storeCredentials({ ...auth, identityToken }, context.env);
  const what = identityToken === '' ? 'the password' : 'a token instead of the password';
  if (path !== undefined) printError(`${what} is kept in ${path}, readable for you alone\n`);
  print('Login Succeeded\n');
  return 0;
};

export const logout: Action<typeof NO_OPTIONS> = async ({ positionals }, context) => {
  const server = serverOf(positionals[0]);
  const had = await eraseCredentials(server, context.env);
  print(had ? `Removing login credentials for ${server}\n` : `Not logged in to ${server}\n`);
  return 0;
};

/** As people type it, also with `https://` in front. */
function serverOf(text = 'docker.io'): string {
  const name = text.replace(/^https?:\/\//, '').replace(/\/.*$/, '');
  const server = registryOf(`${name}/x`);
  if (server === name.toLowerCase() || name === 'index.docker.io') return server;
  throw new UsageError(`${JSON.stringify(text)} is no name of a registry`, {
    hint: 'for example docker.io or registry.example:5000',
  });
}

/**
 * Asks once nothing shows any more. Gives the terminal back as it was also where ^C ends it, which Node has no moment
 * to do while it waits for a line.
 */
const UNSEEN = `
  trap 'stty echo; exit 130' INT TERM HUP
  stty -echo
  printf %s "$1" >&2
  IFS= read -r line
  stty echo
  printf %s "$line"`;

/** @param echo - whether what is typed shows. */
function ask(question: string, echo: boolean): string {
  if (!stdinIsTerminal())
    throw new UsageError('nobody can be asked: standard input is no terminal', {
      hint: 'give --username and --password-stdin',
    });
  if (echo) {
    printError(question);
    const answer = Buffer.alloc(MAX_ANSWER_BYTES);
    return answer.toString('utf8', 0, readSync(STDIN, answer)).replace(/\r?\n$/, '');
  }
  const { stdout } = spawnSync('sh', ['-c', UNSEEN, 'sh', question], {
    stdio: ['inherit', 'pipe', 'inherit'],
    encoding: 'utf8',
  });
  printError('\n');
  return stdout;
}
