import assert from 'node:assert/strict';
import { test } from 'node:test';
import {
  ownSlice,
  scopeGroup,
  scopeName,
  scopeOfGroup,
  scopeOwner,
  sliceOf,
  slicePath,
} from '../../../server/model/unit.ts';

test('each dash of a slice is a level', () => {
  assert.equal(slicePath('machine.slice'), '/machine.slice');
  assert.equal(slicePath('a-b-c.slice'), '/a.slice/a-b.slice/a-b-c.slice');
  assert.equal(slicePath('-.slice'), '');
});

test('what is no name of a slice has no path', () => {
  for (const name of [
    '',
    'machine',
    '.slice',
    'a..slice/b.slice',
    '/machine.slice',
    '-a.slice',
    'a-.slice',
    'a--b.slice',
  ])
    assert.equal(slicePath(name), undefined, name);
  for (const name of ['../x.slice', 'a/b.slice', `${'a'.repeat(250)}.slice`])
    assert.equal(slicePath(name), undefined, name);
});

test('a path is a slice where systemd would have put it', () => {
  assert.equal(sliceOf('/a.slice/a-b.slice'), 'a-b.slice');
  assert.equal(sliceOf(ownSlice('c890e3fe')), 'mydocker-c890e3fe.slice');
  for (const path of ['/a-b.slice', '/machine.slice/x', '/foo', '/b.slice/a-b.slice'])
    assert.equal(sliceOf(path), undefined, path);
});

test('a scope says whose it is', () => {
  assert.equal(scopeOwner(scopeName('abc')), 'abc');
  assert.equal(scopeOfGroup(`/a.slice/${scopeGroup('abc')}`), scopeName('abc'));
  assert.equal(scopeOfGroup('/mydocker-1/abc'), undefined);
  for (const name of ['abc', 'docker-abc.scope', 'mydocker-.scope', 'xmydocker-a.scope'])
    assert.equal(scopeOwner(name), undefined, name);
});
