/** The client's version, a constant because reading package.json at each start would cost more than printing it. */

/** Equal to the one in package.json. */
export const VERSION = '0.1.0';
