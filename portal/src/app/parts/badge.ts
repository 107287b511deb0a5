import { ChangeDetectionStrategy, Component, computed, input } from '@angular/core';
import { Tone } from '../objects/conditions';
import { Icon, IconName } from './icon';

const ICONS: Record<Tone, IconName> = { good: 'check', busy: 'busy', warn: 'warn', bad: 'bad', idle: 'idle' };

/** A state in one word, with an icon and a colour that say the same. */
@Component({
  selector: 'orbit-badge',
  imports: [Icon],
  template: `<orbit-icon [name]="icon()" />{{ word() }}`,
  styles: `
    :host {
      display: inline-flex;
      align-items: center;
      gap: 0.3rem;
      font-size: 0.8125rem;
      font-weight: 550;
      line-height: 1.25rem;
      white-space: nowrap;
      color: var(--tone);
      orbit-icon {
        font-size: 0.8125rem;
      }
    }
  `,
  host: { '[class]': '"tone-" + tone()' },
  changeDetection: ChangeDetectionStrategy.OnPush,
})
export class Badge {
  readonly tone = input.required<Tone>();
  readonly word = input.required<string>();
  protected readonly icon = computed(() => ICONS[this.tone()]);
}
