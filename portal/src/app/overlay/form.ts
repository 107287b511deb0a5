import { EnvironmentOverlay, EnvironmentOverlaySpec, VersionPolicy } from '../api/types';
import { mappingFrom, toYaml } from '../objects/yaml';
import { onTop } from './merge';

export type VersionMode = 'newest' | 'range' | 'pin';

/** What of an overlay can be edited, as it stands in the fields. */
export interface OverlayForm {
  mode: VersionMode;
  range: string;
  prereleases: boolean;
  pin: string;
  targetNamespace: string;
  values: string;
  kustomize: string;
  suspend: boolean;
}

export function formOf(spec: EnvironmentOverlaySpec): OverlayForm {
  const { version } = spec;
  const text = (value?: Record<string, unknown>): string => (value && Object.keys(value).length ? toYaml(value) : '');
  return {
    mode: version?.pin ? 'pin' : version?.range ? 'range' : 'newest',
    range: version?.range ?? '',
    prereleases: version?.prereleases === 'Include',
    pin: version?.pin ?? '',
    targetNamespace: spec.targetNamespace ?? '',
    values: text(spec.values),
    kustomize: text(spec.kustomize),
    suspend: spec.suspend ?? false,
  };
}

/** What they have made of a form, with the edits of mine on top of it. */
export function formOnTop(before: OverlayForm, mine: OverlayForm, theirs: OverlayForm): OverlayForm {
  const policy = ({ mode, range, prereleases, pin }: OverlayForm): object => ({ mode, range, prereleases, pin });
  // How a version is chosen is one decision.
  const isChosen = JSON.stringify(policy(before)) !== JSON.stringify(policy(mine));
  const text = (field: 'values' | 'kustomize'): string => {
    if (before[field] === mine[field]) {
      return theirs[field];
    }
    try {
      const [was, is, there] = [before, mine, theirs].map((form) => mappingFrom(form[field]));
      const merged = onTop(was, is ?? {}, there ?? {}) as Record<string, unknown> | undefined;
      return merged && Object.keys(merged).length ? toYaml(merged) : '';
    } catch {
      // It is no YAML yet.
      return mine[field];
    }
  };
  return {
    ...theirs,
    ...(isChosen ? policy(mine) : {}),
    targetNamespace: before.targetNamespace === mine.targetNamespace ? theirs.targetNamespace : mine.targetNamespace,
    values: text('values'),
    kustomize: text('kustomize'),
    suspend: before.suspend === mine.suspend ? theirs.suspend : mine.suspend,
  };
}

function policyOf(form: OverlayForm): VersionPolicy | undefined {
  switch (form.mode) {
    case 'newest':
      return undefined;
    case 'pin':
      return { pin: form.pin };
    case 'range':
      return { range: form.range.trim(), prereleases: form.prereleases ? 'Include' : 'Exclude' };
  }
}

/** What is wrong with a form before it is worth asking the API server. */
export function mistakes(form: OverlayForm): Partial<Record<keyof OverlayForm, string>> {
  const found: Partial<Record<keyof OverlayForm, string>> = {};
  if (form.mode === 'pin' && !form.pin) {
    found.pin = 'Choose a version.';
  }
  if (form.mode === 'range' && !form.range.trim()) {
    found.range = 'Write a range, as in >=1.0.0 <2.0.0 or ~1.4.';
  }
  for (const field of ['values', 'kustomize'] as const) {
    try {
      mappingFrom(form[field]);
    } catch (error) {
      found[field] = `This is no YAML of names and values: ${(error as Error).message.split('\n')[0]}`;
    }
  }
  return found;
}

/** The overlay with what the form says. All that the form does not know of stays as it is. */
export function withForm(overlay: EnvironmentOverlay, form: OverlayForm): EnvironmentOverlay {
  const spec: EnvironmentOverlaySpec = { ...overlay.spec };
  const put = <K extends keyof EnvironmentOverlaySpec>(
    field: K,
    value: EnvironmentOverlaySpec[K] | undefined,
  ): void => {
    if (value === undefined) {
      delete spec[field];
    } else {
      spec[field] = value;
    }
  };
  put('version', policyOf(form));
  put('targetNamespace', form.targetNamespace.trim() || undefined);
  put('values', mappingFrom(form.values));
  put('kustomize', mappingFrom(form.kustomize));
  put('suspend', form.suspend || undefined);
  return { ...overlay, spec };
}
