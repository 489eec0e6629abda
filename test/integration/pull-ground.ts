/**
 * What the tests of pulls share: a server with short limits, a registry that answers as it is told to, another machine
 * beside it, and a client with credentials for the one or the other.
 */
import assert from 'node:assert/strict';
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { type PackedImage, packImage, sha256 } from '../fixtures/image-archive.ts';
import { fixtureTar } from '../fixtures/images.ts';
import { rawTar } from '../fixtures/raw-tar.ts';
import { type Handler, RegistryMock } from '../fixtures/registry-mock.ts';
import { Host } from '../harness/host.ts';
import { assertClean, refused, untilNoImages } from './ground.ts';

const PASSWORD = 'correct-horse';

/** What a registry sees of the credentials. */
export const BASIC: string = `Basic ${Buffer.from(`me:${PASSWORD}`).toString('base64')}`;

/** Short, so that a test need not wait. */
const LIMITS = {
  ...{ answerMs: 1000, idleMs: 700, slowMs: 1500 },
  ...{ pauseMs: 20, retryAfterMs: 300, tokenBytes: 4096 },
};

/** For tests that count on everybody being asked once: a slow machine is nobody's fault. */
export const PATIENT = { answerMs: 30_000, idleMs: 30_000, slowMs: 60_000 };

/** A server, and whom it speaks to. */
export class PullGround {
  readonly host: Host = new Host({});
  readonly mock: RegistryMock = new RegistryMock();
  /** Another machine. */
  readonly other: RegistryMock = new RegistryMock();
  /** Busybox and a layer with `/marker`, whose bytes it counts. */
  readonly image: PackedImage;
  /** Digest of the upper layer. */
  readonly layer: string;
  /** Of a client with the credentials that there are. */
  readonly env: Record<string, string>;

  constructor(base: Buffer) {
    const upper = rawTar([{ name: 'marker', data: Buffer.alloc(100_000, 'x') }]);
    this.image = packImage({ layers: [base, upper], config: { config: { Cmd: ['wc', '-c', '/marker'] } } });
    this.layer = sha256(upper);
    this.env = { DOCKER_CONFIG: join(this.host.folder, 'docker') };
  }

  /** The image's reference at the registry. */
  get name(): string {
    return `${this.mock.address}/app:1`;
  }

  /** @param more - goes over the server's file. */
  async start(more: object = {}): Promise<void> {
    const { host } = this;
    await this.mock.start();
    await this.other.start();
    this.mock.put(this.image, 'app:1');
    mkdirSync(join(host.folder, 'docker'));
    await this.serve('', {}, more);
    host.remember();
  }

  /**
   * Starts the server.
   * @param limits - go over the short ones. @param more - goes over the server's file. @param env - more of it.
   */
  async serve(failpoints = '', limits: object = {}, more: object = {}, env: object = {}): Promise<void> {
    const config = join(this.host.folder, 'server.json');
    writeFileSync(config, JSON.stringify({ 'registry-limits': { ...LIMITS, ...limits }, ...more }));
    await this.host.start({ args: ['--config', config], env: { MYDOCKER_FAILPOINTS: failpoints, ...env } });
  }

  /** As descriptors have it. */
  digestOf(bytes: Buffer): string {
    return sha256(bytes);
  }

  /** After each test: nothing may be left but what the next try of a failed pull needs, and that goes when told. */
  async clean(): Promise<void> {
    this.mock.reset();
    this.other.reset();
    await this.prune();
    await assertClean(this.host);
  }

  /** Takes all images away. */
  async prune(): Promise<void> {
    await this.host.ok(['image', 'prune', '-a', '-f']);
    await untilNoImages(this.host);
  }

  async dispose(): Promise<void> {
    await this.mock.stop();
    await this.other.stop();
    await this.host.dispose();
  }

  /** With the credentials that there are. */
  async pull(what: string = this.name): Promise<string> {
    return await this.host.ok(['pull', '-q', what], { env: this.env });
  }

  /** Without credentials. */
  async fails(message: RegExp, what: string = this.name): Promise<void> {
    await refused(this.host, ['pull', '-q', what], message);
  }

  /** From now on there are credentials, for this registry. */
  logIn(server: string): void {
    const auth = BASIC.slice('Basic '.length);
    const path = join(this.host.folder, 'docker/config.json');
    writeFileSync(path, JSON.stringify({ auths: { [server]: { auth } } }));
  }

  /** With credentials for the registry, which are neither told nor logged. */
  async failsWithLogin(
    message: RegExp,
    what: string = this.name,
    server: string = this.mock.address,
  ): Promise<void> {
    this.logIn(server);
    const { code, stderr } = await this.host.cli(['pull', '-q', what], { env: this.env });
    assert.equal(code, 125, stderr);
    assert.match(stderr, message);
    for (const text of [stderr, this.host.log]) assert.doesNotMatch(text, new RegExp(`${PASSWORD}|${BASIC}`));
  }
}

/** A ground that is started. */
export async function startPullGround(more: object = {}): Promise<PullGround> {
  const ground = new PullGround(readFileSync(await fixtureTar('busybox')));
  try {
    await ground.start(more);
    return ground;
  } catch (error) {
    await ground.dispose();
    throw error;
  }
}

/** The same answer each time. */
export const answer =
  (status: number, headers: Record<string, string> = {}, body: string | Buffer = ''): Handler =>
  (_, response) => {
    response.writeHead(status, headers).end(body);
    return true;
  };
