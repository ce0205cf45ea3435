import fs from 'node:fs';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import type { Dispatcher } from 'undici';
import { invalid } from '../checks.js';
import { checkSignal, SetNativeError } from '../errors.js';

/*
 * Origins that data files are fetched from: a web server, through the proxy that the environment names, or a
 * folder. Bytes come as they are stored there, never decoded, piece by piece; the caller checks their
 * content.
 */

/** An origin of files of data sets. */
interface Origin {
  /**
   * Opens a file: the first that is there, where the origin has several places for it.
   *
   * @param name path under the address of the origin
   */
  open(name: string): OriginFile;
  close(): Promise<void>;
}

export interface OriginFile {
  /** Address of the file, and the proxy in front of it, for messages. */
  where: string;
  /**
   * The bytes of the file, in pieces.
   *
   * @throws SetNativeError ERR_IO, ERR_DATA_NOT_FOUND (no such file in a folder); ERR_ABORTED
   */
  pieces(signal: AbortSignal | undefined): AsyncIterable<Uint8Array>;
}

/** Milliseconds that a server may be silent: while connecting, before the answer, and within it. */
export const patience = { ms: 60_000 };

const MAX_REDIRECTS = 5;

/**
 * The origin at an address or in a folder.
 *
 * @param from an http(s) or file address, or the path of a folder
 * @param folderOf sub-folder of a folder in which the files of the data set may lie, too
 * @throws SetNativeError ERR_INVALID_ARGUMENT (another kind of address), ERR_DATA_NOT_FOUND (no such folder)
 */
