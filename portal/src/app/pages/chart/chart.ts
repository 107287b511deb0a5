import { ChangeDetectionStrategy, Component, computed, inject, input } from '@angular/core';
import { MatButtonModule } from '@angular/material/button';
import { RouterLink } from '@angular/router';
import { Plane } from '../../api/plane';
import { ChartFile, HelmChart } from '../../api/types';
import { liveQuery } from '../../live/query';
import { bytes } from '../../parts/bytes';
import { Code } from '../../parts/code';
import { Digest } from '../../parts/digest';
import { Icon } from '../../parts/icon';
import { Notice } from '../../parts/notice';
import { Shelf, Shelved } from '../../parts/shelf';
import { Skeleton } from '../../parts/skeleton';
import { chartCommands } from './commands';

/** The files of a chart, as the plane published it. */
@Component({
  selector: 'orbit-chart',
  imports: [RouterLink, MatButtonModule, Code, Digest, Icon, Notice, Shelf, Skeleton],
  templateUrl: './chart.html',
  changeDetection: ChangeDetectionStrategy.OnPush,
})
export class ChartPage {
  readonly ns = input.required<string>();
  readonly app = input.required<string>();
  readonly version = input.required<string>();
  /** The file that is looked at. */
  readonly file = input<string>();

  private readonly plane = inject(Plane);

  protected readonly name = computed(() => `${this.app()}.${this.version()}`);
  protected readonly chart = liveQuery({
    params: () => ({ ns: this.ns(), app: this.app(), version: this.version() }),
    load: ({ ns, app, version }, abort) => this.plane.chart(ns, app, version, abort),
    staleBy: (change, { app, version }) =>
      change.type === 'RESET' || (change.plural === 'helmcharts' && change.name === `${app}.${version}`),
  });
  /** Its object says where it is served. Old ones are cleared away; the chart itself stays. */
  private readonly served = liveQuery({
    params: () => ({ ns: this.ns(), name: this.name() }),
    load: ({ ns, name }, abort) =>
      this.plane.object<HelmChart>(ns, 'helmcharts', name, abort).then(
        ({ data }) => ({ url: data.status?.artifact?.url }),
        () => undefined,
      ),
    staleBy: (change, { name }) => change.type === 'RESET' || (change.plural === 'helmcharts' && change.name === name),
  });
  protected readonly hasObject = computed(() => this.served.value() !== undefined);
  protected readonly archive = computed(() => this.plane.chartArchive(this.ns(), this.app(), this.version()));
  protected readonly shelved = computed(() => (this.chart.value()?.files ?? []).map(shelved));
  protected readonly chosen = computed(() => {
    const files = this.chart.value()?.files ?? [];
    const asked = this.file();
    return asked === undefined
      ? (files.find(({ path }) => path === 'values.yaml') ?? files[0])
      : files.find(({ path }) => path === asked);
  });
  protected readonly commands = computed(() =>
    chartCommands({
      ns: this.ns(),
      application: this.app(),
      version: this.version(),
      url: this.served.value()?.url,
    }),
  );
  protected readonly bytes = bytes;

  protected language(path: string): 'yaml' | 'text' {
    return /\.(ya?ml|tpl|json)$/.test(path) ? 'yaml' : 'text';
  }

  protected baseName(path: string): string {
    return path.split('/').at(-1) ?? path;
  }
}

function shelved({ path, size }: ChartFile): Shelved {
  const at = path.lastIndexOf('/') + 1;
  return { key: path, lead: path.slice(0, at), name: path.slice(at), note: bytes(size) };
}
