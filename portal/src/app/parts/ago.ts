import { ChangeDetectionStrategy, Component, computed, inject, Injectable, input, signal } from '@angular/core';

/** The time, coarse enough to be shown. One for all that show it. */
@Injectable({ providedIn: 'root' })
export class Clock {
  readonly now = signal(Date.now());

  constructor() {
    setInterval(() => this.now.set(Date.now()), 10_000);
  }
}

/** How long ago something was, short: `just now`, `5 min`, `3 h`, `2 d`, else the date. */
export function ago(time: string, now: number): string {
  const then = Date.parse(time);
  if (Number.isNaN(then)) {
    return time;
  }
  const minutes = (now - then) / 60_000;
  if (minutes < 0) {
    return until(-minutes);
  }
  if (minutes < 1) {
    return 'just now';
  }
  if (minutes < 60) {
    return `${Math.floor(minutes)} min ago`;
  }
  if (minutes < 60 * 24) {
    return `${Math.floor(minutes / 60)} h ago`;
  }
  if (minutes < 60 * 24 * 14) {
    return `${Math.floor(minutes / 60 / 24)} d ago`;
  }
  return new Date(then).toISOString().slice(0, 10);
}

function until(minutes: number): string {
  if (minutes < 1) {
    return 'just now';
  }
  if (minutes < 60) {
    return `in ${Math.ceil(minutes)} min`;
  }
  return minutes < 60 * 24 ? `in ${Math.round(minutes / 60)} h` : `in ${Math.round(minutes / 60 / 24)} d`;
}

@Component({
  selector: 'orbit-ago',
  template: `<time [attr.datetime]="time()" [title]="exact()">{{ text() }}</time>`,
  styles: `
    :host {
      white-space: nowrap;
    }
  `,
  changeDetection: ChangeDetectionStrategy.OnPush,
})
export class Ago {
  readonly time = input.required<string>();
  private readonly clock = inject(Clock);
  protected readonly text = computed(() => ago(this.time(), this.clock.now()));
  protected readonly exact = computed(() =>
    this.time()
      .replace('T', ' ')
      .replace(/(\.\d+)?Z$/, ' UTC'),
  );
}