export async function originAt(from: unknown, folderOf: string): Promise<Origin> {
  if (typeof from !== 'string' || from === '')
    throw invalid('data', 'from', 'a web address or a folder', from);
  if (/^https?:/i.test(from)) return webOrigin(webAddress(from));
  if (/^file:/i.test(from)) return folderOrigin(pathOf(from), folderOf);
  if (/^[a-z][a-z0-9+.-]*:\/\//i.test(from))
    throw invalid('data', 'from', 'an http, https or file address', from);
  return folderOrigin(path.resolve(from), folderOf);
}

function webAddress(from: string): URL {
  const base = URL.canParse(from) ? new URL(from) : undefined;
  if (base === undefined) throw invalid('data', 'from', 'an address such as https://host/folder', from);
  if (base.username !== '' || base.password !== '') {
    // The message omits the address, because it holds a password.
    throw new SetNativeError(
      'ERR_INVALID_ARGUMENT',
      '[data] from must be an address without user and password',
      {
        details: { option: 'from' },
      },
    );
  }
  if (!base.pathname.endsWith('/')) base.pathname += '/';
  return base;
}

function pathOf(from: string): string {
  try {
    return fileURLToPath(from);
  } catch {
    throw invalid('data', 'from', 'a file address of this machine, such as file:///srv/mirror', from);
  }
}

function folderOrigin(folder: string, folderOf: string): Origin {
  if (!statsOf(folder)?.isDirectory()) {
    throw new SetNativeError(
      'ERR_DATA_NOT_FOUND',
      `[data] from must be a web address or a folder, got ${folder}: ` +
        `${fs.existsSync(folder) ? 'it is not a folder' : 'there is no such folder'}`,
      { details: { option: 'from', folder } },
    );
  }
  return {
    open(name) {
      // Places as on the server, and as `pull` writes them.
      const places = [name, path.basename(name), path.join(folderOf, path.basename(name))];
      const files = places.map((place) => path.join(folder, place));
      const file = files.find((each) => statsOf(each)?.isFile()) ?? files[0]!;
      return { where: file, pieces: (signal) => filePieces(file, signal) };
    },
    async close() {},
  };
}

function statsOf(place: string): fs.Stats | undefined {
  try {
    return fs.statSync(place);
  } catch {
    return undefined;
  }
}

async function* filePieces(file: string, signal: AbortSignal | undefined): AsyncIterable<Uint8Array> {
  try {
    if (!fs.statSync(file).isFile()) throw new Error('it is not a file');
    for await (const piece of fs.createReadStream(file)) {
      checkSignal('data', signal, `while ${file} was read`);
      yield piece;
    }
  } catch (cause) {
    checkSignal('data', signal, `while ${file} was read`);
    const { code, message } = cause as NodeJS.ErrnoException;
    if (code === 'ENOENT') {
      throw new SetNativeError('ERR_DATA_NOT_FOUND', `[data] ${file}: expected a file, there is none`, {
        cause,
      });
    }
    throw new SetNativeError('ERR_IO', `[data] ${file}: could not be read: ${message}`, {
      details: { file },
      cause,
    });
  }
}

async function webOrigin(base: URL): Promise<Origin> {
  const proxies = environmentProxies();
  const { EnvHttpProxyAgent, interceptors } = await import('undici'); // large, and seldom needed
  const agent = new EnvHttpProxyAgent({
    // Plain http goes to a proxy without a tunnel: many allow tunnels to port 443 only.
    proxyTunnel: false,
    ...(proxies.http && { httpProxy: proxies.http.url.href }),
    ...(proxies.https && { httpsProxy: proxies.https.url.href }),
  });
  const dispatcher = agent.compose(interceptors.redirect({ maxRedirections: MAX_REDIRECTS }));
  return {
    open(name) {
      const url = new URL(name, base);
      const proxy = proxies[url.protocol === 'https:' ? 'https' : 'http'];
      const where = `${url}${proxy === undefined ? '' : ` (${describeProxy(proxy)})`}`;
      return { where, pieces: (signal) => webPieces(url, where, dispatcher, signal) };
    },
    close: () => agent.destroy().catch(() => {}), // no request is running any more
  };
}

interface Proxy {
  url: URL;
  variable: string;
}

/**
 * Proxies of the environment, in the variables that undici reads; their addresses may lack the scheme, as
 * other programs accept them.
 */
function environmentProxies(): { http: Proxy | undefined; https: Proxy | undefined } {
  const named = (...variables: string[]): Proxy | undefined => {
    const variable = variables.find((name) => process.env[name] !== undefined);
    const value = variable && process.env[variable];
    if (!variable || !value) return undefined;
    const text = value.includes('://') ? value : `http://${value}`;
    const url = URL.canParse(text) ? new URL(text) : undefined;
    if (url !== undefined && /^https?:$/.test(url.protocol)) return { url, variable };
    // The message omits the value, because it may hold a password.
    throw new SetNativeError(
      'ERR_IO',
      `[data] the environment variable ${variable} must name a proxy, as http://host:port; correct it or unset it`,
      { details: { variable } },
    );
  };
  const http = named('http_proxy', 'HTTP_PROXY');
  return { http, https: named('https_proxy', 'HTTPS_PROXY') ?? http };
}

function describeProxy({ url, variable }: Proxy): string {
  const except = process.env.no_proxy ?? process.env.NO_PROXY;
  return `through the proxy ${url.protocol}//${url.host} of ${variable}${except ? `, unless NO_PROXY, ${except}, excepts it` : ''}`;
}

async function* webPieces(
  url: URL,
  where: string,
  dispatcher: Dispatcher,
  signal: AbortSignal | undefined,
): AsyncIterable<Uint8Array> {
  const quiet = new AbortController();
  const wait = () =>
    setTimeout(() => quiet.abort(new Error(`nothing came for ${patience.ms / 1000} s`)), patience.ms);
  let timer = wait();
  // undici accepts no signal of another realm, and so gets a signal of this one.
  const stop = () => quiet.abort();
  signal?.addEventListener('abort', stop);
  try {
    const { request } = await import('undici');
    const { statusCode, headers, body } = await request(url, {
      dispatcher,
      headers: { 'accept-encoding': 'identity', 'user-agent': 'set-native' },
      signal: quiet.signal,
    });
    const problem = problemOf(url, statusCode, headers['content-encoding']);
    if (problem !== undefined) {
      body.on('error', () => {}).destroy();
      throw new Error(problem);
    }
    for await (const piece of body) {
      clearTimeout(timer);
      yield piece;
      timer = wait();
    }
  } catch (cause) {
    checkSignal('data', signal, `while ${url} was fetched`);
    const reason = quiet.signal.aborted ? quiet.signal.reason : cause;
    throw new SetNativeError(
      'ERR_IO',
      `[data] ${where}: could not be fetched: ${messageOf(reason)}; try again, or name a mirror with \`from\``,
      { details: { url: String(url) }, cause: reason },
    );
  } finally {
    signal?.removeEventListener('abort', stop);
    clearTimeout(timer);
  }
}

function problemOf(
  { pathname }: URL,
  status: number,
  encoding: string | string[] | undefined,
): string | undefined {
  if (status >= 300 && status < 400) return `the server answered ${status}, after ${MAX_REDIRECTS} redirects`;
  if (status !== 200) return `the server answered ${status}`;
  const named = String(encoding ?? 'identity').toLowerCase();
  // Many servers call the gzip of the file itself an encoding.
  if (named === 'identity' || (/^(x-)?gzip$/.test(named) && pathname.endsWith('.gz'))) return undefined;
  return `the server encoded it as ${named}, although it was asked not to`;
}

/** Message of an error of undici. Where all addresses of a host failed, the error itself has no message. */
function messageOf(error: unknown): string {
  const { message, code, errors } = error as NodeJS.ErrnoException & { errors?: Error[] };
  if (message.startsWith('Redirect loop')) return 'the server redirects to the same address again'; // the advice of undici is for programmers
  return message || errors?.map((each) => each.message).join(', ') || code || String(error);
}
