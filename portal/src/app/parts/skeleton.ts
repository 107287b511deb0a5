import { ChangeDetectionStrategy, Component, computed, input } from '@angular/core';

/** Stands where something is being loaded. */
@Component({
  selector: 'orbit-skeleton',
  template: `
    <span class="sr" role="status">Loading…</span>
    @for (line of rows(); track line) {
      <span class="line" aria-hidden="true"></span>
    }
  `,
  styles: `
    :host {
      display: grid;
      gap: 0.9rem;
      padding: 1rem 0;
    }
    .line {
      height: 0.9rem;
      border-radius: 4px;
      background: var(--hover);
      animation: breathe 1.6s ease-in-out infinite;
    }
    .line:nth-child(3n) {
      width: 72%;
    }
    .line:nth-child(3n + 1) {
      width: 88%;
    }
    @keyframes breathe {
      50% {
        opacity: 0.45;
      }
    }
    @media (prefers-reduced-motion: reduce) {
      .line {
        animation: none;
      }
    }
  `,
  changeDetection: ChangeDetectionStrategy.OnPush,
})
export class Skeleton {
  readonly lines = input(6);
  protected readonly rows = computed(() => Array.from({ length: this.lines() }, (_, index) => index));
}
