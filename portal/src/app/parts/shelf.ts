import { ChangeDetectionStrategy, Component, computed, input, signal } from '@angular/core';
import { RouterLink } from '@angular/router';
import { Icon } from './icon';

export interface Shelved {
  /** What it is chosen by in the page's address. */
  key: string;
  /** What is said before its name, quieter: a folder, a kind. */
  lead?: string;
  name: string;
  /** What is said after it: a size, a namespace. */
  note?: string;
  isLocked?: boolean;
}

/** A list to choose one of, by links: what is chosen is in the page's address. */
@Component({
  selector: 'orbit-shelf',
  imports: [RouterLink, Icon],
  template: `
    <label class="search">
      <orbit-icon name="search" />
      <span class="sr">{{ filterLabel() }}</span>
      <input
        type="search"
        [placeholder]="filterLabel()"
        autocomplete="off"
        spellcheck="false"
        [value]="filter()"
        (input)="filter.set($any($event.target).value)"
      />
    </label>
    <nav [attr.aria-label]="label()">
      <ul>
        @for (each of shown(); track each.key) {
          <li>
            <a
              [routerLink]="[]"
              [queryParams]="address(each.key)"
              queryParamsHandling="merge"
              [attr.aria-current]="each.key === chosen() ? 'true' : null"
            >
              <span class="name"
                ><span class="lead">{{ each.lead }}</span
                >{{ each.name }}</span
              >
              @if (each.isLocked) {
                <orbit-icon name="lock" /><span class="sr">what it keeps is not shown</span>
              }
              @if (each.note) {
                <span class="note"><span class="sr">, </span>{{ each.note }}</span>
              }
            </a>
          </li>
        } @empty {
          <li class="none" role="status">Nothing here is called like “{{ filter() }}”.</li>
        }
      </ul>
    </nav>
  `,
  styleUrl: './shelf.scss',
  changeDetection: ChangeDetectionStrategy.OnPush,
})
export class Shelf {
  readonly items = input.required<Shelved[]>();
  readonly chosen = input<string>();
  /** Which part of the address says what is chosen. */
  readonly param = input.required<string>();
  readonly label = input.required<string>();
  readonly filterLabel = input.required<string>();

  protected readonly filter = signal('');
  protected readonly shown = computed(() => {
    const words = this.filter().toLowerCase().split(/\s+/).filter(Boolean);
    return this.items().filter(({ lead = '', name, note = '' }) => {
      const text = `${lead}${name} ${note}`.toLowerCase();
      return words.every((word) => text.includes(word));
    });
  });

  protected address(key: string): Record<string, string> {
    return { [this.param()]: key };
  }
}
