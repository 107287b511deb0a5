import { LifecycleEvent } from '../../api/types';
import { inOrder } from '../../objects/environments';

/** A time in which an environment was meant to run one version. */
export interface Stay {
  version: string;
  /** The first and the last column it takes, from 1; both included. */
  from: number;
  to: number;
  by: string;
  time: string;
  why?: string;
  current: boolean;
}

export interface Lanes {
  /** The moments at which something moved, the oldest first. */
  moments: string[];
  lanes: { environment: string; stays: Stay[] }[];
}

/**
 * How versions moved through the environments: a column for each moment at which one was selected somewhere. Moments are
 * evenly apart: releases come in bursts with days between them, in which nothing is to be seen on a true scale.
 */
export function lanesOf(newestFirst: LifecycleEvent[]): Lanes {
  const moves = newestFirst.filter((event) => event.transition === 'selected' && event.environment).reverse();
  const moments: string[] = [];
  const column = new Map<LifecycleEvent, number>();
  for (const move of moves) {
    const second = move.time.slice(0, 19);
    if (moments.at(-1)?.slice(0, 19) !== second) {
      moments.push(move.time);
    }
    column.set(move, moments.length);
  }
  const lanes = inOrder(moves.map((move) => move.environment ?? '')).map((environment) => {
    const own = moves.filter((move) => move.environment === environment);
    const stays = own.map((move, index): Stay => {
      const next = own[index + 1];
      const from = column.get(move) ?? 1;
      return {
        version: move.version ?? 'own manifests',
        from,
        to: next ? Math.max(from, (column.get(next) ?? 1) - 1) : moments.length,
        by: move.actor,
        time: move.time,
        why: move.detail,
        current: !next,
      };
    });
    // Of two moves within one second the later one is what is left to be seen.
    return { environment, stays: stays.filter((stay, index) => stays[index + 1]?.from !== stay.from) };
  });
  return { moments, lanes };
}
