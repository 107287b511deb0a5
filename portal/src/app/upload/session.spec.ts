import { send, SendFailure, Sending, SessionPort, TryAgain } from './session';

/** A plane that keeps what it is sent, and loses connections when told to. */
class FakePlane implements SessionPort {
  bytes = '';
  finished = false;
  asked = 0;
  trouble: (() => void)[] = [];

  async offset(): Promise<number> {
    this.asked++;
    return this.bytes.length;
  }

  async append(at: number, bytes: Blob, sent: (bytes: number) => void): Promise<number> {
    if (at !== this.bytes.length) {
      throw new TryAgain('elsewhere');
    }
    const text = await bytes.text();
    sent(1);
    this.trouble.shift()?.();
    this.bytes += text;
    return this.bytes.length;
  }

  async finish(): Promise<void> {
    this.finished = true;
  }

  async cancel(): Promise<void> {
    this.bytes = '';
  }
}

function sending(port: SessionPort, part: Partial<Sending> = {}): Sending {
  return {
    file: new Blob(['0123456789']),
    sha256: 'sha256:x',
    port,
    progress: () => undefined,
    trouble: () => undefined,
    abort: new AbortController().signal,
    chunk: 4,
    pause: async () => undefined,
    ...part,
  };
}

describe('send', () => {
  it('sends all in chunks and has it verified', async () => {
    const plane = new FakePlane();
    const seen: number[] = [];
    await send(sending(plane, { progress: (sent) => seen.push(sent) }));
    expect(plane.bytes).toBe('0123456789');
    expect(plane.finished).toBe(true);
    expect(seen).toEqual([0, 1, 4, 5, 8, 9, 10]);
  });

  it('goes on from where the plane stands', async () => {
    const plane = new FakePlane();
    plane.bytes = '012345';
    await send(sending(plane));
    expect(plane.bytes).toBe('0123456789');
  });

  it('asks again after a lost connection and after a lost answer, and sends nothing twice', async () => {
    const plane = new FakePlane();
    const lost = (): void => {
      throw new TryAgain('The connection was lost');
    };
    const answerLost = (): void => {
      plane.bytes += '4567';
      throw new TryAgain('The connection was lost');
    };
    plane.trouble = [() => undefined, lost, answerLost];
    const said: (string | undefined)[] = [];
    await send(sending(plane, { trouble: (text) => said.push(text) }));
    expect(plane.bytes).toBe('0123456789');
    expect(plane.asked).toBe(3);
    expect(said.filter(Boolean)).toEqual(Array(2).fill('The connection was lost. Trying again.'));
    expect(said.at(-1)).toBeUndefined();
  });

  it('waits longer each time nothing gets through', async () => {
    const plane = new FakePlane();
    let failures = 4;
    const pauses: number[] = [];
    plane.offset = async () => {
      if (failures-- > 0) {
        throw new TryAgain('no answer');
      }
      return 0;
    };
    await send(sending(plane, { pause: async (pause) => void pauses.push(pause) }));
    expect(pauses).toEqual([250, 500, 1000, 2000]);
  });

  it('stops at a refusal', async () => {
    const plane = new FakePlane();
    plane.trouble = [
      () => {
        throw new SendFailure('key', 'taken over');
      },
    ];
    await expect(send(sending(plane))).rejects.toMatchObject({ kind: 'key' });
    expect(plane.finished).toBe(false);
  });

  it('stops where it is paused, and keeps what has arrived', async () => {
    const plane = new FakePlane();
    const abort = new AbortController();
    plane.trouble = [() => abort.abort()];
    await expect(send(sending(plane, { abort: abort.signal }))).rejects.toThrow();
    expect(plane.bytes).toBe('0123');
    await send(sending(plane));
    expect(plane.bytes).toBe('0123456789');
  });
});
