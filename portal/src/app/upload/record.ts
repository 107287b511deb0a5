import { UploadRequest } from './request';

/** What is kept of an upload for another visit: everything but the file itself. */
export interface TransferRecord {
  id: string;
  /** Who started it: the key is nobody else's business. */
  user: string;
  startedAt: string;
  request: UploadRequest;
  /** For a reference, nothing is sent from here. */
  reference?: string;
  file?: { name: string; size: number; lastModified: number };
  sha256?: string;
  /** Authorises sending exactly the bytes with that digest, and nothing else. */
  key?: string;
  /** All bytes have arrived, or none had to be sent. */
  sent: boolean;
  /** A person wants it to wait, in whichever tab. */
  paused?: boolean;
}

const STORE = 'orbit.transfers';

export function readRecords(user: string): TransferRecord[] {
  return all().filter((record) => record.user === user);
}

export function keepRecord(record: TransferRecord): void {
  write([...all().filter(({ id }) => id !== record.id), record]);
}

export function forgetRecord(id: string): void {
  write(all().filter((record) => record.id !== id));
}

function all(): TransferRecord[] {
  try {
    const records: unknown = JSON.parse(localStorage.getItem(STORE) ?? '[]');
    return Array.isArray(records) ? (records as TransferRecord[]) : [];
  } catch {
    return [];
  }
}

function write(records: TransferRecord[]): void {
  localStorage.setItem(STORE, JSON.stringify(records));
}
