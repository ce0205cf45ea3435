import pc from 'picocolors';

export function useColor(stream: NodeJS.WriteStream): boolean {
  return stream.isTTY === true && pc.isColorSupported; // which knows NO_COLOR
}

/** Runs `body` with a signal that Ctrl-C aborts; a second Ctrl-C ends the program at once. */
export async function interruptible<T>(
  log: (text: string) => void,
  body: (signal: AbortSignal) => Promise<T>,
): Promise<T> {
  const controller = new AbortController();
  const interrupt = () => {
    if (controller.signal.aborted) process.exit(130); // asked twice: do not wait
    log('Stopping after what runs now; Ctrl-C again quits at once.');
    controller.abort();
  };
  process.on('SIGINT', interrupt);
  try {
    return await body(controller.signal);
  } finally {
    process.off('SIGINT', interrupt);
  }
}
