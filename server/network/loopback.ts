/** The one interface that every network namespace is born with, set up. */
import type { Op } from '../model/plan.ts';
import { setLink } from './rtnetlink.ts';

/** `lo` is the first interface of a namespace. */
const LOOPBACK_INDEX = 1;

export const loopbackUp: Op = {
  name: 'netlink',
  s1: setLink(LOOPBACK_INDEX),
  about: 'set the loopback interface up',
};
