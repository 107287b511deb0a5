import { inspect, NoImage } from './archive';

/** A tar archive, as `tar --format=ustar` writes it. */
function tar(files: Record<string, string>): Blob {
  const blocks: BlobPart[] = [];
  for (const [name, text] of Object.entries(files)) {
    const header = new Uint8Array(512);
    const put = (at: number, value: string): void => header.set(new TextEncoder().encode(value), at);
    put(0, name);
    put(124, text.length.toString(8).padStart(11, '0') + '\0');
    put(257, 'ustar\0');
    blocks.push(header, text, new Uint8Array((512 - (text.length % 512)) % 512));
  }
  blocks.push(new Uint8Array(1024));
  return new Blob(blocks);
}

const CONFIG = JSON.stringify({
  config: { ExposedPorts: { '8080/tcp': {} }, User: '65532', Entrypoint: ['/web'], Cmd: ['-v'] },
});
const IMAGE = {
  ports: [{ number: 8080, protocol: 'TCP' }],
  user: '65532',
  entrypoint: ['/web'],
  cmd: ['-v'],
  volumes: [],
};

describe('inspect', () => {
  it('reads what docker save writes', async () => {
    const archive = tar({
      'blobs/sha256/abc': CONFIG,
      'manifest.json': JSON.stringify([{ Config: 'blobs/sha256/abc', RepoTags: ['shop/web:1.4.0'] }]),
    });
    expect(await inspect(archive)).toEqual({
      kind: 'docker',
      tag: 'shop/web:1.4.0',
      image: IMAGE,
    });
  });

  it('reads an OCI layout', async () => {
    const archive = tar({
      './index.json': JSON.stringify({
        manifests: [{ digest: 'sha256:m', annotations: { 'org.opencontainers.image.ref.name': 'web:2.0.0' } }],
      }),
      './blobs/sha256/m': JSON.stringify({ config: { digest: 'sha256:c' } }),
      './blobs/sha256/c': CONFIG,
    });
    expect(await inspect(archive)).toEqual({ kind: 'oci', tag: 'web:2.0.0', image: IMAGE });
  });

  it('reads an OCI layout of several platforms', async () => {
    const archive = tar({
      'index.json': JSON.stringify({ manifests: [{ digest: 'sha256:i' }] }),
      'blobs/sha256/i': JSON.stringify({ manifests: [{ digest: 'sha256:m' }, { digest: 'sha256:n' }] }),
      'blobs/sha256/m': JSON.stringify({ config: { digest: 'sha256:c' } }),
      'blobs/sha256/c': CONFIG,
    });
    expect((await inspect(archive)).image).toEqual(IMAGE);
  });

  it('leaves what is compressed to the plane', async () => {
    expect(await inspect(new Blob([new Uint8Array([0x1f, 0x8b, 8, 0])]))).toEqual({ kind: 'compressed' });
  });

  it('says what is wrong with what is no image', async () => {
    await expect(inspect(new Blob(['hello']))).rejects.toThrow(/no tar archive/);
    await expect(inspect(tar({ 'a.txt': 'x' }))).rejects.toThrow(/neither a manifest.json nor an index.json/);
    const whole = tar({ 'manifest.json': '[]', 'layer.tar': 'x'.repeat(4000) });
    await expect(inspect(whole.slice(0, 2048))).rejects.toThrow(NoImage);
    await expect(inspect(whole.slice(0, 2048))).rejects.toThrow(/cut off in the middle of layer.tar/);
  });
});
