import { ChangeDetectionStrategy, Component, computed, input, output } from '@angular/core';
import { MatButtonModule } from '@angular/material/button';
import { advice, Problem } from '../api/problem';
import { Icon } from './icon';

/** Why there is nothing to see, and what to do: where something is empty, or did not work. */
@Component({
  selector: 'orbit-notice',
  imports: [MatButtonModule, Icon],
  template: `
    @if (problem(); as problem) {
      <orbit-icon name="warn" />
      <div role="alert">
        <h2>{{ problem.title }}</h2>
        <p>{{ problem.detail }}</p>
        @if (what()) {
          <p>{{ what() }}</p>
        }
        @if (problem.requestId) {
          <p class="id">request {{ problem.requestId }}</p>
        }
        <button mat-stroked-button (click)="retry.emit()">Try again</button>
      </div>
    } @else {
      <div>
        <h2>{{ heading() }}</h2>
        @if (text()) {
          <p>{{ text() }}</p>
        }
        <ng-content />
      </div>
    }
  `,
  styles: `
    :host {
      display: flex;
      gap: 0.9rem;
      padding: 1.25rem 1.4rem;
      border: 1px solid var(--line);
      border-radius: var(--radius);
      background: var(--panel);
      max-width: 46rem;
      orbit-icon {
        color: var(--warn);
        font-size: 1.25rem;
      }
    }
    h2 {
      margin: 0 0 0.35rem;
      font-size: 1rem;
    }
    p {
      margin: 0 0 0.75rem;
      color: var(--ink-2);
      overflow-wrap: anywhere;
    }
    .id {
      font: 0.75rem var(--mono);
    }
  `,
  changeDetection: ChangeDetectionStrategy.OnPush,
})
export class Notice {
  readonly problem = input<Problem>();
  readonly heading = input('');
  readonly text = input('');
  readonly retry = output();
  protected readonly what = computed(() => {
    const problem = this.problem();
    return problem ? advice(problem) : '';
  });
}
