import { ChangeDetectionStrategy, Component, computed, inject, input, linkedSignal } from '@angular/core';
import { MatButtonModule } from '@angular/material/button';
import { MatDialog } from '@angular/material/dialog';
import { MatSnackBar } from '@angular/material/snack-bar';
import { Router, RouterLink } from '@angular/router';
import { Plane } from '../../api/plane';
import { Problem } from '../../api/problem';
import { EnvironmentOverlay, LifecycleEvent, Page } from '../../api/types';
import { liveQuery } from '../../live/query';
import { isOfThePast, standing, STATE_WORDS, toneOfState } from '../../objects/conditions';
import { inOrder } from '../../objects/environments';
import { asWritten, toYaml } from '../../objects/yaml';
import { PinDialog, PinTarget } from '../../overlay/pin-dialog';
import { Ago } from '../../parts/ago';
import { Badge } from '../../parts/badge';
import { bytes } from '../../parts/bytes';
import { Digest } from '../../parts/digest';
import { Icon } from '../../parts/icon';
import { Notice } from '../../parts/notice';
import { Skeleton } from '../../parts/skeleton';
import { ShowYaml } from '../../parts/yaml-dialog';
import { LanesView } from './lanes-view';
import { byDay, reason, tell, Timeline, withNewest, withOlder } from './story';

const EVENTS = 100;

/** An application: where it stands, how it came to that, and the hand on it. */
@Component({
  selector: 'orbit-application',
  imports: [RouterLink, MatButtonModule, Ago, Badge, Digest, Icon, Notice, Skeleton, LanesView],
  templateUrl: './application.html',
  styleUrl: './application.scss',
  changeDetection: ChangeDetectionStrategy.OnPush,
})
export class ApplicationPage {
  readonly ns = input.required<string>();
  readonly app = input.required<string>();
  /** Shows only what is about this version. */
  readonly version = input<string>();

  private readonly plane = inject(Plane);
  private readonly dialog = inject(MatDialog);
  private readonly yaml = inject(ShowYaml);
  private readonly snack = inject(MatSnackBar);
  private readonly router = inject(Router);

  protected readonly lifecycle = liveQuery({
    params: () => ({ ns: this.ns(), app: this.app() }),
    load: ({ ns, app }, abort) => this.plane.lifecycle(ns, app, { limit: EVENTS }, abort),
    staleBy: (change, { app }) => change.type === 'RESET' || change.object?.spec?.['application'] === app,
  });
  /** What decides over each environment, as far as one may see it. */
  private readonly overlays = liveQuery({
    params: () => {
      const environments = this.lifecycle.value()?.environments.map(({ environment }) => environment) ?? [];
      return environments.length ? `${this.ns()} ${this.app()} ${environments.join(' ')}` : undefined;
    },
    load: async (asked, abort) => {
      const [ns = '', app, ...environments] = asked.split(' ');
      const ask = async (environment: string): Promise<[string, EnvironmentOverlay | undefined]> => {
        const name = `${app}.${environment}`;
        const found = await this.plane
          .object<EnvironmentOverlay>(ns, 'environmentoverlays', name, abort)
          .catch(() => undefined);
        return [environment, found?.data];
      };
      return new Map(await Promise.all(environments.map(ask)));
    },
    staleBy: (change) => change.type === 'RESET' || change.plural === 'environmentoverlays',
  });
  /** Events that were asked for so far, and where those before them begin. */
  private readonly told = linkedSignal<{ of: string; page?: Page<LifecycleEvent> }, Timeline>({
    source: () => ({ of: `${this.ns()}/${this.app()}`, page: this.lifecycle.value()?.events }),
    computation: ({ of, page }, previous) => {
      const known = previous?.source.of === of ? previous.value : { events: [] };
      return page ? withNewest(page, known) : known;
    },
  });
  protected readonly environments = computed(() => {
    const lifecycle = this.lifecycle.value();
    if (!lifecycle) {
      return [];
    }
    return inOrder(lifecycle.environments.map(({ environment }) => environment)).map((name) => ({
      name,
      now: lifecycle.environments.find(({ environment }) => environment === name),
      ...this.wished(name),
      deployments: lifecycle.deployments
        .filter((each) => each.environment === name && (each.current || each.running) && each.state !== 'removed')
        .filter((each, _, all) => !isOfThePast(each, all))
        .map((each) => ({ ...each, tone: toneOfState(each.state), word: STATE_WORDS[each.state] ?? each.state })),
    }));
  });
  protected readonly versions = computed(() =>
    (this.lifecycle.value()?.releases ?? []).filter((each) => !each.purgedAt).map((each) => each.version),
  );
  protected readonly events = computed(() => this.told().events);
  protected readonly shownEvents = computed(() => {
    const version = this.version();
    return byDay(version ? this.events().filter((event) => event.version === version) : this.events());
  });
  protected readonly next = computed(() => this.told().next);
  protected readonly moved = computed(() => this.events().some((event) => event.transition === 'selected'));
  protected readonly comparison = computed(() => {
    const [newer, older] = this.versions();
    const names = this.environments().map(({ name }) => name);
    return older ? { from: older, to: newer } : { from: names[0], to: names.at(-1) };
  });

  /** Why the overlay of an environment has the version that it has, and what keeps it from what is wished. */
  private wished(environment: string): { reason?: string; stuck?: string } {
    const overlay = this.overlays.value()?.get(environment);
    if (!overlay) {
      return {};
    }
    const { tone, word, message } = standing(overlay);
    return { reason: overlay.status?.selected?.reason, stuck: tone === 'bad' ? `${word}: ${message}` : undefined };
  }

  protected readonly tell = tell;
  protected readonly reason = reason;
  protected readonly bytes = bytes;

  protected runningIn(version: string): string[] {
    return this.environments()
      .filter(({ now }) => now?.version === version)
      .map(({ name }) => name);
  }

  protected pin(environment: string, pinTo?: string): void {
    const data: PinTarget = {
      ns: this.ns(),
      application: this.app(),
      environment,
      versions: this.versions(),
      pinTo,
    };
    this.dialog
      .open<PinDialog, PinTarget, string>(PinDialog, { data, width: '44rem', maxWidth: '96vw' })
      .afterClosed()
      .subscribe((outcome) => {
        if (outcome === 'applied') {
          this.snack.open(`${environment} is told. Watch it follow.`, undefined, { duration: 4000 });
        }
      });
  }

  protected async showYaml(environment: string): Promise<void> {
    const name = `${this.app()}.${environment}`;
    try {
      const { data } = await this.plane.object<EnvironmentOverlay>(this.ns(), 'environmentoverlays', name);
      this.yaml.open({
        title: `EnvironmentOverlay ${name}`,
        command: `kubectl get environmentoverlay ${name} --namespace ${this.ns()} --output yaml`,
        yaml: toYaml(asWritten(data)),
        file: `${name}.yaml`,
      });
    } catch (error) {
      this.snack.open(Problem.of(error).detail, 'Close');
    }
  }

  protected async more(): Promise<void> {
    const next = this.next();
    if (!next) {
      return;
    }
    try {
      const { events } = await this.plane.lifecycle(this.ns(), this.app(), { limit: EVENTS, continue: next });
      // Meanwhile it may have become the page of another one.
      if (this.next() === next) {
        this.told.update((told) => withOlder(told, events));
      }
    } catch (error) {
      this.snack.open(Problem.of(error).detail, 'Close');
    }
  }

  protected only(version: string | null): void {
    void this.router.navigate([], { queryParams: { version }, queryParamsHandling: 'merge' });
  }
}
