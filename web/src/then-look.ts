/** What came of something that was asked for, once what it is about was looked at again, whether it has worked or not. */
export async function thenLook<T>(asked: Promise<T>, look: () => Promise<unknown>): Promise<T> {
  const answer = await asked
  await look()
  return answer
}
