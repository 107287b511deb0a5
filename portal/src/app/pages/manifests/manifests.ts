import { ChangeDetectionStrategy, Component, computed, inject, input } from '@angular/core';
import { MatButtonModule } from '@angular/material/button';
import { RouterLink } from '@angular/router';
import { Plane } from '../../api/plane';
import { EnvironmentOverlay, ManifestObject } from '../../api/types';
import { liveQuery } from '../../live/query';
import { Ago } from '../../parts/ago';
import { Code } from '../../parts/code';
import { Digest } from '../../parts/digest';
import { Icon } from '../../parts/icon';
import { Notice } from '../../parts/notice';
import { Shelf, Shelved } from '../../parts/shelf';
import { Skeleton } from '../../parts/skeleton';
import { manifestsCommands } from './commands';

/** What was rendered last for an environment, object by object. */
@Component({
  selector: 'orbit-manifests',
  imports: [RouterLink, MatButtonModule, Ago, Code, Digest, Icon, Notice, Shelf, Skeleton],
  templateUrl: './manifests.html',
  changeDetection: ChangeDetectionStrategy.OnPush,
})
export class ManifestsPage {
  readonly ns = input.required<string>();
  readonly app = input.required<string>();
  readonly environment = input.required<string>();
  /** The object that is looked at. */
  readonly object = input<string>();

  private readonly plane = inject(Plane);

  protected readonly name = computed(() => `${this.app()}.${this.environment()}`);
  protected readonly manifests = liveQuery({
    params: () => ({ ns: this.ns(), app: this.app(), environment: this.environment() }),
    load: ({ ns, app, environment }, abort) => this.plane.manifests(ns, app, environment, abort),
    staleBy: (change, { app, environment }) =>
      change.type === 'RESET' || (change.plural === 'environmentoverlays' && change.name === `${app}.${environment}`),
  });
  /** Its object says where it is served. */
  private readonly served = liveQuery({
    params: () => ({ ns: this.ns(), name: this.name() }),
    load: ({ ns, name }, abort) =>
      this.plane.object<EnvironmentOverlay>(ns, 'environmentoverlays', name, abort).then(
        ({ data }) => ({ url: data.status?.artifact?.url }),
        () => ({ url: undefined }),
      ),
    staleBy: (change, { name }) =>
      change.type === 'RESET' || (change.plural === 'environmentoverlays' && change.name === name),
  });
  protected readonly file = computed(() => this.plane.manifestsFile(this.ns(), this.app(), this.environment()));
  /** Those of one name in several namespaces are told apart. */
  private readonly keyed = computed(() => {
    const objects = this.manifests.value()?.objects ?? [];
    const names = objects.map(({ name }) => name);
    const isUnique = (name: string): boolean => names.indexOf(name) === names.lastIndexOf(name);
    return objects.map((each) => ({
      key: isUnique(each.name) ? each.name : `${each.name} in ${each.namespace ?? ''}`,
      each,
    }));
  });
  protected readonly shelved = computed(() => this.keyed().map(({ key, each }) => shelved(key, each)));
  protected readonly chosen = computed(() => {
    const asked = this.object();
    return asked === undefined ? this.keyed()[0] : this.keyed().find(({ key }) => key === asked);
  });
  protected readonly masked = computed(() => this.keyed().some(({ each }) => each.masked));
  protected readonly commands = computed(() =>
    manifestsCommands({
      ns: this.ns(),
      application: this.app(),
      environment: this.environment(),
      url: this.served.value()?.url,
    }),
  );

  protected fileOf(name: string): string {
    return `${name.replace(/[^A-Za-z0-9.-]+/g, '-')}.yaml`;
  }
}

function shelved(key: string, { name, namespace, masked }: ManifestObject): Shelved {
  const at = name.indexOf('/') + 1;
  return { key, lead: name.slice(0, at), name: name.slice(at), note: namespace ?? undefined, isLocked: masked };
}
