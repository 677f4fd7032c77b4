import type { AnswerAddress } from '#src/domain/answer-token.ts'
import { mostAnswerBytes, type Answer } from '#src/domain/call.ts'
import { storableJson, storableText, type Json } from '#src/domain/json.ts'
import { notFound, Problem } from '#src/domain/problem.ts'
import type { Services } from './context.ts'

/** Whom the callback is for; undefined when we never gave its address away. */
export async function callbackFor(services: Services, token: string): Promise<AnswerAddress | undefined> {
  const address = await services.answerTokens.read(token)
  return address?.from === 'callback' ? address : undefined
}

export const noCallback = (): Problem => notFound('callback')

/** Answers the step that waits for it: once, and not after its time. */
export async function takeCallback(
  services: Services,
  address: AnswerAddress,
  said: { status: 'succeeded' | 'failed'; output?: unknown; error?: string | undefined },
): Promise<void> {
  if (address.expiresAtMs <= services.now().getTime())
    throw new Problem('gone', 'This callback is too late: the step has given up waiting for it.')
  const { status, output, error } = said
  const callback: Extract<Answer, { callback: unknown }>['callback'] = {
    status,
    ...(output === undefined ? {} : { output: storableJson(output as Json) }),
    ...(error === undefined ? {} : { error: storableText(error) }),
  }
  if (new TextEncoder().encode(JSON.stringify(callback)).length > mostAnswerBytes)
    throw new Problem('too_large', `An answer may have at most ${mostAnswerBytes / 1024} KB.`)
  const { bringAnswer } = await import('#src/engine/answers.ts')
  if (await bringAnswer(services, address, { callback })) return
  throw new Problem('conflict', 'This callback was used before, or the step waits for it no longer.')
}
