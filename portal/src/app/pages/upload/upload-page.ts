import {
  afterNextRender,
  ChangeDetectionStrategy,
  Component,
  computed,
  effect,
  ElementRef,
  inject,
  Injector,
  input,
  signal,
  untracked,
} from '@angular/core';
import { FormsModule } from '@angular/forms';
import { MatAutocompleteModule } from '@angular/material/autocomplete';
import { MatButtonModule } from '@angular/material/button';
import { MatCheckboxModule } from '@angular/material/checkbox';
import { MatFormFieldModule } from '@angular/material/form-field';
import { MatInputModule } from '@angular/material/input';
import { RouterLink } from '@angular/router';
import { Plane } from '../../api/plane';
import { ImageUpload, ImageUploadSpec, Release } from '../../api/types';
import { liveQuery } from '../../live/query';
import { standing } from '../../objects/conditions';
import { inOrder } from '../../objects/environments';
import { toYaml } from '../../objects/yaml';
import { bytes } from '../../parts/bytes';
import { Icon } from '../../parts/icon';
import { ShowYaml } from '../../parts/yaml-dialog';
import { SessionStore } from '../../session/session-store';
import { Insight, inspect, NoImage } from '../../upload/archive';
import { uploadCommand } from '../../upload/command';
import { parseConfig } from '../../upload/config';
import { ImageSettings } from '../../upload/image-config';
import {
  APPLICATION,
  ENVIRONMENT,
  imageUpload,
  suggestApplication,
  suggestVersion,
  UploadRequest,
} from '../../upload/request';
import { mistakesIn } from '../../upload/request-mistakes';
import { TransferCard } from '../../upload/transfer-card';
import { Transfers } from '../../upload/transfers';
import { draftOf, EMPTY_WORKLOAD, WorkloadDraft, workloadOf } from '../../upload/workload';
import { mistakesOf } from '../../upload/workload-mistakes';
import { DropZone, Dropped } from './drop-zone';
import { WorkloadForm } from './workload-form';

/** Hands over an image: an archive, or the name of one in a registry. */
@Component({
  selector: 'orbit-upload-page',
  imports: [
    FormsModule,
    MatAutocompleteModule,
    MatButtonModule,
    MatCheckboxModule,
    MatFormFieldModule,
    MatInputModule,
    RouterLink,
    DropZone,
    Icon,
    TransferCard,
    WorkloadForm,
  ],
  templateUrl: './upload-page.html',
  styleUrl: './upload-page.scss',
  changeDetection: ChangeDetectionStrategy.OnPush,
})
export class UploadPage {
  readonly ns = input.required<string>();
  /** The application that somebody comes from. */
  readonly app = input<string>();

  private readonly plane = inject(Plane);
  private readonly session = inject(SessionStore);
  private readonly transfers = inject(Transfers);
  private readonly yaml = inject(ShowYaml);
  private readonly host = inject<ElementRef<HTMLElement>>(ElementRef);
  private readonly injector = inject(Injector);

  protected readonly list = computed(() => this.transfers.of(this.ns()));

  /** Whatever was sent by whom: without a card here, nothing else would tell of it. */
  private readonly uploads = liveQuery({
    params: () => this.ns(),
    load: (ns, abort) =>
      this.plane.objects<ImageUpload>(ns, 'imageuploads', { limit: 200 }, abort).then(
        ({ items }) => items,
        () => [],
      ),
    staleBy: (change) => change.type === 'RESET' || change.plural === 'imageuploads',
  });
  protected readonly refused = computed(() => {
    const shown = new Set(this.list().map((each) => each.record().request.application));
    return (this.uploads.value() ?? [])
      .filter((each) => standing(each).tone === 'bad' && !shown.has(each.spec.application))
      .map((each) => ({ name: each.metadata.name, version: each.spec.version, why: standing(each).message }));
  });

  protected readonly dropped = signal<Dropped | undefined>(undefined);
  protected readonly insight = signal<Insight | undefined>(undefined);
  protected readonly noImage = signal('');
  protected readonly reference = signal('');
  protected readonly application = signal('');
  protected readonly version = signal('');
  protected readonly environments = signal<string[]>([]);
  protected readonly environmentText = signal('');
  protected readonly configText = signal('');
  protected readonly noSecrets = signal(false);
  protected readonly workload = signal(EMPTY_WORKLOAD);
  protected readonly owner = signal('');
  /** Whether it was tried to start: from then on it is said what is missing. */
  protected readonly tried = signal(false);
  private versionIsOurs = true;

