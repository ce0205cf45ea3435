import { expect, test } from 'vitest';
import type { GroupState } from '../../../src/experiment/checkpoint.js';
import { Snapshots } from '../../../src/experiment/resumable.js';

/** Rounds by a clock of their own: which of them had a snapshot, and which were written. */
function rounds({ roundMs, snapshotMs }: { roundMs: number; snapshotMs: number }) {
  let now = 1000;
  const taken: number[] = [];
  const written: number[] = [];
  const snapshots = new Snapshots(
    ({ epoch }) => void written.push(epoch),
    () => now,
  );
  return {
    ...{ taken, written, snapshots },
    async train(count: number, first = 1) {
      for (let epoch = first; epoch < first + count; epoch++) {
        now += roundMs;
        await snapshots.afterRound(async (): Promise<GroupState> => {
          now += snapshotMs;
          taken.push(epoch);
          return { epoch, trials: [] };
        });
      }
    },
  };
}

test('none is taken before ten times its own duration has passed since the last', async () => {
  const { taken, written, train } = rounds({ roundMs: 4, snapshotMs: 1 });
  await train(12);
  expect(taken).toEqual([1, 4, 7, 10]);
  expect(written).toEqual([]);
});

test('one that takes no time to speak of is taken after every round', async () => {
  const { taken, train } = rounds({ roundMs: 100, snapshotMs: 1 });
  await train(5);
  expect(taken).toEqual([1, 2, 3, 4, 5]);
});

test('every five seconds one is taken and written, whatever it costs', async () => {
  const { taken, written, train } = rounds({ roundMs: 1000, snapshotMs: 3000 });
  await train(20);
  expect(written).toEqual([2, 7, 12, 17]);
  expect(taken).toEqual([1, ...written]);
});

test('a stop writes the last one, once, and nothing where it is written or dropped', async () => {
  const { written, snapshots, train } = rounds({ roundMs: 4, snapshotMs: 1 });
  snapshots.write();
  expect(written).toEqual([]);
  await train(5);
  snapshots.write();
  snapshots.write();
  expect(written).toEqual([4]);
  await train(5, 6);
  snapshots.drop();
  snapshots.write();
  expect(written).toEqual([4]);
});
