/** docs/differences.md: the part that is made of what was seen. */
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { PROJECT } from '../harness/cli.ts';
import { DIFFERENCES, explanation, type Pair } from './differences.ts';

const PATH = join(PROJECT, 'docs/differences.md');
const BEGIN = '<!-- generated: npm run compare:docker -- --write -->';
const END = '<!-- end -->';
const SHOWN = 3;

/** @param version - of Docker. */
export function writeDocument(version: string, pairs: readonly Pair[]): void {
  const text = readFileSync(PATH, 'utf8');
  const [before = ''] = text.split(BEGIN);
  const [, after = ''] = text.split(END);
  const same = pairs.filter(({ aspects }) => aspects.length === 0).length;
  const rows = [...new Set(DIFFERENCES.map(({ about }) => about))].flatMap((about) => {
    const seen = pairs.filter((pair) =>
      pair.aspects.some((aspect) => explanation(pair, aspect)?.about === about),
    );
    if (seen.length === 0) return [];
    const examples = seen.slice(0, SHOWN).map(({ command }) => `\`${command.replaceAll('|', '\\|')}\``);
    const more = seen.length > SHOWN ? ` and ${seen.length - SHOWN} more` : '';
    return [`| ${about.replaceAll('|', '\\|')} | ${examples.join('<br>')}${more} |`];
  });
  writeFileSync(
    PATH,
    `${before}${BEGIN}

Compared with ${version}: ${pairs.length} commands, of which ${same} end alike, print alike and leave the same behind.

| difference | commands; D is the program |
| --- | --- |
${rows.join('\n')}

${END}${after}`,
  );
}
