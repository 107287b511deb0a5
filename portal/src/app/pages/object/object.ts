import { ChangeDetectionStrategy, Component, computed, inject, input, signal, viewChild } from '@angular/core';
import { KeyValuePipe } from '@angular/common';
import { MatButtonModule } from '@angular/material/button';
import { MatSlideToggleModule } from '@angular/material/slide-toggle';
import { MatSnackBar } from '@angular/material/snack-bar';
import { RouterLink } from '@angular/router';
import { Plane } from '../../api/plane';
import { Problem } from '../../api/problem';
import { KubernetesObject } from '../../api/types';
import { liveQuery } from '../../live/query';
import { standing, toneOf } from '../../objects/conditions';
import { ANNOTATION, isPlural, KINDS } from '../../objects/kinds';
import { asWritten, toYaml } from '../../objects/yaml';
import { OverlayEditor } from '../../overlay/editor';
import { Ago } from '../../parts/ago';
import { Badge } from '../../parts/badge';
import { Code } from '../../parts/code';
import { Icon } from '../../parts/icon';
import { Notice } from '../../parts/notice';
import { Skeleton } from '../../parts/skeleton';
import { Leaving } from '../../shell/navigation';

/** Any object of the plane: how it is, and what it says word for word. */
@Component({
  selector: 'orbit-object',
  imports: [
    KeyValuePipe,
    RouterLink,
    MatButtonModule,
    MatSlideToggleModule,
    OverlayEditor,
    Ago,
    Badge,
    Code,
    Icon,
    Notice,
    Skeleton,
  ],
  templateUrl: './object.html',
  styleUrl: './object.scss',
  changeDetection: ChangeDetectionStrategy.OnPush,
})
export class ObjectPage implements Leaving {
  readonly ns = input.required<string>();
  readonly plural = input.required<string>();
  readonly name = input.required<string>();

  private readonly plane = inject(Plane);
  private readonly snack = inject(MatSnackBar);

  canLeave(): boolean {
    return !this.editor()?.isDirty() || confirm('What you have edited is not applied yet, and would be lost. Leave?');
  }

  protected readonly kind = computed(() => {
    const plural = this.plural();
    return isPlural(plural) ? KINDS[plural] : undefined;
  });
  protected readonly object = liveQuery({
    params: () => {
      const plural = this.plural();
      return isPlural(plural) ? { ns: this.ns(), plural, name: this.name() } : undefined;
    },
    load: ({ ns, plural, name }, abort) => this.plane.object<KubernetesObject>(ns, plural, name, abort),
    staleBy: (change, { plural, name }) =>
      change.type === 'RESET' || (change.plural === plural && change.name === name),
  });
  protected readonly application = computed(() => {
    const application = this.object.value()?.data.spec['application'];
    return typeof application === 'string' ? application : undefined;
  });
  /** Where to look at what the plane made of it. */
  protected readonly made = computed(() => {
    const spec = this.object.value()?.data.spec;
    switch (this.plural()) {
      case 'helmcharts':
        return { text: 'Files', link: ['/ns', this.ns(), 'charts', spec?.['application'], spec?.['version']] };
      case 'environmentoverlays':
        return {
          text: 'Rendered YAML',
          link: ['/ns', this.ns(), 'overlays', spec?.['application'], spec?.['environment']],
        };
      default:
        return undefined;
    }
  });
  private readonly releases = liveQuery({
    params: () => {
      const app = this.plural() === 'environmentoverlays' ? this.application() : undefined;
      return app ? { ns: this.ns(), app } : undefined;
    },
    // What may be pinned is only a suggestion: without it, the version can still be left as it is.
    load: ({ ns, app }, abort) =>
      this.plane.lifecycle(ns, app, { limit: 1 }, abort).then(
        ({ releases }) => releases.filter((each) => !each.purgedAt).map((each) => each.version),
        () => [],
      ),
  });
  protected readonly versions = computed(() => this.releases.value() ?? []);

  protected readonly editing = signal(false);
  private readonly editor = viewChild(OverlayEditor);
  protected readonly whole = signal(true);
  protected readonly standing = computed(() => {
    const object = this.object.value()?.data;
    return object && standing(object);
  });
  protected readonly conditions = computed(() =>
    (this.object.value()?.data.status?.conditions ?? []).map((each) => ({ ...each, tone: toneOf(each) })),
  );
  protected readonly changedBy = computed(() => this.object.value()?.data.metadata.annotations?.[ANNOTATION.changedBy]);
  protected readonly yaml = computed(() => {
    const object = this.object.value()?.data;
    return object ? toYaml(this.whole() ? object : asWritten(object)) : '';
  });
  protected readonly command = computed(
    () => `kubectl get ${this.plural()}.orbit.k8or.io ${this.name()} --namespace ${this.ns()} --output yaml`,
  );

  /** Has the plane look at it now, as `kubectl annotate` would. */
  protected async lookNow(): Promise<void> {
    const [answer, plural] = [this.object.value(), this.plural()];
    if (!answer || !isPlural(plural)) {
      return;
    }
    const { data, etag = '' } = answer;
    const annotations = { ...data.metadata.annotations, [ANNOTATION.requestedAt]: new Date().toISOString() };
    try {
      await this.plane.replace(this.ns(), plural, { ...data, metadata: { ...data.metadata, annotations } }, etag);
      this.snack.open('The plane looks at it now.', undefined, { duration: 3000 });
    } catch (error) {
      const problem = Problem.of(error);
      this.snack.open(problem.status === 412 ? 'It has just changed: try again.' : problem.detail, 'Close');
    }
  }

  protected finish(outcome: 'applied' | 'cancelled'): void {
    this.editing.set(false);
    if (outcome === 'applied') {
      this.snack.open('Applied. The plane renders it now.', undefined, { duration: 4000 });
      void this.object.reload();
    }
  }
}
