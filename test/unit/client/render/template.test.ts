/** Templates of `--format`, and the lists that they shape. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { type Column, renderRows } from '../../../../client/render/rows.ts';
import { compileTemplate } from '../../../../client/render/template.ts';
import { UsageError } from '../../../../client/usage-error.ts';

const IMAGE = {
  id: 'sha256:1',
  references: ['a:1', 'b:2'],
  config: { user: '', labels: { 'org.example/x': 'y', empty: '' }, env: [] as string[], volumes: ['/data'] },
  sizeBytes: 5,
};

const fill = (template: string, value: unknown = IMAGE): string => compileTemplate(template)(value);

test('fields, functions and pipelines', () => {
  for (const [template, expected] of [
    ['plain', 'plain'],
    ['{{.id}}', 'sha256:1'],
    ['{{.Id}} {{.SizeBytes}}', 'sha256:1 5'],
    ['{{ .Config.User }}|{{.config.volumes}}', '|[/data]'],
    ['{{.nothing}} {{.config.nothing.more}}', '<no value> <no value>'],
    ['{{json .references}}', '["a:1","b:2"]'],
    ['{{json .}}', JSON.stringify(IMAGE)],
    ['{{.references | json}}', '["a:1","b:2"]'],
    ['{{join .references ", "}}', 'a:1, b:2'],
    ['{{index .config.labels "org.example/x"}}', 'y'],
    ['{{index .references 1}}', 'b:2'],
    ['{{index (split .id ":") 1}}', '1'],
    ['{{(index .references 0) | upper}}', 'A:1'],
    ['{{upper .id | lower}}', 'sha256:1'],
    ['{{truncate .id 3}}{{len .references}}', 'sha2'],
    ['{{println .id}}', 'sha256:1\n'],
    ['{{"a}}b"}}{{`c`}}', 'a}}bc'],
    ['a\\tb\\nc', 'a\tb\nc'],
    ['x {{- .sizeBytes -}} y', 'x5y'],
    ['{{/* words */}}.', '.'],
    ['{{print 1 true "x"}}', '1truex'],
    ['{{.config.labels}}', 'map[org.example/x:y empty:]'],
  ] as const)
    assert.equal(fill(template), expected, template);
});

test('if, else if, range and with', () => {
  for (const [template, expected] of [
    ['{{if .config.user}}user{{else}}root{{end}}', 'root'],
    ['{{if .config.env}}env{{else if .config.volumes}}volumes{{else}}none{{end}}!', 'volumes!'],
    ['{{if eq .sizeBytes 5}}five{{end}}{{if ne .sizeBytes 5}}other{{end}}', 'five'],
    ['{{if and .id (not .config.user)}}both{{end}}', 'both'],
    ['{{if or .config.user .id}}one{{end}}', 'one'],
    ['{{range .references}}<{{.}}{{$.sizeBytes}}>{{end}}', '<a:15><b:25>'],
    ['{{range .config.env}}x{{else}}none{{end}}', 'none'],
    ['{{with .config}}{{.volumes}}{{end}}', '[/data]'],
    ['{{range .references}}{{if eq . "a:1"}}first{{else}}more{{end}}{{end}}', 'firstmore'],
  ] as const)
    assert.equal(fill(template), expected, template);
});

test('what cannot be read is told before anything is asked', () => {
  for (const template of [
    '{{.id',
    '{{if .id}}',
    '{{end}}',
    '{{else}}',
    '{{}}',
    '{{(.id}}',
    '{{.id)}}',
    '{{"\\q"}}',
    '{{&}}',
    `${'{{if .}}'.repeat(40)}${'{{end}}'.repeat(40)}`,
    `{{${'('.repeat(40)}.id${')'.repeat(40)}}}`,
  ])
    assert.throws(() => compileTemplate(template), UsageError, template);
  assert.throws(() => fill('{{nosuch .id}}'), /no function nosuch/);
  assert.throws(() => fill('{{.id "x"}}'), /takes no arguments/);
  assert.throws(() => compileTemplate('{{.Nosuch}}', { strict: true })(IMAGE), /no field \.Nosuch/);
});

test('values cannot repaint the terminal, nor reach what is no field', () => {
  assert.equal(fill('{{.x}}', { x: 'a\x1b[2J' }), 'a\\x1b[2J');
  for (const name of ['constructor', '__proto__', 'toString', 'hasOwnProperty'])
    assert.equal(fill(`{{.${name}}}{{index . "${name}"}}`), '<no value>', name);
});

interface Item {
  readonly id: string;
  readonly size: number;
}
const COLUMNS: readonly Column<Item>[] = [
  { name: 'ID', heading: 'ITEM ID', of: ({ id }) => id },
  { name: 'Size', heading: 'SIZE', of: ({ size }) => `${size} B` },
  { name: 'Hidden', heading: 'HIDDEN', of: () => 'h' },
];
const ITEMS: readonly Item[] = [
  { id: 'one', size: 1 },
  { id: 'a-longer-one', size: 22 },
];

test('a list is a table, a table of a template, lines, or objects', () => {
  const render = (format?: string): string =>
    renderRows(ITEMS, COLUMNS, ['Size', 'ID'], format, { Label: ({ id }, key) => `${key}:${id}` });
  assert.equal(render(), 'SIZE   ITEM ID\n1 B    one\n22 B   a-longer-one\n');
  assert.equal(render('table'), render());
  assert.equal(render('{{.ID}} {{lower .Size}}'), 'one 1 b\na-longer-one 22 b\n');
  assert.equal(
    render('table {{.ID}}\\t{{upper .Hidden}}\\t{{.Label "k"}}'),
    'ITEM ID        HIDDEN   k\none            H        k:one\na-longer-one   H        k:a-longer-one\n',
  );
  assert.deepEqual(
    render('json')
      .trim()
      .split('\n')
      .map((line) => JSON.parse(line)),
    [
      { ID: 'one', Size: '1 B', Hidden: 'h' },
      { ID: 'a-longer-one', Size: '22 B', Hidden: 'h' },
    ],
  );
  assert.throws(() => render('wide'), /unknown format "wide"/);
  assert.throws(() => render('{{.Nosuch}}'), /no field \.Nosuch/);
  assert.equal(renderRows([], COLUMNS, ['ID'], undefined), 'ITEM ID\n');
});