  /** What is known here: for suggestions only, so that nothing is lost where it cannot be had. */
  protected readonly known = liveQuery({
    params: () => ({ ns: this.ns(), search: this.application() }),
    load: async ({ ns, search }, abort) => {
      const page = await this.plane.applications(ns, { search, limit: 20 }, abort).catch(() => ({ items: [] }));
      return {
        applications: page.items.map((each) => each.application),
        environments: page.items.flatMap((each) => each.environments.map(({ environment }) => environment)),
      };
    },
  });
  /** What is stored of the application, and what was asked for last: a new version mostly differs in its image only. */
  private readonly stored = liveQuery({
    params: () => (APPLICATION.test(this.application()) ? { ns: this.ns(), app: this.application() } : undefined),
    load: async ({ ns, app }, abort) => {
      const [releases, last] = await Promise.all([
        this.plane.lifecycle(ns, app, { limit: 1 }, abort).then(
          (lifecycle) => lifecycle.releases,
          () => [],
        ),
        this.plane.object<ImageUpload>(ns, 'imageuploads', app, abort).then(
          // What the plane has refused is no example.
          ({ data }) => (data.status?.release?.version === data.spec.version ? data.spec : undefined),
          () => undefined,
        ),
      ]);
      return { app, releases, last };
    },
  });
  private filledFor = '';
  /** What stands in the form because it was so before, of an application: with another one it is not meant. */
  private filled?: { environments: string[]; config: string; workload: WorkloadDraft };
  /** The application that it was taken over from. */
  protected readonly takenFrom = signal('');

  protected readonly choices = computed(() =>
    inOrder(['dev', 'prod', ...(this.known.value()?.environments ?? []), ...this.environments()]),
  );
  protected readonly config = computed(() => parseConfig(this.configText()));
  protected readonly mistakes = computed(() =>
    mistakesIn({
      hasSource: Boolean(this.dropped() || this.reference().trim()),
      noImage: this.noImage(),
      application: this.application(),
      version: this.version().trim(),
      stored: this.stored.value()?.releases ?? [],
      environment: this.environmentText(),
      config: this.config(),
      noSecrets: this.noSecrets(),
      workload: mistakesOf(this.workload(), this.insight()?.image),
    }),
  );
  protected readonly isReady = computed(() => Object.values(this.mistakes()).every((mistake) => !mistake));
  protected readonly bytes = bytes;

  protected portsOf(image: ImageSettings): string {
    return image.ports.map(({ number, protocol }) => `${number}/${protocol.toLowerCase()}`).join(', ');
  }

  constructor() {
    effect(() => {
      const app = this.app();
      if (app) {
        untracked(() => this.application.set(app));
      }
    });
    effect(() => {
      const user = this.session.session()?.user.name ?? '';
      // Service accounts answer for nothing; a person does.
      untracked(() => this.owner.set(user.startsWith('system:') ? '' : user));
    });
    effect(() => {
      const stored = this.stored.value();
      if (stored) {
        untracked(() => this.fill(stored));
      }
    });
  }

  protected async take(dropped: Dropped): Promise<void> {
    this.dropped.set(dropped);
    this.reference.set('');
    this.insight.set(undefined);
    this.noImage.set('');
    try {
      const insight = await inspect(dropped.file);
      if (this.dropped() !== dropped) {
        return;
      }
      this.insight.set(insight);
      this.suggest(insight.tag, dropped.file.name);
    } catch (error) {
      if (this.dropped() === dropped) {
        this.noImage.set(
          error instanceof NoImage ? error.message : 'This file cannot be read as an archive of an image.',
        );
      }
    }
  }

  protected refer(reference: string): void {
    this.reference.set(reference);
    if (reference.trim()) {
      this.forgetFile();
      this.suggest(reference.trim());
    }
  }

  protected forgetFile(): void {
    this.dropped.set(undefined);
    this.insight.set(undefined);
    this.noImage.set('');
  }

  protected writeVersion(version: string): void {
    this.versionIsOurs = false;
    this.version.set(version);
  }

  protected toggle(environment: string): void {
    this.environments.update((chosen) =>
      chosen.includes(environment) ? chosen.filter((each) => each !== environment) : inOrder([...chosen, environment]),
    );
  }

