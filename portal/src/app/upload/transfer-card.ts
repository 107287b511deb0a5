import { ChangeDetectionStrategy, Component, computed, inject, input } from '@angular/core';
import { MatButtonModule } from '@angular/material/button';
import { MatProgressBarModule } from '@angular/material/progress-bar';
import { RouterLink } from '@angular/router';
import { Plane } from '../api/plane';
import { advice, Problem } from '../api/problem';
import { Delivery, EnvironmentOverlay, HelmChart, ImageUpload } from '../api/types';
import { liveQuery } from '../live/query';
import { bytes, span } from '../parts/bytes';
import { Icon } from '../parts/icon';
import { Plural } from '../api/types';
import { sourceOf, stepsOf, Traces } from './steps';
import { Transfer } from './transfer';
import { Transfers } from './transfers';

/** One upload: how far it is, what can be done about it, and then how the version makes its way. */
@Component({
  selector: 'orbit-transfer',
  imports: [RouterLink, MatButtonModule, MatProgressBarModule, Icon],
  templateUrl: './transfer-card.html',
  styleUrl: './transfer-card.scss',
  changeDetection: ChangeDetectionStrategy.OnPush,
})
export class TransferCard {
  readonly transfer = input.required<Transfer>();

  private readonly plane = inject(Plane);
  protected readonly transfers = inject(Transfers);

  protected readonly request = computed(() => this.transfer().record().request);
  protected readonly traces = liveQuery({
    params: () => (this.transfer().phase() === 'sent' ? this.request() : undefined),
    load: ({ ns, application, version }, abort) => this.tracesOf(ns, application, version, abort),
    staleBy: (change, { application }) =>
      change.type === 'RESET' || change.object?.spec?.['application'] === application,
  });
  protected readonly steps = computed(() => {
    const { version, environments } = this.request();
    const traces = this.traces.value();
    return traces ? stepsOf(version, environments, traces, sourceOf(this.transfer().record())) : [];
  });
  /** From then on there is a history; before, only the object says how it is. */
  protected readonly isStored = computed(() => this.steps()[0]?.tone === 'good');
  protected readonly percent = computed(() => {
    const size = this.transfer().size();
    return size ? Math.min(100, (100 * this.transfer().done()) / size) : 0;
  });
  protected readonly says = computed(() => {
    const transfer = this.transfer();
    switch (transfer.phase()) {
      case 'hashing':
        return 'Computing its digest';
      case 'asking':
        return 'Telling the plane';
      case 'waiting':
        return 'Waiting for the plane to open a session';
      case 'sending':
        return 'Sending';
      case 'verifying':
        return 'All bytes have arrived, the plane verifies them';
      case 'elsewhere':
        return 'Another tab of this browser sends it';
      case 'paused':
        return 'Paused';
      case 'needsFile':
        return 'Choose the file again to go on';
      case 'failed':
        return 'Stopped';
      case 'sent':
        return '';
    }
  });
  protected readonly moving = computed(() => {
    const phase = this.transfer().phase();
    return phase === 'hashing' || phase === 'sending' || phase === 'paused' || phase === 'verifying';
  });

  protected readonly advice = advice;
  protected readonly bytes = bytes;
  protected readonly span = span;

  /** Goes on; where the page was loaded again meanwhile, with the file that is chosen then. */
  protected async resume(picker: HTMLInputElement): Promise<void> {
    await this.transfers.resume(this.transfer());
    if (this.transfer().phase() === 'needsFile') {
      picker.click();
    }
  }

  protected picked(event: Event): void {
    const picker = event.target as HTMLInputElement;
    const file = picker.files?.[0];
    if (file) {
      void this.transfers.continueWith(this.transfer(), file);
    }
    picker.value = '';
  }

  private async tracesOf(ns: string, application: string, version: string, abort: AbortSignal): Promise<Traces> {
    const labelSelector = `orbit.k8or.io/application=${application}`;
    const one = async <O extends ImageUpload | HelmChart | EnvironmentOverlay>(
      plural: Plural,
      name: string,
    ): Promise<O | undefined> => {
      try {
        return (await this.plane.object<O>(ns, plural, name, abort)).data;
      } catch (error) {
        if (Problem.of(error).status === 404) {
          return undefined;
        }
        throw error;
      }
    };
    const [upload, chart, overlays, deliveries] = await Promise.all([
      one<ImageUpload>('imageuploads', application),
      one<HelmChart>('helmcharts', `${application}.${version}`),
      Promise.all(
        this.request().environments.map((each) =>
          one<EnvironmentOverlay>('environmentoverlays', `${application}.${each}`),
        ),
      ),
      this.plane.objects<Delivery>(ns, 'deliveries', { labelSelector, limit: 200 }, abort),
    ]);
    return { upload, chart, overlays: overlays.filter((each) => each !== undefined), deliveries: deliveries.items };
  }
}
