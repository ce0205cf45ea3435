import { readFileSync } from 'node:fs';
import os from 'node:os';
import type { AddonOrigin } from './addon.js';
import { tryGpusApart } from './backend.js';
import { type NativeInfo, native, nativePlace, ofThisRealm } from './native.js';

/** Facts about this program on this machine. */
export interface Info extends NativeInfo {
  version: string;
  node: string;
  platform: string;
  cpu: string;
  /** File of the compiled addon: one compiled on this machine, or one that the package brought. */
  addon: { file: string; origin: AddonOrigin };
}

/** Version of the package, read without loading the addon. */
export function version(): string {
  const file = new URL('../package.json', import.meta.url);
  return (JSON.parse(readFileSync(file, 'utf8')) as { version: string }).version;
}

/**
 * Facts about this program on this machine.
 *
 * @throws SetNativeError ERR_NATIVE_LOAD
 */
export function info(): Info {
  tryGpusApart();
  return {
    version: version(),
    node: process.version,
    platform: `${process.platform}-${process.arch}`,
    cpu: os.cpus()[0]?.model ?? 'unknown',
    addon: nativePlace(),
    ...ofThisRealm(native().info()),
  };
}
