import { createHash } from 'node:crypto';
import { getEventListeners } from 'node:events';
import fs from 'node:fs';
import http from 'node:http';
import type { AddressInfo } from 'node:net';
import os from 'node:os';
import path from 'node:path';
import { gunzipSync } from 'node:zlib';
import { create } from 'tar';
import { afterAll, afterEach, beforeAll, beforeEach, expect, it, vi } from 'vitest';
import { pullable, pullDataset } from '../../../src/datasets/pull.js';

/*
 * Against a server of this machine, with a list of publications of its own: the authors' servers are out of reach of tests.
 */
const sumOf = (bytes: Uint8Array) => createHash('sha256').update(bytes).digest('hex');
const files = new Map<string, Buffer>();

vi.mock(import('../../../src/datasets/publications.js'), async (original) => {
  const { publications } = await original();
  return { publications: { ...publications, plain: undefined as never, packed: undefined as never } };
});
const { publications } = await import('../../../src/datasets/publications.js');

const asked: string[] = [];
let answer: ((response: http.ServerResponse) => void) | undefined;
const server = http.createServer((request, response) => {
  const name = request.url!.slice('/data/'.length);
  asked.push(name);
  const bytes = files.get(name);
  if (answer !== undefined) answer(response);
  else if (bytes === undefined) response.writeHead(404).end();
  else response.end(bytes);
});

let from: string;
let folder: string;
beforeAll(async () => {
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  from = `http://127.0.0.1:${(server.address() as AddressInfo).port}/data`;
});
afterAll(() => {
  server.closeAllConnections();
  server.close();
});

beforeEach(() => {
  folder = fs.mkdtempSync(path.join(os.tmpdir(), 'set-native-pull-'));
  files.set('images', Buffer.alloc(200_000, 'an image, '));
  files.set('deep/labels', Buffer.from('labels'));
  publications.plain = {
    base: 'http://127.0.0.1:1/',
    downloads: [...files].map(([file, bytes]) => ({ file, bytes: bytes.length, sha256: sumOf(bytes) })),
  };
});
afterEach(() => {
  fs.rmSync(folder, { recursive: true });
  files.clear();
  asked.length = 0;
  answer = undefined;
});

const kept = (name = 'plain') => fs.readdirSync(path.join(folder, name)).sort();
const failing = (code: string, message: string) =>
  expect.objectContaining({ code, message: expect.stringContaining(message) });

it('fetches what is not there or not whole, and tells how far it is', async () => {
  const progress: [string, number, number][] = [];
  const options = { dataDir: folder, from };
  const where = await pullDataset('plain', { ...options, onProgress: (...now) => progress.push(now) });
  expect(where).toBe(path.join(folder, 'plain'));
  expect(kept()).toEqual(['images', 'labels']);
  expect(fs.readFileSync(path.join(where, 'images')).equals(files.get('images')!)).toBe(true);
  expect(progress.at(-1)).toEqual(['labels', 6, 6]);
  expect(progress.filter(([file]) => file === 'images').at(-1)).toEqual(['images', 200_000, 200_000]);
  asked.length = 0;
  await pullDataset('plain', { ...options, from: `${from}/` });
  expect(asked).toEqual([]);
  fs.writeFileSync(path.join(where, 'labels'), 'labelz');
  await pullDataset('plain', options);
  expect(asked).toEqual(['deep/labels']);
});

it.each([
  ['another content', () => files.set('images', Buffer.alloc(200_000, 'AN IMAGE, ')), 'ERR_DATA_FORMAT', 'SHA-256'],
  ['too little', () => files.set('images', Buffer.alloc(100)), 'ERR_DATA_FORMAT', 'expected 200000 bytes, came 100'],
  ['too much', () => files.set('images', Buffer.alloc(200_001)), 'ERR_DATA_FORMAT', 'expected 200000 bytes, came more'],
  ['no such file', () => files.delete('images'), 'ERR_IO', 'the server answered 404'],
  [
    'an end before the end',
    () => {
      answer = (response) => {
        response.writeHead(200, { 'content-length': 200_000 });
        response.write('an image', () => response.destroy());
      };
    },
    'ERR_IO',
    'could not be fetched',
  ],
])('%s is refused, and nothing stays', async (_, change, code, message) => {
  change();
  await expect(pullDataset('plain', { dataDir: folder, from })).rejects.toEqual(failing(code, message));
  expect(kept()).toEqual([]);
});

