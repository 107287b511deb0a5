import { ImageConfig, ImageSettings, imageSettings } from './image-config';

/** What an archive says of its image, read from the archive itself before anything is sent. */
export interface Insight {
  /** `docker save`, an OCI layout, or compressed, which only the plane looks into. */
  kind: 'docker' | 'oci' | 'compressed';
  /** Its name with a tag, as in `shop/web:1.4.0`. */
  tag?: string;
  /** What it says of itself; left out where only the plane can tell. */
  image?: ImageSettings;
}

/** The file is nothing that the plane could take in. */
export class NoImage extends Error {}

const BLOCK = 512;
/** Headers that are read at most: an image has a few files for each layer. */
const MAX_ENTRIES = 5000;
/** The largest manifest or config that is read. */
const MAX_JSON = 4 << 20;

interface Entry {
  offset: number;
  size: number;
}

export async function inspect(file: Blob): Promise<Insight> {
  const head = new Uint8Array(await file.slice(0, BLOCK).arrayBuffer());
  if ((head[0] === 0x1f && head[1] === 0x8b) || (head[0] === 0x28 && head[1] === 0xb5 && head[2] === 0x2f)) {
    return { kind: 'compressed' };
  }
  if (head.length < BLOCK || ascii(head, 257, 5) !== 'ustar') {
    throw new NoImage(
      'This is no tar archive. An image is saved with docker save, or buildah push … docker-archive:FILE',
    );
  }
  const entries = await list(file);
  const json = async <T>(name: string): Promise<T | undefined> => {
    const entry = entries.get(name);
    if (!entry || entry.size > MAX_JSON) {
      return undefined;
    }
    return JSON.parse(await file.slice(entry.offset, entry.offset + entry.size).text()) as T;
  };
  const docker = await json<{ Config: string; RepoTags?: string[] }[]>('manifest.json');
  if (docker?.[0]) {
    const [{ Config, RepoTags }] = docker;
    return { kind: 'docker', tag: RepoTags?.[0], image: settings(await json(Config)) };
  }
  const index = await json<OciIndex>('index.json');
  if (index) {
    const [first] = index.manifests ?? [];
    const name =
      first?.annotations?.['io.containerd.image.name'] ?? first?.annotations?.['org.opencontainers.image.ref.name'];
    const read = (digest: string): Promise<OciManifest | undefined> => json<OciManifest>(blob(digest));
    const found = first && (await read(first.digest));
    // An image for several platforms: its settings are as good as always the same.
    const [platform] = found?.manifests ?? [];
    const manifest = platform ? await read(platform.digest) : found;
    const config = manifest?.config && (await json<ImageConfig>(blob(manifest.config.digest)));
    return { kind: 'oci', tag: name, image: settings(config) };
  }
  throw new NoImage(
    'This tar archive has neither a manifest.json nor an index.json: it is no image. Was it made with docker save?',
  );
}

interface OciIndex {
  manifests?: { digest: string; annotations?: Record<string, string> }[];
}

interface OciManifest {
  config?: { digest: string };
  manifests?: { digest: string }[];
}

function settings(config: ImageConfig | undefined): ImageSettings | undefined {
  return config && imageSettings(config);
}

function blob(digest: string): string {
  return `blobs/${digest.replace(':', '/')}`;
}

async function list(file: Blob): Promise<Map<string, Entry>> {
  const entries = new Map<string, Entry>();
  let offset = 0;
  for (let count = 0; count < MAX_ENTRIES && offset + BLOCK <= file.size; count++) {
    const header = new Uint8Array(await file.slice(offset, offset + BLOCK).arrayBuffer());
    if (header.every((byte) => byte === 0)) {
      return entries;
    }
    const size = parseInt(ascii(header, 124, 12).trim(), 8);
    if (Number.isNaN(size)) {
      throw new NoImage('This archive is damaged: save the image again.');
    }
    const prefix = ascii(header, 345, 155);
    const name = (prefix ? `${prefix}/` : '') + ascii(header, 0, 100);
    const start = offset + BLOCK;
    if (start + size > file.size) {
      throw new NoImage(`This archive is cut off in the middle of ${name}: was it still being written?`);
    }
    entries.set(name.replace(/^\.\//, ''), { offset: start, size });
    offset = start + Math.ceil(size / BLOCK) * BLOCK;
  }
  return entries;
}

function ascii(bytes: Uint8Array, from: number, length: number): string {
  const part = bytes.subarray(from, from + length);
  const end = part.indexOf(0);
  return new TextDecoder().decode(end < 0 ? part : part.subarray(0, end));
}
