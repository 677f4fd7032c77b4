/** What an engine is asked to do. Both are over when the last step's result is durable, as the product makes it so. */
export type OpenPeer = {
  /** One run of so many steps that do nothing, one after the other, each of them durable before the next. */
  chain(steps: number): Promise<void>
  /** So many runs of one step each, all started at once. */
  runs(count: number): Promise<void>
  close(): Promise<void>
}

export type Peer = {
  /** As it stands in the name of a measure. */
  name: string
  /** With what settings, in one line that is printed beside the figures. */
  settings: string
  /** What is missing on this machine, when something is. */
  lacks?(): string | undefined
  open(dir: string): Promise<OpenPeer>
}

export const nothing = (): Promise<void> => Promise.resolve()

/** Counts down, for engines that tell of each job but not of all of them. */
export function countdown(count: number): { done: Promise<void>; tick: () => void } {
  const { promise, resolve } = Promise.withResolvers<void>()
  let left = count
  return {
    done: promise,
    tick: () => {
      left--
      if (left === 0) resolve()
    },
  }
}
