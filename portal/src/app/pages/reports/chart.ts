import { ChangeDetectionStrategy, Component, computed, input } from '@angular/core';

export interface Series {
  name: string;
  /** A value for each label; none where there is nothing to tell. */
  values: (number | undefined)[];
}

/** Units of the picture, whatever its size: a slot for each label, and this height. */
const SLOT = 10;
const HEIGHT = 100;
/** So that what is highest is not cut. */
const ROOM = 4;

/** A bar or line chart. Everything in it is in words beside it, and in a table below. */
@Component({
  selector: 'orbit-chart',
  template: `
    @if (some()) {
      <div class="plot">
        <span class="high small quiet">{{ format()(highest()) }}</span>
        <span class="low small quiet">0</span>
        <svg
          role="img"
          [attr.aria-label]="words()"
          [attr.viewBox]="'0 0 ' + labels().length * slot + ' ' + height"
          preserveAspectRatio="none"
        >
          @for (line of [0.5, 1]; track line) {
            <line class="grid" x1="0" [attr.x2]="labels().length * slot" [attr.y1]="y(line)" [attr.y2]="y(line)" />
          }
          @if (kind() === 'bars') {
            @for (bar of bars(); track bar.x) {
              <rect [attr.x]="bar.x" [attr.y]="bar.y" [attr.width]="bar.width" [attr.height]="bar.height">
                <title>{{ bar.title }}</title>
              </rect>
            }
          } @else {
            @for (line of lines(); track line.name; let second = $odd) {
              <path class="line" [class.second]="second" [attr.d]="line.path" />
              <path class="dots" [class.second]="second" [attr.d]="line.dots" />
            }
          }
          <line class="ground" x1="0" [attr.x2]="labels().length * slot" [attr.y1]="height" [attr.y2]="height" />
        </svg>
        <span class="first small quiet">{{ labels()[0] }}</span>
        <span class="last small quiet">{{ labels().at(-1) }}</span>
      </div>
      @if (series().length > 1) {
        <p class="legend small">
          @for (one of series(); track one.name; let second = $odd) {
            <span><i aria-hidden="true" [class.second]="second"></i>{{ one.name }}</span>
          }
        </p>
      }
      <details>
        <summary>As a table</summary>
        <div class="scroll rows" tabindex="0" role="region" [attr.aria-label]="heading() + ', as a table'">
          <table class="list">
            <thead>
              <tr>
                <th scope="col">When (UTC)</th>
                @for (one of series(); track one.name) {
                  <th scope="col">{{ one.name }}</th>
                }
              </tr>
            </thead>
            <tbody>
              @for (label of labels(); track label; let at = $index) {
                <tr>
                  <th scope="row">{{ label }}</th>
                  @for (one of series(); track one.name) {
                    <td>{{ told(one.values[at]) }}</td>
                  }
                </tr>
              }
            </tbody>
          </table>
        </div>
      </details>
    } @else {
      <p class="none quiet">Nothing to draw in these days</p>
    }
  `,
  styles: `
    .plot {
      display: grid;
      grid-template: 'high svg svg' 1fr 'low svg svg' auto '. first last' auto / minmax(3rem, auto) 1fr auto;
      column-gap: 0.5rem;
    }
    svg {
      grid-area: svg;
      width: 100%;
      height: 9rem;
      overflow: visible;
    }
    .high,
    .low {
      justify-self: end;
      line-height: 1;
    }
    .high {
      grid-area: high;
    }
    .low {
      grid-area: low;
    }
    .first {
      grid-area: first;
      margin-top: 0.25rem;
    }
    .last {
      grid-area: last;
      margin-top: 0.25rem;
    }
    rect {
      fill: var(--accent);
    }
    line,
    path {
      vector-effect: non-scaling-stroke;
      fill: none;
    }
    .grid {
      stroke: var(--line);
      stroke-dasharray: 2 4;
    }
    .ground {
      stroke: var(--ink-3);
    }
    .line {
      stroke: var(--accent);
      stroke-width: 2;
      stroke-linejoin: round;
    }
    .dots {
      stroke: var(--accent);
      stroke-width: 6;
      stroke-linecap: round;
    }
    .second {
      stroke: var(--code-word);
      stroke-dasharray: 5 4;
    }
    .dots.second {
      stroke-dasharray: none;
    }
    .legend {
      display: flex;
      gap: 1rem;
      margin: 0.4rem 0 0;
      color: var(--ink-2);
      span {
        display: inline-flex;
        align-items: center;
        gap: 0.4rem;
      }
      i {
        width: 1.25rem;
        border-top: 2px solid var(--accent);
      }
      i.second {
        border-top: 2px dashed var(--code-word);
      }
    }
    details {
      margin-top: 0.5rem;
    }
    summary {
      cursor: pointer;
      color: var(--ink-2);
      font-size: 0.8125rem;
      width: fit-content;
    }
    .rows {
      max-height: 18rem;
      overflow: auto;
      margin-top: 0.4rem;
    }
    tbody th {
      font-weight: 400;
      white-space: nowrap;
    }
    .none {
      display: grid;
      place-items: center;
      height: 4rem;
      margin: 0;
    }
  `,
  changeDetection: ChangeDetectionStrategy.OnPush,
})
export class Chart {
  readonly heading = input.required<string>();
  readonly kind = input.required<'bars' | 'lines'>();
  readonly labels = input.required<string[]>();
  readonly series = input.required<Series[]>();
  readonly format = input.required<(value: number) => string>();

