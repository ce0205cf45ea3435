/*
 * Builds prebuilds/<platform>-<arch>/set-native.node. prebuildify asks node-gyp for the headers of the newest
 * Node, which are fetched from the network; with Node-API any headers do, so those beside the running Node
 * are used if it has them.
 */
import { spawnSync } from 'node:child_process';
import { existsSync } from 'node:fs';
import { createRequire } from 'node:module';
import path from 'node:path';

const prefix = path.dirname(path.dirname(process.execPath));
const env = { ...process.env };
if (existsSync(path.join(prefix, 'include', 'node', 'node_api.h')))
  env.npm_package_config_node_gyp_nodedir = prefix;
const prebuildify = createRequire(import.meta.url).resolve('prebuildify/bin.js');
const { status } = spawnSync(process.execPath, [prebuildify, '--napi', '--strip'], { stdio: 'inherit', env });
process.exitCode = status ?? 1;
