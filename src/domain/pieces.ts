/** Pieces of bytes as one; `size` is what they come to together. A single piece is not copied. */
export function joined<B extends ArrayBufferLike>(
  pieces: readonly Uint8Array<B>[],
  size: number,
): Uint8Array<B | ArrayBuffer> {
  if (pieces.length === 1 && pieces[0]) return pieces[0]
  const whole = new Uint8Array(size)
  let at = 0
  for (const piece of pieces) {
    whole.set(piece, at)
    at += piece.byteLength
  }
  return whole
}