  protected readonly slot = SLOT;
  protected readonly height = HEIGHT;
  private readonly known = computed(() => this.series().flatMap(({ values }) => values.filter((v) => v !== undefined)));
  protected readonly highest = computed(() => Math.max(...this.known(), 0));
  protected readonly some = computed(() => this.highest() > 0);

  protected readonly bars = computed(() =>
    (this.series()[0]?.values ?? []).flatMap((value, at) => {
      if (!value) {
        return [];
      }
      const y = this.y(value / this.highest());
      const title = `${this.labels()[at]}: ${this.format()(value)}`;
      return [{ x: at * SLOT + SLOT * 0.15, y, width: SLOT * 0.7, height: HEIGHT - y, title }];
    }),
  );
  protected readonly lines = computed(() =>
    this.series().map(({ name, values }) => {
      const at = values.map((value, index) =>
        value === undefined ? undefined : `${(index + 0.5) * SLOT} ${round(this.y(value / this.highest()))}`,
      );
      // Where there is nothing to tell, the line is broken.
      const path = at.map((point, index) => (point ? `${at[index - 1] ? 'L' : 'M'}${point}` : '')).join('');
      return { name, path, dots: at.map((point) => (point ? `M${point}h.01` : '')).join('') };
    }),
  );
  protected readonly words = computed(() => {
    const each = this.series().map(({ name, values }) => {
      const known = values.flatMap((value, at) => (value === undefined ? [] : [{ value, label: this.labels()[at] }]));
      if (!known.length) {
        return `${name}: nothing`;
      }
      const highest = known.reduce((most, one) => (one.value > most.value ? one : most));
      const last = known[known.length - 1] ?? highest;
      const told = this.format();
      return `${name}: at most ${told(highest.value)}, ${highest.label}; last ${told(last.value)}, ${last.label}`;
    });
    return `${this.heading()}, ${this.labels()[0]} to ${this.labels().at(-1)}. ${each.join('. ')}.`;
  });

  protected y(part: number): number {
    return HEIGHT - part * (HEIGHT - ROOM);
  }

  protected told(value: number | undefined): string {
    return value === undefined ? '–' : this.format()(value);
  }
}

function round(number: number): number {
  return Math.round(number * 100) / 100;
}
