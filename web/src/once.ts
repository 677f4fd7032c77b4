import type { Answered } from './load.ts'

/** Sends what must not happen twice: asking for the same again after no answer came carries the same key. */
export function onceEach() {
  let unanswered: { body: string; key: string } | undefined
  return async <J, T>(
    json: J,
    send: (json: J, headers: { 'Idempotency-Key': string }) => Promise<Answered<T>>,
  ): Promise<Answered<T>> => {
    const body = JSON.stringify(json)
    const attempt = unanswered?.body === body ? unanswered : { body, key: crypto.randomUUID() }
    unanswered = attempt
    const answer = await send(json, { 'Idempotency-Key': attempt.key })
    if (answer.state === 'ready' || answer.problem.status !== 0) unanswered = undefined
    return answer
  }
}
