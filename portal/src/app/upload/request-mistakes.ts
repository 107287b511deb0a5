import { Release } from '../api/types';
import { ConfigText } from './config';
import { APPLICATION, ENVIRONMENT, VERSION } from './request';
import { isRight, WorkloadMistakes } from './workload-mistakes';

/** What a person has written so far. */
export interface Written {
  /** Whether there is a file or a reference. */
  hasSource: boolean;
  /** Why the file is no image. */
  noImage: string;
  application: string;
  version: string;
  /** Releases of the application that are stored. */
  stored: Release[];
  /** Of the environment that is being written. */
  environment: string;
  config: ConfigText;
  /** That what looks like a secret is none. */
  noSecrets: boolean;
  workload: WorkloadMistakes;
}

export type RequestMistakes = Record<
  'source' | 'application' | 'version' | 'environment' | 'config' | 'workload',
  string
>;

/** What is wrong, in words, before anything is sent; nothing for what is right. The plane refuses the same. */
export function mistakesIn(written: Written): RequestMistakes {
  const { config } = written;
  return {
    source: written.hasSource ? written.noImage : 'Drop an archive, or paste a reference.',
    application: APPLICATION.test(written.application)
      ? ''
      : 'Lower-case letters, digits and hyphens, up to 40, beginning with a letter.',
    version: versionMistake(written.version, written.stored),
    environment:
      !written.environment || ENVIRONMENT.test(written.environment)
        ? ''
        : 'One name at a time: lower-case letters, digits and hyphens, up to 20.',
    config:
      config.mistakes.join(' ') ||
      (config.warnings.length && !written.noSecrets ? 'Take out what is secret, or say that it is none.' : ''),
    workload: isRight(written.workload) ? '' : 'The workload needs a look.',
  };
}

function versionMistake(version: string, stored: Release[]): string {
  if (!VERSION.test(version) || version.length > 64) {
    return 'Three numbers, as in 1.4.0 or 1.4.0-rc.1: no v before them, no capitals, no + behind them.';
  }
  const taken = stored.find((release) => release.version === version);
  if (!taken) {
    return '';
  }
  return taken.purgedAt
    ? 'The data of this version was given up, and a version is never used twice: take another one.'
    : 'This version is stored already. Other content needs another version.';
}
