/** Where mydocker differs from Docker on purpose, and why. docs/differences.md is made of it. */

/** What of a command differs. */
export type Aspect = 'exit' | 'output' | 'state';

/** What one program did with a command. */
export interface Outcome {
  readonly code: number;
  /** Standard output, normalized. */
  readonly output: string;
  readonly error: string;
}

/** A command, and what both did with it. */
export interface Pair {
  readonly command: string;
  readonly docker: Outcome;
  readonly mydocker: Outcome;
  /** Containers and images that are there afterwards. */
  readonly states: { readonly docker: string; readonly mydocker: string };
  readonly aspects: readonly Aspect[];
}

/** A difference that is meant. */
export interface Difference {
  readonly aspect: Aspect;
  readonly commands: RegExp;
  /** Only where the outcomes are like this. */
  readonly when?: (pair: Pair) => boolean;
  /** Why, as a sentence for users. */
  readonly about: string;
}

const refused = ({ mydocker }: Pair): boolean => mydocker.code === 125;
const lacks = ({ mydocker }: Pair): boolean =>
  /unknown (?:option|command)|server lacks it/.test(mydocker.error);

/** In the order in which they are looked for: the first one that fits explains. */
export const DIFFERENCES: readonly Difference[] = [
  ...(['exit', 'output'] as const).map(
    (aspect): Difference => ({
      aspect,
      commands: /./,
      when: lacks,
      about: 'Not there yet; it is refused with a sentence.',
    }),
  ),
  ...(['exit', 'output'] as const).map(
    (aspect): Difference => ({
      aspect,
      commands: /--privileged/,
      when: ({ docker }) => /unable to apply caps/.test(docker.error),
      about:
        'A privileged container gets what the server itself may give; Docker fails where that is not everything.',
    }),
  ),
  {
    aspect: 'exit',
    commands: /logs --tail nosuch/,
    when: refused,
    about: 'A number that is none is refused; Docker takes it for `all`.',
  },
  {
    aspect: 'output',
    commands: /logs --tail nosuch/,
    about: 'A number that is none is refused; Docker takes it for `all`.',
  },
  {
    aspect: 'exit',
    commands: /events .*nosuch=1/,
    about: 'An unknown filter is refused; Docker ignores it in `events`.',
  },
  {
    aspect: 'output',
    commands: /events .*nosuch=1/,
    about: 'An unknown filter is refused; Docker ignores it in `events`.',
  },
  {
    aspect: 'exit',
    commands: /exec web nosuch-program/,
    when: ({ mydocker }) => mydocker.code === 127,
    about: 'A program that is not there is 127 with `exec` too, as newer versions of Docker have it.',
  },
  {
    aspect: 'output',
    commands: /exec web nosuch-program/,
    about: 'Errors are on standard error; Docker prints this one on standard output.',
  },
  {
    aspect: 'exit',
    commands: /--pull nosuch/,
    when: refused,
    about: 'A word that `--pull` does not know is refused, also where the image is here.',
  },
  ...(['exit', 'output'] as const).map(
    (aspect): Difference => ({
      aspect,
      commands: /-u 1: /,
      when: refused,
      about: 'A user with an empty group is refused; Docker takes the group that passwd has.',
    }),
  ),
  {
    aspect: 'exit',
    commands: /--device(?:-write-bps)? \/dev\/nosuch/,
    when: refused,
    about: 'A device that is not there is an error of the server, 125; Docker has 127, as for a program.',
  },
  ...(['exit', 'output'] as const).map(
    (aspect): Difference => ({
      aspect,
      commands: /^D update --memory 64m site$/,
      about: 'Where nobody limited swap, its limit follows the memory limit; Docker wants both to be given.',
    }),
  ),
  {
    aspect: 'output',
    commands: /--blkio-weight/,
    about: 'A weight of block I/O is given to the BFQ scheduler too; Docker drops it with a warning.',
  },
  {
    aspect: 'exit',
    commands: /\/h\/(?:data|script|crlf)$/,
    when: ({ mydocker }) => [126, 127].includes(mydocker.code),
    about:
      'A program without an interpreter is 126, one whose interpreter is missing 127, and the sentence says which; with Docker both end with 1.',
  },
  {
    aspect: 'output',
    commands: /\.Config\.Labels\}\}' labelled/,
    about: 'A name alone in `--label-file` is a label without a value, as with `-l`; Docker leaves it out.',
  },
  {
    aspect: 'exit',
    commands: /./,
    when: ({ docker, mydocker }) => [1, 64].includes(docker.code) && mydocker.code === 125,
    about: 'An error of the client or the server is 125 with every command; Docker has 1 for all but `run`.',
  },
  {
    aspect: 'output',
    commands: /^D ps -q$/,
    about: '`ps` lists all containers; `-r` or a filter narrows it.',
  },
  {
    aspect: 'output',
    commands: /image inspect told:1/,
    about:
      'Nothing about how old builders made an image (`ContainerConfig`), no folders of a driver: layers are shared.',
  },
  {
    aspect: 'output',
    commands: /IPPrefixLen/,
    about: 'The default network is a /24.',
  },
  {
    aspect: 'output',
    commands: /inspect -s -f '\{\{\.SizeRw\}\}'/,
    about: 'Sizes are what the disk gives away, as `du` counts; Docker adds the lengths of files.',
  },
  {
    aspect: 'output',
    commands: /events .*container=p3/,
    about: '`task_create` tells that everything is made and nothing runs yet; Docker has no such event.',
  },
  {
    aspect: 'output',
    commands: /events .*event=(?:die|tag|rename|exec_create)/,
    about: 'The last 10,000 events are kept, over restarts too; Docker has the last 256, in memory.',
  },
  {
    aspect: 'output',
    commands: /system df/,
    about: '`system df` tells blobs, logs, downloads and metadata too; there is no build cache.',
  },
  ...(['exit', 'output'] as const).map(
    (aspect): Difference => ({
      aspect,
      commands: /^D volume prune/,
      about:
        'A volume that has a name goes with `volume prune -a` only, as with newer versions of Docker; the present one takes all.',
    }),
  ),
  {
    aspect: 'exit',
    commands: /-v n:\/x/,
    when: refused,
    about: 'A volume’s name has two characters at least, also where a container makes it.',
  },
  {
    aspect: 'exit',
    commands: /-v gone:/,
    when: refused,
    about: 'A folder of a volume that is not there is an error of the server, 125; Docker has 127.',
  },
  {
    aspect: 'output',
    commands: /json \.HostConfig\.Binds.* vc$/,
    about: 'Volumes of `--mount` are among `Binds` too.',
  },
  {
    aspect: 'exit',
    commands: /volume-opt=device=other/,
    when: refused,
    about: 'A volume that is there is refused where other options are given for it; Docker ignores them.',
  },
  {
    aspect: 'output',
    commands: /events .*volume=other/,
    about: 'A volume is created once; Docker tells it again when it is asked for again.',
  },
  {
    aspect: 'output',
    commands: /network ls --format '\{\{\.Name\}\}'/,
    about: '`none` and `host` are no networks, and the default one has the name of its bridge.',
  },
];

/** The difference that explains an aspect of a pair; undefined: it is not meant. */
export function explanation(pair: Pair, aspect: Aspect): Difference | undefined {
  return DIFFERENCES.find(
    (difference) =>
      difference.aspect === aspect &&
      difference.commands.test(pair.command) &&
      (difference.when?.(pair) ?? true),
  );
}
