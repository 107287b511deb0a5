import { computed, signal } from '@angular/core';
import { Problem } from '../api/problem';
import { Speed } from './speed';
import { TransferRecord } from './record';

/**
 * - `hashing`: its digest is being computed
 * - `asking`: the ImageUpload is being written
 * - `waiting`: the plane is to open a session
 * - `sending`, `verifying`
 * - `elsewhere`: another tab of this browser is at it
 * - `paused`: by a person
 * - `needsFile`: the page was loaded again, and the file has to be found again
 * - `failed`: it does not go on by itself
 * - `sent`: the rest is up to the plane
 */
export type Phase =
  'hashing' | 'asking' | 'waiting' | 'sending' | 'verifying' | 'elsewhere' | 'paused' | 'needsFile' | 'failed' | 'sent';

const ACTIVE: ReadonlySet<Phase> = new Set(['hashing', 'asking', 'waiting', 'sending', 'verifying']);

/** One upload, as it is seen. */
export class Transfer {
  readonly phase = signal<Phase>('asking');
  /** Bytes hashed or sent, by the phase. */
  readonly done = signal(0);
  readonly perSecond = signal<number | undefined>(undefined);
  readonly trouble = signal<string | undefined>(undefined);
  readonly problem = signal<Problem | undefined>(undefined);
  readonly record;
  readonly isActive = computed(() => ACTIVE.has(this.phase()));
  readonly size = computed(() => this.record().file?.size ?? 0);
  readonly secondsLeft = computed(() => {
    const speed = this.perSecond();
    return speed ? (this.size() - this.done()) / speed : undefined;
  });

  file?: Blob;
  abort?: AbortController;
  /** Where the bytes go, once the plane has said so. */
  sessionUrl?: string;
  private speed = new Speed();

  constructor(record: TransferRecord) {
    this.record = signal(record);
  }

  begin(phase: Phase): void {
    this.phase.set(phase);
    this.done.set(0);
    this.perSecond.set(undefined);
    this.speed = new Speed();
  }

  progress(done: number): void {
    this.speed.record(done, performance.now());
    this.done.set(done);
    this.perSecond.set(this.speed.perSecond);
  }

  fail(problem: Problem): void {
    this.problem.set(problem);
    this.trouble.set(undefined);
    this.phase.set('failed');
  }
}
