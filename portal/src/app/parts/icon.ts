import { ChangeDetectionStrategy, Component, computed, input } from '@angular/core';

/** Strokes in a box of 24 by 24. */
const PATHS = {
  apps: 'M4 5h7v6H4zM15 5h5v6h-5zM4 15h5v4H4zM13 15h7v4h-7z',
  upload: 'M12 16V5M7.5 9.5 12 5l4.5 4.5M5 19h14',
  cluster: 'M12 3.5 19.5 8v8L12 20.5 4.5 16V8zM12 12l7.5-4M12 12v8.5M12 12 4.5 8',
  audit: 'M7 4h10v16H7zM10 9h4M10 12.5h4M10 16h2.5',
  reports: 'M4 20h16M7 17v-5M12 17V6M17 17v-8',
  down: 'M7 10l5 5 5-5',
  right: 'M10 7l5 5-5 5',
  left: 'M14 7l-5 5 5 5',
  check: 'M5 12.5l4.5 4.5L19 7.5',
  warn: 'M12 4.5 21 19.5H3zM12 10v4.5M12 17v.1',
  bad: 'M7 7l10 10M17 7 7 17',
  busy: 'M12 4a8 8 0 1 1-7.4 5',
  idle: 'M6 12h12',
  clock: 'M12 4.5a7.5 7.5 0 1 1 0 15 7.5 7.5 0 0 1 0-15zM12 8v4.2l3 1.8',
  copy: 'M9 9h10v10H9zM6 15H5V5h10v1',
  yaml: 'M8 6 4 12l4 6M16 6l4 6-4 6M13.5 5l-3 14',
  download: 'M12 5v11M7.5 11.5 12 16l4.5-4.5M5 20h14',
  search: 'M11 5a6 6 0 1 1 0 12 6 6 0 0 1 0-12zM15.5 15.5 20 20',
  pin: 'M9 4h6l-.8 7 3.3 3H6.5l3.3-3zM12 14v6',
  compare: 'M8 6v12M8 6 5 9M8 6l3 3M16 18V6M16 18l-3-3M16 18l3-3',
  edit: 'M5 19l1-4L16 5l3 3L9 18zM14 7l3 3',
  pause: 'M9 6v12M15 6v12',
  play: 'M8 5.5v13l10-6.5z',
  sun: 'M12 8a4 4 0 1 1 0 8 4 4 0 0 1 0-8zM12 3v2M12 19v2M3 12h2M19 12h2M5.6 5.6 7 7M17 17l1.4 1.4M18.4 5.6 17 7M7 17l-1.4 1.4',
  moon: 'M19 14.5A7.5 7.5 0 0 1 9.5 5a7.5 7.5 0 1 0 9.5 9.5z',
  contrast: 'M12 4.5a7.5 7.5 0 1 1 0 15 7.5 7.5 0 0 1 0-15zM12 4.5v15M12 8.5h5.5M12 12h7M12 15.5h5.5',
  person: 'M12 5a3.5 3.5 0 1 1 0 7 3.5 3.5 0 0 1 0-7zM5 20c.6-3.8 3.4-5.5 7-5.5s6.4 1.7 7 5.5',
  plus: 'M12 5v14M5 12h14',
  file: 'M7 3.5h7l4 4v13H7zM14 3.5v4h4',
  lock: 'M6.5 11h11v8.5h-11zM9 11V8a3 3 0 0 1 6 0v3',
} as const;

export type IconName = keyof typeof PATHS;

/** Decoration: what it means is said in words beside it, or in the label of the button that it is in. */
@Component({
  selector: 'orbit-icon',
  template: `<svg viewBox="0 0 24 24" aria-hidden="true" focusable="false"><path [attr.d]="path()" /></svg>`,
  styles: `
    :host {
      display: inline-flex;
      width: 1.25em;
      height: 1.25em;
      flex: none;
      vertical-align: -0.25em;
    }
    svg {
      width: 100%;
      fill: none;
      stroke: currentColor;
      stroke-width: 1.75;
      stroke-linecap: round;
      stroke-linejoin: round;
    }
  `,
  changeDetection: ChangeDetectionStrategy.OnPush,
})
export class Icon {
  readonly name = input.required<IconName>();
  protected readonly path = computed(() => PATHS[this.name()]);
}
