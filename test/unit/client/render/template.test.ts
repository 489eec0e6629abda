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

test('variables, comparisons, printf and the rest of what Docker users write', () => {
  for (const [template, expected] of [
    ['{{range $i, $e := .references}}{{if $i}}, {{end}}{{$i}}={{$e}}{{end}}', '0=a:1, 1=b:2'],
    ['{{range $k, $v := .config.labels}}{{$k}}={{$v}};{{end}}', 'empty=;org.example/x=y;'],
    ['{{range $e := .references}}{{$e}}{{$.sizeBytes}}{{end}}', 'a:15b:25'],
    ['{{$x := .id}}{{$y := len .references}}{{$x}}{{$y}}', 'sha256:12'],
    ['{{$x := 1}}{{range .references}}{{$x = .}}{{end}}{{$x}}', 'b:2'],
    ['{{$x := 1}}{{if true}}{{$x := 2}}{{$x}}{{end}}{{$x}}', '21'],
    ['{{with $x := .config}}{{$x.volumes}}{{.volumes}}{{end}}', '[/data][/data]'],
    ['{{with .config.user}}{{.}}{{else with .id}}{{.}}{{end}}', 'sha256:1'],
    ['{{range .references}}{{if eq . "b:2"}}{{break}}{{end}}{{.}}{{end}}', 'a:1'],
    ['{{range .references}}{{if eq . "a:1"}}{{continue}}{{end}}{{.}}{{end}}', 'b:2'],
    ['{{if gt .sizeBytes 4}}large{{end}}{{if le .sizeBytes 4}}small{{end}}', 'large'],
    ['{{if and (lt 1 2) (ge "b" "a")}}yes{{end}}', 'yes'],
    ['{{if and .config.user .config.user.no.such}}x{{else}}y{{end}}', 'y'],
    [
      '{{printf "%s|%-6s|%6s|%q|%d|%03d|%.2f|%v|%%" .id "ab" "cd" "e" 5 7 1.5 .references}}',
      'sha256:1|ab    |    cd|"e"|5|007|1.50|[a:1 b:2]|%',
    ],
    ['{{.id | printf "%.3s"}}', 'sha'],
    ['{{printf "%d" "x"}}{{printf "%s"}}', '%!d(x)%!s(MISSING)'],
    ['{{slice .id 0 3}}{{pad "x" 1 2}}|{{title "some words"}}', 'sha x  |Some Words'],
    ['{{index .config.labels "org.example/x" | upper}}', 'Y'],
    ['{{eq .sizeBytes 4 5}} {{ne "a" "b"}} {{not .config.user}}', 'true true true'],
    ['{{range .nothing}}x{{else}}none{{end}}', 'none'],
  ] as const)
    assert.equal(fill(template), expected, template);
  for (const [template, message] of [
    ['{{index .references 2}}', /index out of range: 2 of 2/],
    ['{{index .references "a"}}', /cannot index a list with "a"/],
    ['{{index .nothing "a"}}', /index of nothing/],
    ['{{range .id}}{{end}}', /cannot range over "sha256:1"/],
    ['{{lt 1 "a"}}', /cannot compare 1 with "a"/],
    ['{{printf "%w" 1}}', /printf has no %w/],
    ['{{$x}}', /no variable \$x/],
    ['{{toString .id}}', /no function toString/],
    ['{{slice .id 5 99}}', /slice out of range/],
  ] as const)
    assert.throws(
      () => fill(template),
      (error) => error instanceof UsageError && message.test(error.message),
      template,
    );
  for (const template of [
    '{{define "x"}}{{end}}',
    '{{template "x"}}',
    '{{break}}',
    '{{if $a, $b := .x}}{{end}}',
  ])
    assert.throws(() => compileTemplate(template), UsageError, template);
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
