/**
 * A process that puts containers until it is killed, telling each acknowledged id on its standard output;
 * run by crash.test.ts as `node crash-child.ts ROOT COUNT`.
 */
import { writeSync } from 'node:fs';
import { configureFailpoints } from '../../../server/failpoint.ts';
import { openStore } from '../../../server/store/open.ts';
import { container } from './records.ts';

const [, , root = '', count = '0'] = process.argv;
const store = await openStore({ root });
configureFailpoints(process.env['MYDOCKER_FAILPOINTS']);
let next = 0;
const worker = async (): Promise<void> => {
  while (next < Number(count)) {
    next += 1;
    const record = container(`c${process.pid}-${next}`);
    const event = { type: 'container.create', kind: 'container', id: record.id } as const;
    await store.containers.put(record, { event });
    writeSync(1, `${record.id}\n`);
  }
};
await Promise.all(Array.from({ length: 8 }, worker));
writeSync(1, 'done\n');
process.kill(process.pid, 'SIGKILL');
