import { DestroyRef, effect, inject, signal, Signal, untracked } from '@angular/core';
import { Problem } from '../api/problem';
import { Change, Live } from './live';

/** Changes come in bursts: this much later they are read together. */
const SOON = 250;
/** The Viewport follows the journal, not the objects: what it tells of a change may come a moment after it. */
const ONCE_MORE = 1500;

export interface QueryOptions<P, T> {
  /** What to ask for; while it is undefined, nothing is asked. Another value drops the answer to the one before. */
  params: () => P | undefined;
  load: (params: P, abort: AbortSignal) => Promise<T>;
  /** Which changes make the answer stale. */
  staleBy?: (change: Change, params: P) => boolean;
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

  constructor(private readonly ask: (abort: AbortSignal) => Promise<T> | undefined) {}

  async reload(): Promise<void> {
    this.abort?.abort();
    const abort = (this.abort = new AbortController());
    this.asking.set(true);
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
  const query = new Query<T>((abort) => (params === undefined ? undefined : options.load(params, abort)));
  let timers: ReturnType<typeof setTimeout>[] = [];
  const cancel = (): void => {
    timers.forEach(clearTimeout);
    timers = [];
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
    cancel();
    timers = [SOON, ONCE_MORE].map((pause) => setTimeout(() => void query.reload(), pause));
  });
  inject(DestroyRef).onDestroy(() => {
    cancel();
    subscription.unsubscribe();
    query.stop();
  });
  return query;
}
