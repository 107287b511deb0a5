/** A new upload key: 32 random bytes, as `orbit upload` makes them. */
export function newKey(): string {
  return base64url(crypto.getRandomValues(new Uint8Array(32)));
}

/** What the object says of a key. */
export async function hashOfKey(key: string): Promise<string> {
  const digest = await crypto.subtle.digest('SHA-256', new TextEncoder().encode(key));
  return `sha256:${[...new Uint8Array(digest)].map((byte) => byte.toString(16).padStart(2, '0')).join('')}`;
}

function base64url(bytes: Uint8Array): string {
  return btoa(String.fromCharCode(...bytes))
    .replaceAll('+', '-')
    .replaceAll('/', '_')
    .replace(/=+$/, '');
}
