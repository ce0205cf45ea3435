import { fromNative, native } from '../native.js';

/*
 * The program that the sweep starts for each of its points: `node sweepPoint.js '{"links": ...}'` writes it
 * as JSON.
 */
try {
  process.stdout.write(await native().measureSweepPoint(JSON.parse(process.argv[2]!)));
} catch (error) {
  process.stderr.write(`${(fromNative(error) as Error).message}\n`);
  process.exitCode = 1;
}