  protected addEnvironment(event?: Event): void {
    event?.preventDefault();
    const environment = this.environmentText().trim();
    if (ENVIRONMENT.test(environment)) {
      this.environments.update((chosen) => inOrder([...chosen, environment]));
      this.environmentText.set('');
    }
  }

  protected start(): void {
    this.addEnvironment();
    this.tried.set(true);
    if (!this.isReady()) {
      this.showMistake();
      return;
    }
    const [request, dropped] = [this.request(), this.dropped()];
    if (dropped) {
      this.transfers.sendArchive(request, dropped.file, dropped.handle);
    } else {
      this.transfers.sendReference(request, this.reference().trim());
    }
    this.clear();
  }

  protected showYaml(): void {
    const request = this.request();
    const dropped = this.dropped();
    const source = dropped
      ? { archive: { sha256: 'sha256:<computed when it starts>', size: dropped.file.size } }
      : { reference: { image: this.reference().trim() || '<none chosen yet>' } };
    const { command, beyond } = uploadCommand(request, dropped?.file.name ?? (this.reference().trim() || 'FILE'));
    const without = beyond.length ? ` but for ${beyond.join(', ')}, which it has no flags for` : '';
    this.yaml.open({
      title: 'What is applied',
      text: `The button writes this object; an archive’s bytes follow it to status.upload.url. The command does the same${without}.`,
      command,
      yaml: toYaml(imageUpload(request, source, undefined)),
      file: `${request.application || 'upload'}.yaml`,
    });
  }

  /** Leads to what is wrong first. */
  private showMistake(): void {
    afterNextRender(
      () => {
        const mistake = this.host.nativeElement.querySelector('.mistake, mat-error');
        const field = mistake?.closest('mat-form-field, fieldset, section')?.querySelector('input, textarea, button');
        if (field instanceof HTMLElement) {
          field.focus();
        }
      },
      { injector: this.injector },
    );
  }

  /** What is there to begin with, where nothing has been written yet. */
  private fill({ app, releases, last }: { app: string; releases: Release[]; last?: ImageUploadSpec }): void {
    if (this.versionIsOurs) {
      const versions = releases.map((each) => each.version);
      const names = [this.insight()?.tag, this.dropped()?.file.name, this.reference().split(':').at(-1)];
      this.version.set(suggestVersion(versions, ...names));
    }
    if (this.filledFor === app) {
      return;
    }
    this.filledFor = app;
    const before = this.filled;
    const filled = {
      environments: last?.environments ?? releases[0]?.environments ?? [],
      config: Object.entries(last?.config ?? {})
        .map(([key, value]) => `${key}=${value}`)
        .join('\n'),
      workload: last?.workload ? draftOf(last.workload) : EMPTY_WORKLOAD,
    };
    // Nothing is written over but what was filled in here.
    if (!this.environments().length || this.environments() === before?.environments) {
      this.environments.set(filled.environments);
    }
    if (!this.configText() || this.configText() === before?.config) {
      this.configText.set(filled.config);
    }
    if (this.workload() === EMPTY_WORKLOAD || this.workload() === before?.workload) {
      this.workload.set(filled.workload);
    }
    this.filled = filled;
    this.takenFrom.set(filled.environments.length || filled.config || last?.workload ? app : '');
  }

  private request(): UploadRequest {
    return {
      ns: this.ns(),
      application: this.application(),
      version: this.version().trim(),
      environments: this.environments(),
      config: this.config().config,
      noSecrets: this.config().warnings.length > 0 && this.noSecrets(),
      workload: workloadOf(this.workload(), this.insight()?.image),
      owner: this.owner().trim() || undefined,
    };
  }

  private suggest(...names: (string | undefined)[]): void {
    if (!this.application()) {
      this.application.set(suggestApplication(...names));
    }
    if (this.versionIsOurs) {
      const stored = (this.stored.value()?.releases ?? []).map((each) => each.version);
      this.version.set(suggestVersion(stored, ...names.map((name) => name?.split('/').at(-1))));
    }
  }

  private clear(): void {
    this.forgetFile();
    this.reference.set('');
    this.application.set('');
    this.version.set('');
    this.configText.set('');
    this.workload.set(EMPTY_WORKLOAD);
    this.environments.set([]);
    this.filledFor = '';
    this.filled = undefined;
    this.takenFrom.set('');
    this.noSecrets.set(false);
    this.tried.set(false);
    this.versionIsOurs = true;
  }
}
