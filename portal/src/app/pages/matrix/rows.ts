import { MatrixCluster, MatrixEnvironment, MatrixRow } from '../../api/types';
import { isOfThePast, STATE_WORDS, Tone, toneOfState } from '../../objects/conditions';
import { inOrder } from '../../objects/environments';

export interface Cell {
  environment: string;
  version: string;
  clusters: { name: string; tone: Tone; word: string; version?: string; since: string }[];
}

export interface Row {
  application: string;
  owner?: string;
  /** One for each column; none where the application is not in the environment. */
  cells: (Cell | undefined)[];
}

export interface Table {
  environments: string[];
  rows: Row[];
}

export function nameOf(cluster: MatrixCluster['cluster']): string {
  return typeof cluster === 'string' ? cluster : cluster.name;
}

/** The matrix of a page: a row for each application, a column for each environment that one of them is in. */
export function tableOf(items: MatrixRow[]): Table {
  const environments = inOrder(items.flatMap((item) => item.environments.map((each) => each.environment)));
  const rows = items.map(({ application, owner, environments: own }) => ({
    application,
    owner,
    cells: environments.map((name) => {
      const found = own.find((each) => each.environment === name);
      return found && cellOf(found);
    }),
  }));
  return { environments, rows };
}

function cellOf({ environment, version, clusters }: MatrixEnvironment): Cell {
  return {
    environment,
    version: version ?? 'own manifests',
    clusters: clusters
      .filter((each) => !isOfThePast(each, clusters))
      .map((each) => ({
        name: nameOf(each.cluster),
        tone: toneOfState(each.state),
        word: STATE_WORDS[each.state] ?? each.state,
        // Only what differs is worth a word.
        version: each.version !== version ? each.version : undefined,
        since: each.since,
      })),
  };
}
