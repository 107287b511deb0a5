import { inject, Injectable, signal } from '@angular/core';
import { Plane } from '../api/plane';
import { ChangedField, Problem } from '../api/problem';
import { EnvironmentOverlay } from '../api/types';
import { asWritten, toYaml } from '../objects/yaml';
import { DiffLine, lineDiff } from '../parts/line-diff';
import { mistakes, OverlayForm, withForm } from './form';

export type Outcome =
  | { type: 'preview'; lines: DiffLine[]; yaml: string }
  | { type: 'conflict'; changed: ChangedField[]; by?: string }
  | { type: 'problem'; problem: Problem };

/** One overlay while it is edited: rehearsed by the API server itself, and never written over what others changed. */
@Injectable()
export class Editing {
  private readonly plane = inject(Plane);
  private etag = '';

  readonly overlay = signal<EnvironmentOverlay | undefined>(undefined);

  async load(ns: string, name: string): Promise<EnvironmentOverlay> {
    const { data, etag } = await this.plane.object<EnvironmentOverlay>(ns, 'environmentoverlays', name);
    this.etag = etag ?? `"${data.metadata.resourceVersion}"`;
    this.overlay.set(data);
    return data;
  }

  /** What would become of it. */
  async rehearse(form: OverlayForm): Promise<Outcome | undefined> {
    return this.attempt(form, true);
  }

  /** Writes it. A preview is what is there then. */
  async apply(form: OverlayForm): Promise<Outcome | undefined> {
    return this.attempt(form, false);
  }

  private async attempt(form: OverlayForm, dryRun: boolean, again = true): Promise<Outcome | undefined> {
    const overlay = this.overlay();
    if (!overlay || Object.keys(mistakes(form)).length) {
      return undefined;
    }
    const { namespace = '', name } = overlay.metadata;
    try {
      const { data, etag } = await this.plane.replace(
        namespace,
        'environmentoverlays',
        withForm(overlay, form),
        this.etag,
        dryRun,
      );
      const [before, after] = [toYaml(asWritten(overlay)), toYaml(asWritten(data))];
      if (!dryRun) {
        this.overlay.set(data);
        this.etag = etag ?? `"${data.metadata.resourceVersion}"`;
      }
      return { type: 'preview', lines: lineDiff(before, after), yaml: after };
    } catch (error) {
      const problem = Problem.of(error);
      if (problem.status !== 412) {
        return { type: 'problem', problem };
      }
      const { data, etag } = await this.plane.object<EnvironmentOverlay>(namespace, 'environmentoverlays', name);
      if (again && etag && data.metadata.generation === overlay.metadata.generation) {
        // Nobody has changed what it asks for; labels and annotations may have, and are taken as they are now.
        this.overlay.set(data);
        this.etag = etag;
        return this.attempt(form, dryRun, false);
      }
      return {
        type: 'conflict',
        changed: problem.changed.filter(({ path }) => path.replace(/^[./]/, '').startsWith('spec')),
        by: data.metadata.annotations?.['orbit.k8or.io/changed-by'],
      };
    }
  }
}
