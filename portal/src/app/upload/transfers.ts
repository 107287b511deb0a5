import { effect, inject, Injectable, InjectionToken, signal, untracked } from '@angular/core';
import { Http } from '../api/http';
import { Problem } from '../api/problem';
import { SessionStore } from '../session/session-store';
import { alone } from './alone';
import { Announcement } from './announcement';
import { FileHandle, fileOf, findHandle, forgetHandle, keepHandle } from './handles';
import { Hasher, hashInWorker } from './hash';
import { newKey } from './key';
import { forgetRecord, keepRecord, readRecords, TransferRecord } from './record';
import { UploadRequest } from './request';
import { send, SendFailure } from './session';
import { HttpSession, sessionPath } from './session-http';
import { Transfer } from './transfer';

export const HASHER = new InjectionToken<Hasher>('hasher', { factory: () => hashInWorker });

/** All uploads of this browser: several at once, paused, taken up after a reload, given up. */
@Injectable({ providedIn: 'root' })
export class Transfers {
  private readonly announcement = inject(Announcement);
  private readonly http = inject(Http);
  private readonly session = inject(SessionStore);
  private readonly hash = inject(HASHER);

  readonly all = signal<Transfer[]>([]);
  private readFor?: string;

  constructor() {
    effect(() => {
      const user = this.session.session()?.user.name;
      if (user && user !== this.readFor) {
        this.readFor = user;
        untracked(() => this.takeUp(user));
      }
    });
    // A person about to close the page is told what that would stop.
    addEventListener('beforeunload', (event) => {
      if (this.all().some((each) => each.phase() === 'sending' || each.phase() === 'hashing')) {
        event.preventDefault();
      }
    });
  }

  of(ns: string): Transfer[] {
    return this.all().filter((each) => each.record().request.ns === ns);
  }

  active(ns: string): Transfer[] {
    return this.of(ns).filter((each) => each.isActive());
  }

  /** Uploads an archive. */
  sendArchive(request: UploadRequest, file: File, handle?: FileHandle): Transfer {
    const transfer = this.add({
      ...this.newRecord(request),
      file: { name: file.name, size: file.size, lastModified: file.lastModified },
      key: newKey(),
    });
    transfer.file = file;
    if (handle) {
      void keepHandle(transfer.record().id, handle);
    }
    void this.run(transfer);
    return transfer;
  }

  /** Has the plane fetch an image itself. */
  sendReference(request: UploadRequest, reference: string): Transfer {
    const transfer = this.add({ ...this.newRecord(request), reference });
    void this.run(transfer);
    return transfer;
  }

  pause(transfer: Transfer): void {
    transfer.abort?.abort();
    transfer.trouble.set(undefined);
    this.note(transfer, { paused: true });
    transfer.phase.set('paused');
  }

  /** Goes on, with the file that is at hand or can be had by its handle. */
  async resume(transfer: Transfer, asking = true): Promise<void> {
    this.note(transfer, { paused: false });
    if (!transfer.file && transfer.record().file) {
      const handle = await findHandle(transfer.record().id);
      const file = handle && (await fileOf(handle, asking));
      if (!file) {
        transfer.phase.set('needsFile');
        return;
      }
      await this.continueWith(transfer, file);
      return;
    }
    await this.run(transfer);
  }

  /** Goes on with a file that a person has picked again, if it is the same. */
  async continueWith(transfer: Transfer, file: File): Promise<void> {
    const was = transfer.record().file;
    if (was && file.size !== was.size) {
      transfer.problem.set(
        new Problem(0, 'That is another file', `${was.name} had ${was.size} bytes, ${file.name} has ${file.size}.`),
      );
      transfer.phase.set('needsFile');
      return;
    }
    // Of another date it may still be the same. Its digest says so; the one before is kept to compare with.
    this.note(transfer, { paused: false });
    const isKnown = was !== undefined && was.name === file.name && was.lastModified === file.lastModified;
    transfer.file = file;
    await this.run(transfer, !isKnown);
  }

  /** Gives up: what has arrived is dropped, the object stays as a record of what was meant. */
  async cancel(transfer: Transfer): Promise<void> {
    transfer.abort?.abort();
    const { sent, key } = transfer.record();
    const url =
      transfer.sessionUrl ?? (sent ? undefined : await this.announcement.sessionOf(transfer).catch(() => undefined));
    if (!sent && key && url) {
      await new HttpSession(sessionPath(url), { key, csrf: this.http.csrfToken }).cancel().catch(() => undefined);
    }
    this.dismiss(transfer);
  }

  /** Takes it off the list. What the plane has stays. */
  dismiss(transfer: Transfer): void {
    const { id } = transfer.record();
    this.all.update((all) => all.filter((each) => each !== transfer));
    forgetRecord(id);
    void forgetHandle(id);
  }

