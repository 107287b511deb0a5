import { Delivery, EnvironmentOverlay, HelmChart, ImageUpload } from '../api/types';
import { condition, standing, Tone } from '../objects/conditions';

export interface Step {
  name: 'Stored' | 'Charted' | 'Rendered' | 'Running';
  tone: Tone;
  text: string;
}

/** The objects that a release shows in. */
export interface Traces {
  upload?: ImageUpload;
  chart?: HelmChart;
  overlays: EnvironmentOverlay[];
  deliveries: Delivery[];
}

/** How far a version has come: stored, charted, rendered, running. */
export function stepsOf(version: string, environments: string[], traces: Traces, source?: string): Step[] {
  const stored = storedStep(version, traces.upload, source);
  const charted = stored.tone === 'good' ? chartedStep(traces.chart) : later('Charted');
  const rendered = charted.tone === 'good' ? renderedStep(version, environments, traces.overlays) : later('Rendered');
  const running = rendered.tone === 'good' ? runningStep(version, traces) : later('Running');
  return [stored, charted, rendered, running];
}

/** Whether nothing more is to be expected. */
export function isOver(steps: Step[]): boolean {
  return steps.every(({ tone }) => tone === 'good') || steps.some(({ tone }) => tone === 'bad');
}

function later(name: Step['name']): Step {
  return { name, tone: 'idle', text: '' };
}

/** What tells the image of one upload from that of another: an archive's digest, or a reference. */
export function sourceOf({ sha256, reference }: { sha256?: string; reference?: string }): string | undefined {
  return sha256 ?? reference;
}

function storedStep(version: string, upload: ImageUpload | undefined, source?: string): Step {
  const name = 'Stored';
  if (!upload) {
    return { name, tone: 'busy', text: 'Waiting for the plane' };
  }
  if (upload.spec.version !== version) {
    return { name, tone: 'idle', text: `Version ${upload.spec.version} has taken its place` };
  }
  const { archive, reference } = upload.spec.images[0]?.source ?? {};
  const now = sourceOf({ sha256: archive?.sha256, reference: reference?.image });
  if (source && now && now !== source) {
    return { name, tone: 'idle', text: 'Another upload of this version has taken its place' };
  }
  const stand = standing(upload);
  if (upload.status?.release?.version === version) {
    const size = upload.status.images?.[0]?.platforms.join(', ') ?? '';
    return { name, tone: 'good', text: size };
  }
  return stand.tone === 'bad'
    ? { name, tone: 'bad', text: stand.message }
    : { name, tone: 'busy', text: stand.message };
}

function chartedStep(chart: HelmChart | undefined): Step {
  const name = 'Charted';
  if (chart?.status?.artifact) {
    return { name, tone: 'good', text: chart.metadata.name };
  }
  const stand = chart && standing(chart);
  return { name, tone: stand?.tone === 'bad' ? 'bad' : 'busy', text: stand?.message ?? 'Making the chart' };
}

function renderedStep(version: string, environments: string[], overlays: EnvironmentOverlay[]): Step {
  const name = 'Rendered';
  if (!environments.length) {
    return { name, tone: 'idle', text: 'It is for no environment.' };
  }
  const own = environments.map((environment) => ({
    environment,
    overlay: overlays.find((each) => each.spec.environment === environment),
  }));
  const failed = own.find(({ overlay }) => overlay && standing(overlay).tone === 'bad');
  if (failed?.overlay) {
    return { name, tone: 'bad', text: `${failed.environment}: ${standing(failed.overlay).message}` };
  }
  const done = own.filter(({ overlay }) => overlay?.status?.selected?.version === version && isRendered(overlay));
  const elsewhere = own.filter(({ overlay }) => overlay && staysElsewhere(overlay, version));
  if (done.length && done.length + elsewhere.length === own.length) {
    const kept = elsewhere.map(
      ({ environment, overlay }) => `${environment} stays at ${overlay?.status?.selected?.version}`,
    );
    return { name, tone: 'good', text: [`for ${done.map((each) => each.environment).join(', ')}`, ...kept].join('; ') };
  }
  if (elsewhere.length === own.length) {
    return { name, tone: 'idle', text: 'Its environments are held at other versions by their overlays.' };
  }
  return { name, tone: 'busy', text: `${done.length} of ${own.length} environments` };
}

function isRendered(overlay: EnvironmentOverlay): boolean {
  return overlay.status?.artifact !== undefined && condition(overlay, 'Reconciling')?.status !== 'True';
}

/** Whether its own spec keeps an environment at another version. */
function staysElsewhere(overlay: EnvironmentOverlay, version: string): boolean {
  const selected = overlay.status?.selected;
  const isHeld = overlay.spec.version !== undefined || overlay.spec.suspend === true;
  return (
    isHeld && selected !== undefined && selected.version !== version && condition(overlay, 'Ready')?.status === 'True'
  );
}

function runningStep(version: string, { deliveries }: Traces): Step {
  const name = 'Running';
  const own = deliveries.filter((each) => each.spec.version === version);
  if (!own.length) {
    return { name, tone: 'idle', text: 'No cluster is for its environments yet.' };
  }
  const failed = own.find((each) => standing(each).tone === 'bad' && condition(each, 'Stalled')?.status === 'True');
  if (failed) {
    return { name, tone: 'bad', text: `${failed.spec.cluster.name}: ${standing(failed).message}` };
  }
  const healthy = own.filter(
    (each) => each.status?.applied?.version === version && condition(each, 'Healthy')?.status === 'True',
  );
  const where = own.map((each) => `${each.spec.environment} in ${each.spec.cluster.name}`);
  if (healthy.length === own.length) {
    return { name, tone: 'good', text: where.join(', ') };
  }
  const waiting = own.find((each) => !healthy.includes(each));
  const said = waiting && (condition(waiting, 'Healthy') ?? condition(waiting, 'Ready'))?.message;
  return { name, tone: 'busy', text: `${healthy.length} of ${own.length} clusters${said ? `: ${said}` : ''}` };
}
