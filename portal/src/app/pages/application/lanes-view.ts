import { ChangeDetectionStrategy, Component, computed, input } from '@angular/core';
import { Ago } from '../../parts/ago';
import { LifecycleEvent } from '../../api/types';
import { lanesOf } from './lanes';

/** Versions moving from one environment to the next, and who moved them. */
@Component({
  selector: 'orbit-lanes',
  imports: [Ago],
  template: `
    <div class="panel scroll" tabindex="0" role="region" aria-label="How versions moved">
      <div
        class="grid"
        [style.grid-template-columns]="'6.5rem repeat(' + lanes().moments.length + ', minmax(7.5rem, 1fr))'"
      >
        @for (lane of lanes().lanes; track lane.environment; let row = $index) {
          <span class="environment" [style.grid-row]="row + 1">{{ lane.environment }}</span>
          @for (stay of lane.stays; track stay.from) {
            <span
              class="stay"
              [class.current]="stay.current"
              [style.grid-row]="row + 1"
              [style.grid-column]="stay.from + 1 + ' / ' + (stay.to + 2)"
              [title]="stay.version + ' since ' + stay.time + ', by ' + stay.by"
            >
              <span class="version">{{ stay.version }}</span>
              <span class="by">{{ stay.by }}</span>
            </span>
          }
        }
        <span class="axis" [style.grid-row]="lanes().lanes.length + 1"></span>
        @for (moment of lanes().moments; track moment; let column = $index) {
          <span class="axis" [style.grid-row]="lanes().lanes.length + 1" [style.grid-column]="column + 2"
            ><orbit-ago [time]="moment"
          /></span>
        }
      </div>
    </div>
  `,
  styles: `
    .grid {
      display: grid;
      gap: 6px 3px;
      padding: 0.75rem 0.9rem 0.5rem;
      align-items: stretch;
    }
    .environment {
      grid-column: 1;
      align-self: center;
      font-weight: 600;
      position: sticky;
      left: 0;
      background: var(--panel);
    }
    .stay {
      display: flex;
      align-items: baseline;
      gap: 0.5rem;
      padding: 0.3rem 0.6rem;
      border-radius: 6px;
      background: var(--hover);
      border-left: 3px solid var(--ink-3);
      min-width: 0;
      overflow: hidden;
      white-space: nowrap;
    }
    .current {
      background: var(--accent-soft);
      border-left-color: var(--accent);
    }
    .by {
      font-size: 0.75rem;
      color: var(--ink-2);
      overflow: hidden;
      text-overflow: ellipsis;
    }
    .axis {
      grid-column: 1;
      font-size: 0.75rem;
      color: var(--ink-2);
      padding: 0.1rem 0 0 0.2rem;
    }
  `,
  changeDetection: ChangeDetectionStrategy.OnPush,
})
export class LanesView {
  readonly events = input.required<LifecycleEvent[]>();
  protected readonly lanes = computed(() => lanesOf(this.events()));
}
