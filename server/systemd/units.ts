/**
 * Transient units: made, changed and ended by calls to systemd, each of which is over when the job is that systemd
 * makes of it.
 * Source: org.freedesktop.systemd1(5), systemd's CONTROL_GROUP_INTERFACE.
 */
import { setTimeout as sleep } from 'node:timers/promises';
import { cannot } from '../model/error.ts';
import type { BusValue, UnitProperty } from '../model/unit.ts';
import { type BusAddress, BusError, createBus, MANAGER, SYSTEMD } from './bus.ts';

/** How long systemd may take for one job; it has others. */
const JOB_DEADLINE_MS = 60_000;
/** How often a unit is made again whose namesake has not quite gone. */
const MAX_TRIES = 20;
const AGAIN_AFTER_MS = 25;

/** What systemd is asked for. */
export interface Units {
  /**
   * Makes a scope, and what is left of an earlier one of this name goes.
   * @returns when its processes are in its groups.
   * @throws MydockerError `failed-precondition`, reason UNIT_REFUSED; `unavailable`, reason SYSTEMD_UNREACHABLE.
   */
  readonly startScope: (name: string, properties: readonly UnitProperty[]) => Promise<void>;
  /** Changes a unit until it ends. One that is not there is no error. @throws MydockerError as startScope. */
  readonly setProperties: (name: string, properties: readonly UnitProperty[]) => Promise<void>;
  /** Ends what is left of a unit and makes systemd forget it. @throws MydockerError `unavailable`. */
  readonly stop: (name: string) => Promise<void>;
  readonly close: () => void;
}

const isGone = (error: unknown): boolean =>
  error instanceof BusError && error.errorName === `${SYSTEMD}.NoSuchUnit`;

const refused = (verb: string, name: string, error: unknown): unknown =>
  error instanceof BusError
    ? cannot('failed-precondition', verb, 'unit', name, `systemd says ${error.message}`, {
        reason: 'UNIT_REFUSED',
        hint: 'the log of systemd may say more: journalctl -b _PID=1',
        metadata: { unit: name, error: error.errorName },
        cause: error,
      })
    : error;

const pairs = (properties: readonly UnitProperty[]): readonly BusValue[] =>
  properties.map(({ name, signature, value }) => [name, { signature, value }]);

/** @param addresses - default: where systemd listens. */
export function createUnits(addresses?: readonly BusAddress[]): Units {
  /** Of jobs that are under way; a result is told by a signal, which may come before anybody waits. */
  const results = new Map<string, string>();
  const waiting = new Map<string, (result: string) => void>();
  let asked = 0;
  const bus = createBus(
    (member, body) => {
      if (member !== 'JobRemoved' || asked === 0) return;
      const [, job, , result] = body() as [number, string, string, string];
      const tell = waiting.get(job);
      if (tell === undefined) results.set(job, result);
      else tell(result);
    },
    () => {
      for (const tell of waiting.values()) tell('lost');
    },
    addresses,
  );

  /** @returns how the job ended that a call leads to. */
  async function job(member: string, signature: string, body: readonly BusValue[]): Promise<string> {
    asked += 1;
    const { promise, resolve } = Promise.withResolvers<string>();
    let path = '';
    const late = setTimeout(() => resolve('timeout'), JOB_DEADLINE_MS);
    try {
      const answer = await bus.call({ ...MANAGER, member, signature, body });
      path = String(answer[0]);
      waiting.set(path, resolve);
      const early = results.get(path);
      return early ?? (await promise);
    } finally {
      clearTimeout(late);
      waiting.delete(path);
      asked -= 1;
      if (asked === 0) results.clear();
    }
  }

  async function stop(name: string): Promise<void> {
    for (const [member, signature, body] of [
      ['StopUnit', 'ss', [name, 'replace']],
      ['ResetFailedUnit', 's', [name]],
    ] as const) {
      try {
        if (member === 'StopUnit') await job(member, signature, body);
        else await bus.call({ ...MANAGER, member, signature, body });
      } catch (error) {
        if (isGone(error)) return;
        throw refused('stop', name, error);
      }
    }
  }

  async function startScope(name: string, properties: readonly UnitProperty[]): Promise<void> {
    for (let attempt = 1; ; attempt += 1) {
      try {
        const result = await job('StartTransientUnit', 'ssa(sv)a(sa(sv))', [
          ...[name, 'replace'],
          pairs(properties),
          [],
        ]);
        if (result === 'done') return;
        throw new BusError(`${SYSTEMD}.Job`, `the job ended as ${result}`);
      } catch (error) {
        const exists = error instanceof BusError && error.errorName === `${SYSTEMD}.UnitExists`;
        if (!exists || attempt === MAX_TRIES) throw refused('start', name, error);
        await stop(name);
        await sleep(AGAIN_AFTER_MS);
      }
    }
  }

  return {
    startScope,
    stop,
    setProperties: async (name, properties) => {
      // Until it ends, not beyond: there is no file that would have to change.
      const body = [name, true, pairs(properties)];
      try {
        await bus.call({ ...MANAGER, member: 'SetUnitProperties', signature: 'sba(sv)', body });
      } catch (error) {
        if (!isGone(error)) throw refused('change', name, error);
      }
    },
    close: bus.close,
  };
}