  private newRecord(request: UploadRequest): TransferRecord {
    return {
      id: crypto.randomUUID(),
      user: this.session.session()?.user.name ?? '',
      startedAt: new Date().toISOString(),
      request,
      sent: false,
    };
  }

  private add(record: TransferRecord): Transfer {
    const transfer = new Transfer(record);
    this.all.update((all) => [transfer, ...all]);
    keepRecord(record);
    return transfer;
  }

  private note(transfer: Transfer, part: Partial<TransferRecord>): void {
    // Another tab may know more of it, or have taken it off the list.
    const known = readRecords(transfer.record().user).find(({ id }) => id === transfer.record().id);
    transfer.record.update((record) => ({ ...record, ...known, ...part }));
    if (known) {
      keepRecord(transfer.record());
    }
  }

  private takeUp(user: string): void {
    this.all().forEach((each) => each.abort?.abort());
    const transfers = readRecords(user)
      .sort((a, b) => b.startedAt.localeCompare(a.startedAt))
      .map((record) => new Transfer(record));
    this.all.set(transfers);
    for (const transfer of transfers) {
      if (transfer.record().sent) {
        transfer.phase.set('sent');
      } else if (transfer.record().paused) {
        transfer.phase.set('paused');
      } else if (transfer.record().file) {
        transfer.phase.set('needsFile');
        // Where the browser lets us read the file without asking, it just goes on.
        void this.resume(transfer, false);
      } else {
        void this.run(transfer);
      }
    }
  }

  private async run(transfer: Transfer, hashAgain = false): Promise<void> {
    transfer.abort?.abort();
    const abort = (transfer.abort = new AbortController());
    transfer.problem.set(undefined);
    transfer.trouble.set(undefined);
    try {
      await alone(
        `orbit-upload-${transfer.record().id}`,
        abort.signal,
        () => transfer.begin('elsewhere'),
        () => this.attempt(transfer, abort.signal, hashAgain),
      );
    } catch (error) {
      if (!abort.signal.aborted) {
        this.stop(transfer, error);
      }
    }
  }

  private async attempt(transfer: Transfer, abort: AbortSignal, hashAgain: boolean): Promise<void> {
    // Another tab may have come to its end with it, or have given it up.
    const known = readRecords(transfer.record().user).find(({ id }) => id === transfer.record().id);
    abort.throwIfAborted();
    if (!known) {
      this.dismiss(transfer);
      return;
    }
    transfer.record.set(known);
    if (known.paused) {
      transfer.phase.set('paused');
      return;
    }
    if (!known.sent) {
      if (known.file) {
        await this.sendFile(transfer, abort, hashAgain);
      } else {
        transfer.begin('asking');
        await this.announcement.write(transfer, abort);
      }
      abort.throwIfAborted();
      this.note(transfer, { sent: true, key: undefined });
    }
    transfer.phase.set('sent');
    void forgetHandle(transfer.record().id);
  }

  private stop(transfer: Transfer, error: unknown): void {
    if (error instanceof SendFailure && error.kind === 'signedOut') {
      transfer.phase.set('paused');
      this.http.unauthorised.update((count) => count + 1);
    } else if (error instanceof SendFailure) {
      transfer.fail(new Problem(0, 'The upload has stopped', error.message));
    } else {
      transfer.fail(Problem.of(error));
    }
  }

  private async sendFile(transfer: Transfer, abort: AbortSignal, hashAgain: boolean): Promise<void> {
    const { file } = transfer;
    if (!file) {
      throw new Problem(0, 'The file is not at hand', 'Choose it again.');
    }
    const before = transfer.record().sha256;
    if (!before || hashAgain) {
      transfer.begin('hashing');
      const sha256 = await this.hash(file, (done) => transfer.progress(done), abort);
      if (before && before !== sha256) {
        transfer.file = undefined;
        throw new Problem(0, 'That is another file', 'Its content is not what the upload was started with.');
      }
      this.note(transfer, { sha256 });
    }
    transfer.begin('asking');
    let url = before ? await this.announcement.sessionOf(transfer) : undefined;
    abort.throwIfAborted();
    if (!url) {
      await this.announcement.write(transfer, abort);
      transfer.begin('waiting');
      url = await this.announcement.awaitSession(transfer, abort);
    }
    abort.throwIfAborted();
    if (!url) {
      return; // The plane has these bytes already.
    }
    transfer.sessionUrl = url;
    transfer.begin('sending');
    const { key = '', sha256 = '' } = transfer.record();
    await send({
      file,
      sha256,
      port: new HttpSession(sessionPath(url), { key, csrf: this.http.csrfToken }),
      progress: (sent) => {
        transfer.progress(sent);
        if (sent === file.size && transfer.phase() === 'sending') {
          transfer.phase.set('verifying');
        }
      },
      trouble: (text) => transfer.trouble.set(text),
      abort,
    });
  }
}
