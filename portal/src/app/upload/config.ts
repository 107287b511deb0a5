export interface ConfigText {
  config: Record<string, string>;
  mistakes: string[];
  /** Keys whose values look like secrets, and why. */
  warnings: { key: string; why: string }[];
}

/** Reads `KEY=VALUE`, one a line; `#` begins a comment. */
export function parseConfig(text: string): ConfigText {
  const config: Record<string, string> = {};
  const mistakes: string[] = [];
  text.split(/\r?\n/).forEach((line, index) => {
    if (!line.trim() || line.trimStart().startsWith('#')) {
      return;
    }
    const at = line.indexOf('=');
    const key = line.slice(0, at);
    if (at < 1 || /\s/.test(key)) {
      // The line is not repeated: it may be a secret that somebody put in the wrong place.
      mistakes.push(`Line ${index + 1}: KEY=VALUE is expected.`);
    } else if (key in config) {
      mistakes.push(`Line ${index + 1}: ${key} is given twice.`);
    } else {
      config[key] = line.slice(at + 1);
    }
  });
  const warnings = Object.entries(config).flatMap(([key, value]) => {
    const why = looksSecret(key, value);
    return why ? [{ key, why }] : [];
  });
  return { config, mistakes, warnings };
}

const SECRET_NAME =
  /(password|passwd|passphrase|secret|token|(api|access|secret|private|auth|encryption|signing|master)[_.-]?key|(^|[_.-])(pwd|pass|credentials?))([_.-](prod|production|dev|staging|test|old|new|base64|b64|value))?$/i;
/** Names of secrets by which a file or a Secret is meant, not the secret itself. */
const HARMLESS_VALUE = /^(|true|false|\d{1,5}|\/.*|\$\{.*\})$/;
const SECRET_VALUE: [RegExp, string][] = [
  [/-----BEGIN [A-Z ]*PRIVATE KEY-----/, 'it is a private key'],
  [/^[a-z][a-z0-9+.-]*:\/\/[^/\s:@]+:[^/\s@]+@/i, 'it is an address with a password in it'],
  [/^eyJ[\w-]{8,}\.[\w-]{8,}\.[\w-]*$/, 'it is a JSON Web Token'],
  [/^(AKIA|ASIA)[0-9A-Z]{16}$/, 'it is an AWS access key'],
  [/^gh[pousr]_[A-Za-z0-9]{20,}$/, 'it is a GitHub token'],
];

/** A warning before anything is sent. The plane looks closer, and refuses what it finds. */
export function looksSecret(key: string, value: string): string | undefined {
  const shape = SECRET_VALUE.find(([pattern]) => pattern.test(value));
  if (shape) {
    return shape[1];
  }
  return SECRET_NAME.test(key) && !HARMLESS_VALUE.test(value) ? 'its name says that it is a secret' : undefined;
}
