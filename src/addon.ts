import { existsSync, readFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import { SetNativeError } from './errors.js';

/*
 * Finds and loads the compiled addon: one that was compiled in this folder, else the prebuilt one for this
 * platform. One binary serves every version of Node, since it asks for Node-API 8 alone.
 */

/** Folder of the package; this file is in `src` or in `dist`. */
export const packageRoot = path.dirname(path.dirname(fileURLToPath(import.meta.url)));

/** Where an addon comes from: compiled here, or brought by the package. */
export type AddonOrigin = 'compiled' | 'prebuilt';

/** A file that may hold the addon. */
export interface AddonPlace {
  file: string;
  origin: AddonOrigin;
}

export type Libc = 'glibc' | 'musl';

/** The C library of this process on Linux, where it can be told. */
export function libc(): Libc | undefined {
  return process.platform === 'linux' ? (libcOfReport() ?? libcOfMaps()) : undefined;
}

/** What Node's diagnostic report says; undefined in runtimes without one. */
function libcOfReport(): Libc | undefined {
  const { report } = process as { report?: NodeJS.ProcessReport & { excludeNetwork?: boolean } };
  if (typeof report?.getReport !== 'function') return undefined;
  const { excludeNetwork } = report;
  report.excludeNetwork = true; // it would look up names of hosts, which may take seconds
  try {
    const { header, sharedObjects } = report.getReport() as {
      header?: { glibcVersionRuntime?: string };
      sharedObjects?: string[];
    };
    return header?.glibcVersionRuntime === undefined ? libcIn((sharedObjects ?? []).join('\n')) : 'glibc';
  } catch {
    return undefined;
  } finally {
    if (excludeNetwork !== undefined) report.excludeNetwork = excludeNetwork;
  }
}

function libcOfMaps(): Libc | undefined {
  try {
    return libcIn(readFileSync('/proc/self/maps', 'utf8'));
  } catch {
    return undefined; // no /proc, or Node's permission model keeps it closed
  }
}

/** The C library among the paths of shared objects, one per line. */
export function libcIn(paths: string): Libc | undefined {
  if (/\/(?:ld-musl-|libc\.musl-)[^/\n]*$/m.test(paths)) return 'musl';
  if (/\/libc(?:\.so\.6|-2\.\d+\.so)$/m.test(paths)) return 'glibc';
  return undefined;
}

/**
 * Files that may hold the addon for a platform, in the order in which they are tried. Where the C library of
 * a Linux is not known, both kinds are.
 */
export function addonPlaces(
  root: string = packageRoot,
  platform: string = process.platform,
  arch: string = process.arch,
  ofLinux: Libc | 'unknown' = libc() ?? 'unknown',
): AddonPlace[] {
  const glibc = `${platform}-${arch}`;
  const musl = `${glibc}-musl`;
  const linux = ofLinux === 'unknown' ? [glibc, musl] : [ofLinux === 'musl' ? musl : glibc];
  return [
    { file: path.join(root, 'build', 'release', 'set_native.node'), origin: 'compiled' },
    ...(platform === 'linux' ? linux : [glibc]).map((folder): AddonPlace => {
      return { file: path.join(root, 'prebuilds', folder, 'set_native.node'), origin: 'prebuilt' };
    }),
  ];
}

/**
 * Loads the first addon that can be loaded.
 *
 * @throws SetNativeError ERR_NATIVE_LOAD, with every place and what was wrong there
 */
export function loadAddon(places: AddonPlace[] = addonPlaces()): AddonPlace & { exports: unknown } {
  const require = createRequire(import.meta.url);
  const tried: { file: string; reason: string }[] = [];
  let first: unknown;
  for (const place of places) {
    try {
      return { ...place, exports: require(place.file) };
    } catch (error) {
      const reason = existsSync(place.file) ? firstLine(error) : 'not there';
      if (isForbidden(error)) throw forbidden(error);
      if (reason !== 'not there') first ??= error;
      tried.push({ file: place.file, reason });
    }
  }
  const platform = `${process.platform}-${process.arch}`;
  const ofLinux = process.platform === 'linux' ? `, C library: ${libc() ?? 'unknown'}` : '';
  const command = `${runners[packageManager()]} build`;
  throw new SetNativeError(
    'ERR_NATIVE_LOAD',
    `[load] there is no compiled part of set-native that works here, ${platform}${ofLinux}, ` +
      `Node ${process.version}. Looked at:\n${tried.map(({ file, reason }) => `  ${file}: ${reason}\n`).join('')}` +
      `Compile it with \`${command}\`, which takes CMake 3.21 or newer and a C++17 compiler. In a bundle, ` +
      'leave set-native out of it (`external`): it is loaded from its own folder',
    { details: { platform, tried, command }, cause: first },
  );
}

const firstLine = (error: unknown) => String((error as Error).message).split('\n')[0]!;

/** Whether Node's permission model forbids addons. */
function isForbidden(error: unknown): boolean {
  return (error as NodeJS.ErrnoException).code === 'ERR_DLOPEN_DISABLED';
}

function forbidden(cause: unknown): SetNativeError {
  return new SetNativeError(
    'ERR_NATIVE_LOAD',
    '[load] Node does not let set-native load its compiled part: with --permission it takes --allow-addons, ' +
      'too, and --allow-fs-read of its folder',
    { cause },
  );
}

/** How each package manager runs a command of this package. */
const runners = {
  npm: 'npx set-native',
  pnpm: 'pnpm exec set-native',
  yarn: 'yarn set-native',
  bun: 'bunx set-native',
  deno: 'deno run -A npm:set-native',
};

type PackageManager = keyof typeof runners;

const lockFiles: [string, PackageManager][] = [
  ['pnpm-lock.yaml', 'pnpm'],
  ['yarn.lock', 'yarn'],
  ['bun.lock', 'bun'],
  ['bun.lockb', 'bun'],
  ['deno.lock', 'deno'],
];

/** The package manager that runs this process, else the one that the folders around the package tell of. */
export function packageManager(
  root: string = packageRoot,
  agent: string = process.env.npm_config_user_agent ?? '',
): PackageManager {
  const named = /^(\w+)\//.exec(agent)?.[1] ?? '';
  if (Object.hasOwn(runners, named)) return named as PackageManager;
  const { versions } = process;
  if (versions.pnp !== undefined) return 'yarn';
  if (versions.bun !== undefined) return 'bun';
  if (versions.deno !== undefined) return 'deno';
  const parts = root.split(path.sep);
  if (parts.includes('.pnpm')) return 'pnpm';
  const modules = parts.indexOf('node_modules');
  const project = parts.slice(0, modules).join(path.sep);
  const found = modules > 0 ? lockFiles.find(([name]) => existsSync(path.join(project, name))) : undefined;
  return found?.[1] ?? 'npm';
}
