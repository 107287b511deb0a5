import { ChangeDetectionStrategy, Component } from '@angular/core';
import { RouterLink } from '@angular/router';
import { Notice } from '../../parts/notice';

@Component({
  imports: [Notice, RouterLink],
  template: `
    <div class="page">
      <h1>There is no such page</h1>
      <orbit-notice text="The address is mistyped, or what was here has moved.">
        <a routerLink="/">To the applications</a>
      </orbit-notice>
    </div>
  `,
  styles: `
    .page {
      display: grid;
      gap: 1rem;
      max-width: 40rem;
      margin: 8vh auto;
      padding: 0 1rem;
    }
  `,
  changeDetection: ChangeDetectionStrategy.OnPush,
})
export class NotFound {}
