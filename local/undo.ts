/** What has been started, ended in the opposite order; one that fails to end does not keep the others alive. */
export type Undo = { add: (stop: () => Promise<unknown>) => void; run: () => Promise<void> }

export function undoList(): Undo {
  const stops: (() => Promise<unknown>)[] = []
  let running: Promise<void> | undefined
  const runAll = async () => {
    const failures: unknown[] = []
    for (let stop = stops.pop(); stop; stop = stops.pop()) {
      try {
        await stop()
      } catch (cause) {
        failures.push(cause)
      }
    }
    if (failures.length)
      throw new AggregateError(failures, 'Some parts of the local stack did not stop cleanly.')
  }
  return { add: (stop) => stops.push(stop), run: () => (running ??= runAll()) }
}
