import { DestroyRef, effect, inject, signal, Signal, untracked } from '@angular/core';
import { Problem } from '../api/problem';
import { Change, Live } from './live';

/** Changes come in bursts: this much later they are read together. */
const SOON = 250;
/** And while they go on, they are read this often. */
const APART = 1000;
/** The Viewport follows the journal, not the objects: what it tells of a change may come a moment after it. */
const ONCE_MORE = 1500;

export interface QueryOptions<P, T> {
  /** What to ask for; while it is undefined, nothing is asked. Another value drops the answer to the one before. */
  params: () => P | undefined;
  load: (params: P, abort: AbortSignal) => Promise<T>;
  /** Which changes make the answer stale. */
  staleBy?: (change: Change, params: P) => boolean;
  /** How long after an answer changes are gathered before it is asked for again, in milliseconds. */
  atMostEvery?: number;
}

/** An answer that is kept fresh: it stays while it is asked for again, and also when that fails. */
export class Query<T> {
  private readonly answer = signal<T | undefined>(undefined);
  private readonly failure = signal<Problem | undefined>(undefined);
  private readonly asking = signal(true);

  readonly value: Signal<T | undefined> = this.answer.asReadonly();
  readonly problem: Signal<Problem | undefined> = this.failure.asReadonly();
  readonly loading: Signal<boolean> = this.asking.asReadonly();

  private abort?: AbortController;
  /** Whether it is to be asked again once the asking that is under way has ended. */
  private stale = false;

  constructor(private readonly ask: (abort: AbortSignal) => Promise<T> | undefined) {}

  async reload(): Promise<void> {
    this.abort?.abort();
    const abort = (this.abort = new AbortController());
    this.asking.set(true);
    this.stale = false;
    try {
      const answer = await this.ask(abort.signal);
      if (!abort.signal.aborted) {
        this.answer.set(answer);
        this.failure.set(undefined);
        this.asking.set(false);
      }
    } catch (error) {
      if (!abort.signal.aborted) {
        this.failure.set(Problem.of(error));
        this.asking.set(false);
      }
    }
    if (this.stale && !abort.signal.aborted) {
      await this.reload();
    }
  }

  /** Asks again, and lets an asking that is under way end first: one that takes long would never be answered. */
  async refresh(): Promise<void> {
    if (this.asking()) {
      this.stale = true;
      return;
    }
    await this.reload();
  }

  /** What is known better than by asking, as after a write. */
  set(value: T): void {
    this.answer.set(value);
  }

  drop(): void {
    this.abort?.abort();
    this.answer.set(undefined);
    this.failure.set(undefined);
  }

  stop(): void {
    this.abort?.abort();
  }
}

/** A query of the component that it is made in. */
export function liveQuery<P, T>(options: QueryOptions<P, T>): Query<T> {
  const live = inject(Live);
  let params: P | undefined;
  let asked = 0;
  const query = new Query<T>((abort) => {
    asked = Date.now();
    return params === undefined ? undefined : options.load(params, abort);
  });
  let soon: ReturnType<typeof setTimeout> | undefined;
  let onceMore: ReturnType<typeof setTimeout> | undefined;
  const cancel = (): void => {
    clearTimeout(soon);
    clearTimeout(onceMore);
    soon = undefined;
  };
  const refreshSoon = (): void => {
    soon = undefined;
    void query.refresh();
  };
  effect(() => {
    params = options.params();
    untracked(() => {
      cancel();
      query.drop();
      void query.reload();
    });
  });
  const subscription = live.changes.subscribe((change) => {
    if (params === undefined) {
      return;
    }
    if (change.type !== 'RESET' && !options.staleBy?.(change, params)) {
      return;
    }
    const { atMostEvery } = options;
    // The first of those that are read together decides when: changes without end, as of a rollout, put nothing off.
    const due = asked + (atMostEvery ?? APART) - Date.now();
    soon ??= setTimeout(refreshSoon, Math.max(atMostEvery === undefined ? SOON : ONCE_MORE, due));
    if (atMostEvery === undefined) {
      clearTimeout(onceMore);
      onceMore = setTimeout(() => void query.refresh(), ONCE_MORE);
    }
  });
  inject(DestroyRef).onDestroy(() => {
    cancel();
    subscription.unsubscribe();
    query.stop();
  });
  return query;
}
