import { ChangeDetectionStrategy, Component, computed, input } from '@angular/core';
import { DiffLine } from './line-diff';

/** Lines that go and lines that come; the signs say so where colours do not. */
@Component({
  selector: 'orbit-diff',
  template: `
    @if (label()) {
      <div class="label">
        <span>{{ label() }}</span><span class="sum">+{{ sum().added }} −{{ sum().removed }}</span>
      </div>
    }
    <pre
      tabindex="0"
      role="region"
      [attr.aria-label]="'Differences ' + label()"
    ><code>@for (line of lines(); track $index) {<span class="line" [class.add]="line.sign === '+'" [class.del]="line.sign === '-'" [class.gap]="line.sign === '@'"><span class="sign">{{ line.sign === '@' ? ' ' : line.sign }}</span>{{ line.text }}
</span>}</code></pre>
  `,
  styles: `
    :host {
      display: block;
      border: 1px solid var(--line);
      border-radius: var(--radius);
      background: var(--code);
      overflow: hidden;
    }
    .label {
      display: flex;
      justify-content: space-between;
      gap: 1rem;
      padding: 0.4rem 0.9rem;
      border-bottom: 1px solid var(--line);
      font-size: 0.8125rem;
      font-weight: 550;
    }
    .sum {
      color: var(--ink-2);
      font-family: var(--mono);
      white-space: nowrap;
    }
    pre {
      margin: 0;
      padding: 0.4rem 0;
      overflow: auto;
      max-height: 60vh;
      font: 0.8125rem/1.55 var(--mono);
      &:focus-visible {
        outline: 2px solid var(--accent);
        outline-offset: -2px;
      }
    }
    code {
      display: inline-block;
      min-width: 100%;
    }
    .line {
      display: block;
      padding-right: 0.9rem;
      white-space: pre;
    }
    .sign {
      display: inline-block;
      width: 1.9rem;
      text-align: center;
      user-select: none;
      color: var(--ink-2);
    }
    .add {
      background: var(--diff-add);
    }
    .del {
      background: var(--diff-del);
    }
    .gap {
      color: var(--ink-2);
    }
  `,
  changeDetection: ChangeDetectionStrategy.OnPush,
})
export class DiffView {
  readonly lines = input.required<DiffLine[]>();
  readonly label = input('');
  protected readonly sum = computed(() => ({
    added: this.lines().filter((line) => line.sign === '+').length,
    removed: this.lines().filter((line) => line.sign === '-').length,
  }));
}
