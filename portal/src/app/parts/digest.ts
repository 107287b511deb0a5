import { Clipboard } from '@angular/cdk/clipboard';
import { ChangeDetectionStrategy, Component, computed, inject, input } from '@angular/core';
import { MatSnackBar } from '@angular/material/snack-bar';

/** A digest: the first digits to look at, the whole of it to copy. */
@Component({
  selector: 'orbit-digest',
  template: `<button type="button" (click)="copy()" [title]="digest()" [attr.aria-label]="'Copy ' + digest()">
    {{ short() }}
  </button>`,
  styles: `
    button {
      all: unset;
      cursor: copy;
      font: 0.8125rem var(--mono);
      color: var(--ink-2);
      border-radius: 4px;
      display: inline-flex;
      align-items: center;
      min-height: 24px;
      &:hover {
        color: var(--accent);
      }
      &:focus-visible {
        outline: 2px solid var(--accent);
      }
    }
  `,
  changeDetection: ChangeDetectionStrategy.OnPush,
})
export class Digest {
  readonly digest = input.required<string>();
  private readonly clipboard = inject(Clipboard);
  private readonly snack = inject(MatSnackBar);
  protected readonly short = computed(() =>
    this.digest()
      .replace(/^sha256:/, '')
      .slice(0, 12),
  );

  protected copy(): void {
    if (this.clipboard.copy(this.digest())) {
      this.snack.open('Digest copied', undefined, { duration: 2000 });
    }
  }
}