it('says when a server cannot be reached, a folder not be written, an address not be known', async () => {
  await expect(pullDataset('plain', { dataDir: folder })).rejects.toEqual(
    failing('ERR_IO', 'name a mirror with --from'),
  );
  const file = path.join(folder, 'file');
  fs.writeFileSync(file, '');
  await expect(pullDataset('plain', { dataDir: file, from })).rejects.toEqual(failing('ERR_IO', 'must be a folder'));
  await expect(pullDataset('lung', { dataDir: folder })).rejects.toEqual(failing('ERR_DATA_NOT_FOUND', 'not of lung'));
  await expect(pullDataset('plain', { dataDir: folder, form: from } as never)).rejects.toEqual(
    failing('ERR_INVALID_ARGUMENT', 'unknown option "form"'),
  );
});

it('stops on a signal and leaves nothing', async () => {
  const controller = new AbortController();
  answer = (response) => {
    response.write('an image');
    setTimeout(() => controller.abort(), 20);
  };
  const pulling = pullDataset('plain', { dataDir: folder, from, signal: controller.signal });
  await expect(pulling).rejects.toEqual(failing('ERR_ABORTED', 'cancelled'));
  await expect(pulling).rejects.toMatchObject({ name: 'AbortError', cause: controller.signal.reason });
  expect(kept()).toEqual([]);
  expect(getEventListeners(controller.signal, 'abort')).toEqual([]);
  asked.length = 0;
  const early = pullDataset('plain', { dataDir: path.join(folder, 'new'), from, signal: AbortSignal.abort('early') });
  await expect(early).rejects.toMatchObject({ code: 'ERR_ABORTED', cause: 'early' });
  expect([asked, fs.existsSync(path.join(folder, 'new'))]).toEqual([[], false]);
});

it('takes the wanted files out of an archive, and only these', async () => {
  const source = path.join(folder, 'source');
  fs.mkdirSync(path.join(source, 'batches'), { recursive: true });
  for (const name of ['one.bin', 'two.bin', 'readme.html']) fs.writeFileSync(path.join(source, 'batches', name), name);
  const archive = path.join(folder, 'all.tar.gz');
  await create({ gzip: true, file: archive, cwd: source }, ['batches']);
  const bytes = fs.readFileSync(archive);
  files.set('all.tar.gz', bytes);
  publications.packed = {
    base: '',
    downloads: [{ file: 'all.tar.gz', bytes: bytes.length, sha256: sumOf(bytes) }],
    unpack: { files: ['one.bin', 'two.bin'], bytes: 7 },
  };
  await pullDataset('packed', { dataDir: folder, from });
  expect(kept('packed')).toEqual(['one.bin', 'two.bin']);
  asked.length = 0;
  await pullDataset('packed', { dataDir: folder, from });
  expect(asked).toEqual([]);
  fs.rmSync(path.join(folder, 'packed', 'one.bin'));
  await pullDataset('packed', { dataDir: folder, from });
  expect(kept('packed')).toEqual(['one.bin', 'two.bin']);
});

it('the known sums are those of the real files, where they are here', () => {
  expect(pullable).toContain('cifar10');
  const root = process.env.SET_NATIVE_DATA;
  for (const name of ['fashion-mnist', 'mnist', 'madelon']) {
    for (const { file, bytes, sha256 } of publications[name]!.downloads) {
      const place = path.join(root ?? '', name, path.basename(file));
      const found = [place, `${place}.gz`].find((candidate) => root !== undefined && fs.existsSync(candidate));
      if (found === undefined) continue;
      const content = fs.readFileSync(found);
      const original = found === place ? content : gunzipSync(content);
      expect([file, original.length, sumOf(original)]).toEqual([file, bytes, sha256]);
    }
  }
});
