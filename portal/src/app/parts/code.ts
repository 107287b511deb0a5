import { Clipboard } from '@angular/cdk/clipboard';
import { ChangeDetectionStrategy, Component, computed, inject, input } from '@angular/core';
import { MatButtonModule } from '@angular/material/button';
import { MatSnackBar } from '@angular/material/snack-bar';
import { tokens } from './highlight';
import { Icon } from './icon';

/** Lines of a text that are coloured at most: every colour is an element of the page. */
const MAX_COLOURED = 3000;

/** YAML or a command, to read, copy and keep. */
@Component({
  selector: 'orbit-code',
  imports: [MatButtonModule, Icon],
  template: `
    <div class="actions">
      @if (label()) {
        <span class="label">{{ label() }}</span>
      }
      <button mat-icon-button (click)="copy()" aria-label="Copy" title="Copy"><orbit-icon name="copy" /></button>
      @if (file()) {
        <button mat-icon-button (click)="save()" aria-label="Download" title="Download">
          <orbit-icon name="download" />
        </button>
      }
    </div>
    <pre
      [class.wraps]="language() === 'text'"
      tabindex="0"
      role="region"
      [attr.aria-label]="label() || 'Text'"
    ><code>@for (line of lines(); track $index) {<span class="line">@for (token of line; track $index) {<span [class]="token.kind">{{ token.text }}</span>}
</span>}</code></pre>
  `,
  styleUrl: './code.scss',
  changeDetection: ChangeDetectionStrategy.OnPush,
})
export class Code {
  readonly text = input.required<string>();
  readonly label = input('');
  /** What it is called when it is kept; it cannot be kept without. */
  readonly file = input('');
  readonly language = input<'yaml' | 'text'>('yaml');

  private readonly clipboard = inject(Clipboard);
  private readonly snack = inject(MatSnackBar);

  protected readonly lines = computed(() => {
    const lines = this.text().replace(/\n$/, '').split('\n');
    const isPlain = this.language() !== 'yaml' || lines.length > MAX_COLOURED;
    return lines.map((line) => (isPlain ? [{ text: line, kind: '' as const }] : tokens(line)));
  });

  protected copy(): void {
    if (this.clipboard.copy(this.text())) {
      this.snack.open('Copied', undefined, { duration: 2000 });
    }
  }

  protected save(): void {
    const link = document.createElement('a');
    link.href = URL.createObjectURL(new Blob([this.text()], { type: 'application/yaml' }));
    link.download = this.file();
    link.click();
    URL.revokeObjectURL(link.href);
  }
}
