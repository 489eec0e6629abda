import assert from 'node:assert/strict';
import { test } from 'node:test';
import { OP_NAMES, SECTIONS } from '../../../server/model/plan.ts';
import { explainOp } from '../../../server/spec/explain.ts';
import { allPlans, execPlan, launchPlan } from './sample-plans.ts';

const explained = (showEnv: boolean): string => {
  const plan = launchPlan({ config: { env: ['SECRET=hidden words', 'MULTI=a\nb=c', 'EMPTY=', 'BARE'] } });
  return Object.values(plan.sections)
    .flat()
    .map((op) => explainOp(op, showEnv))
    .join('\n');
};

test('values of the environment are left out unless asked for', () => {
  const text = explained(false);
  assert.ok(!/hidden|words|b=c/.test(text), text);
  for (const shown of ['"SECRET=…"', '"MULTI=…"', '"EMPTY=…"', '"BARE"'])
    assert.ok(text.includes(shown), shown);
  assert.ok(explained(true).includes('SECRET=hidden words'));
  const secret = { name: 'fs-config', a: 0, s1: 'password', s2: 'hidden', about: '' } as const;
  assert.equal(explainOp(secret, false), 'fsconfig(fd 32, "password", …)');
  assert.equal(explainOp(secret, true), 'fsconfig(fd 32, "password", "hidden")');
});

test('calls are shown as they are made', () => {
  const cases: [Parameters<typeof explainOp>[0], string][] = [
    [{ name: 'mkdir', s1: '/run/x', x: 0o700, about: '' }, 'mkdir("/run/x", 0700)'],
    [
      { name: 'mount', a: 3, s1: 'proc', s2: 'proc', s3: '', x: 0xe, about: '' },
      'mount("proc", fd 35, "proc", nosuid|nodev|noexec, "")',
    ],
    [{ name: 'propagation', a: 0, x: 0x84000, about: '' }, 'mount(NULL, fd 32, rec|slave)'],
    [
      { name: 'mknod-in-root', b: 1, s1: '', s2: 'null', x: 0o20666, y: 0x103n, about: '' },
      'mknodat(fd 33, "null", 020666, 1:3)',
    ],
    [{ name: 'setns', a: 0, x: 0x6c020000n, about: '' }, 'setns(fd 32, mount|uts|ipc|pid|network)'],
    [{ name: 'capset', x: 0n, about: '' }, 'capset(none)'],
    [{ name: 'capset', x: 3n, about: '' }, 'capset(CHOWN DAC_OVERRIDE)'],
    [{ name: 'seccomp', s1: new Uint8Array(16), about: '' }, 'seccomp'],
    [{ name: 'netlink', s1: new Uint8Array(32), about: '' }, 'rtnetlink, 32 bytes'],
    [
      { name: 'exec', s1: ['/bin/x'], s2: ['x', 'a b'], s3: ['A=1'], about: '' },
      'execve(["/bin/x"], ["x","a b"], ["A=…"])',
    ],
    [{ name: 'write', s1: '/f', s2: 'a"b\n', about: '' }, 'write("/f", "a\\"b\\n")'],
  ];
  for (const [op, text] of cases) assert.equal(explainOp(op, false), text);
});

test('every operation of every plan is shown in one line', () => {
  for (const [kind, plan] of allPlans())
    for (const section of SECTIONS)
      for (const op of plan.sections[section]) {
        const text = explainOp(op, false);
        assert.ok(text.length > 0 && !text.includes('undefined') && !text.includes('\n'), `${kind}: ${text}`);
      }
  for (const name of OP_NAMES) assert.ok(explainOp({ name, about: '' }, false).length > 0);
  assert.ok(execPlan().sections.child.length > 0);
});
