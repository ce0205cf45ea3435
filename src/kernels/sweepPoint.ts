import { fromNative, native } from '../native.js';

/*
 * Program that the sweep starts for each of its points: `node sweepPoint.js '{"links": ...}'` writes the
 * point as JSON.
 */
try {
  process.stdout.write(await native().measureSweepPoint(JSON.parse(process.argv[2]!)));
} catch (error) {
  process.stderr.write(`${(fromNative(error) as Error).message}\n`);
  process.exitCode = 1;
}
