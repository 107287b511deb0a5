import { ChangeDetectionStrategy, Component, computed, DestroyRef, effect, inject, input } from '@angular/core';
import { MatButtonModule } from '@angular/material/button';
import { MatMenuModule } from '@angular/material/menu';
import { MatTooltip } from '@angular/material/tooltip';
import { NavigationEnd, Router, RouterLink, RouterOutlet } from '@angular/router';
import { takeUntilDestroyed, toSignal } from '@angular/core/rxjs-interop';
import { filter, map, skip } from 'rxjs';
import { Live } from '../live/live';
import { Icon } from '../parts/icon';
import { SessionStore } from '../session/session-store';
import { Transfers } from '../upload/transfers';
import { Namespaces } from './namespaces';
import { Theme } from './theme';

/** What surrounds every page of a namespace. */
@Component({
  selector: 'orbit-shell',
  imports: [RouterOutlet, RouterLink, MatButtonModule, MatMenuModule, MatTooltip, Icon],
  templateUrl: './shell.html',
  styleUrl: './shell.scss',
  changeDetection: ChangeDetectionStrategy.OnPush,
})
export class Shell {
  readonly ns = input.required<string>();

  private readonly namespaces = inject(Namespaces);
  private readonly live = inject(Live);
  private readonly transfers = inject(Transfers);
  protected readonly theme = inject(Theme);
  protected readonly session = inject(SessionStore);

  protected readonly names = computed(() => this.namespaces.names() ?? []);
  protected readonly state = this.live.state;
  protected readonly sending = computed(() => this.transfers.active(this.ns()).length);
  protected readonly sections = [
    {
      path: './',
      icon: 'apps',
      label: 'Applications',
      pages: [undefined, 'apps', 'environmentoverlays', 'helmcharts'],
    },
    { path: 'upload', icon: 'upload', label: 'Upload', pages: ['upload', 'imageuploads'] },
    { path: 'clusters', icon: 'cluster', label: 'Clusters', pages: ['clusters', 'ephemeralclusters', 'deliveries'] },
    { path: 'reports', icon: 'reports', label: 'Reports', pages: ['reports'] },
    { path: 'audit', icon: 'audit', label: 'Audit', pages: ['audit'] },
  ] as const;
  private readonly router = inject(Router);
  private readonly url = toSignal(
    this.router.events.pipe(
      filter((event) => event instanceof NavigationEnd),
      map((event) => event.urlAfterRedirects),
    ),
    { initialValue: this.router.url },
  );
  /** The first part of the path below the namespace. */
  private readonly part = computed(() => path(this.url()).split('/')[3]);

  constructor() {
    effect(() => {
      this.live.follow(this.ns());
      this.namespaces.remember(this.ns());
    });
    if (!this.namespaces.names()) {
      // The switch stays empty if that fails; what is shown says why by itself.
      this.namespaces.load().catch(() => undefined);
    }
    inject(DestroyRef).onDestroy(() => this.live.follow(undefined));
    // Who navigates by keyboard or screen reader goes on where the new page begins.
    this.router.events
      .pipe(
        filter((event) => event instanceof NavigationEnd),
        skip(1),
        filter((event) => path(event.url) !== path(this.before)),
        takeUntilDestroyed(),
      )
      .subscribe((event) => {
        this.before = event.urlAfterRedirects;
        document.getElementById('content')?.focus({ preventScroll: true });
      });
  }

  private before = '';

  protected isHere(section: { pages: readonly (string | undefined)[] }): boolean {
    return section.pages.includes(this.part());
  }
}

function path(url: string): string {
  return url.split(/[?#]/)[0] ?? '';
}
