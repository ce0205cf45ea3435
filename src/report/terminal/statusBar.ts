import cliProgress from 'cli-progress';

/** Texts beside a bar, in this order; empty ones are not shown. */
export interface Status {
  done: string;
  run: string;
  seed?: string;
  epoch?: string;
  accuracy?: string;
  left?: string;
}

/** A bar with its texts, on a terminal that can show one, below lines that stay. */
export function statusBar(stream: NodeJS.WriteStream, total: number, before: number) {
  const bars = new cliProgress.MultiBar(
    {
      stream,
      format: (_options, { progress }, status: Status) => statusLine(status, progress, stream.columns || 80),
      hideCursor: true,
      clearOnComplete: true,
      gracefulExit: false, // the program handles signals itself
      linewrap: false,
    },
    cliProgress.Presets.shades_classic,
  );
  const single = bars.create(total, before, { done: `${before}/${total}`, run: 'starting' } satisfies Status);
  return {
    update: (done: number, status: Status) => single.update(done, status),
    /** Writes a line that stays. */
    log(line: string): void {
      if (!bars.isActive) return void stream.write(`${line}\n`);
      bars.log(`${line}\n`);
      bars.update(); // now, since stop() forgets lines that were not shown yet
    },
    /** Removes the bar and restores the terminal; may be called more than once. */
    stop(): void {
      if (bars.isActive) bars.stop();
    },
  };
}

/** A line that fits `columns`: the least important texts are left out first, and the bar takes the rest. */
export function statusLine(status: Status, progress: number, columns: number): string {
  const shown = { ...status };
  const text = () =>
    [shown.done, shown.run, shown.seed, shown.epoch, shown.accuracy, shown.left].filter(Boolean).join('  ');
  const fullBar = 24;
  const shortBar = 6;
  for (const part of ['seed', 'epoch', 'done', 'run', 'left'] as const) {
    if (shortBar + 2 + text().length < columns) break;
    shown[part] = '';
  }
  const size = Math.min(fullBar, columns - 3 - text().length);
  if (size < 1) return text().slice(0, columns - 1);
  const filled = Math.round(size * progress);
  return `${'█'.repeat(filled)}${'░'.repeat(size - filled)}  ${text()}`;
}
