/** Gives a stream's bytes in pieces of exactly the length asked for. */
export type ExactBytes = {
  isAtEnd(): Promise<boolean>
  take(count: number): Promise<Uint8Array>
  drop(count: number): Promise<void>
}

export function exactBytes(chunks: AsyncGenerator<Uint8Array>, endsEarly: () => Error): ExactBytes {
  let current = new Uint8Array(0)
  let at = 0

  const more = async (): Promise<boolean> => {
    while (at === current.length) {
      const next = await chunks.next()
      if (next.done) return false
      current = new Uint8Array(next.value.buffer as ArrayBuffer, next.value.byteOffset, next.value.byteLength)
      at = 0
    }
    return true
  }
  const consume = async (count: number, use: (piece: Uint8Array, done: number) => void): Promise<void> => {
    for (let done = 0; done < count;) {
      if (!(await more())) throw endsEarly()
      const piece = current.subarray(at, at + count - done)
      use(piece, done)
      at += piece.length
      done += piece.length
    }
  }

  return {
    isAtEnd: async () => !(await more()),
    async take(count) {
      const taken = new Uint8Array(count)
      await consume(count, (piece, done) => taken.set(piece, done))
      return taken
    },
    drop: (count) => consume(count, () => undefined),
  }
}
