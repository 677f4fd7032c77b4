import { answerStep } from '#src/db/answers.ts'
import type { AnswerAddress } from '#src/domain/answer-token.ts'
import { mostAnswerBytes, type Answer } from '#src/domain/call.ts'
import type { JobPayload } from '#src/domain/job.ts'
import { storableText } from '#src/domain/json.ts'
import type { EngineServices } from './services.ts'
import { wakeMessages } from './wake.ts'

/** Headers of an answer that a later step, or our own judgement, may want. */
const kept = ['content-type', 'etag', 'last-modified', 'location', 'retry-after', 'x-request-id']
const mostHeader = 500
/** Characters of an error's body, for its words. */
const mostExcerpt = 200

/** QStash tells what came of a request that it made for a step. Told twice or late, it changes nothing. */
export async function takeResponse(services: EngineServices, told: JobPayload<'answer'>): Promise<void> {
  const address = await services.answerTokens.read(told.token)
  if (address?.from !== 'qstash') return services.log({ event: 'answer.refused' })
  await bringAnswer(services, address, answerOf(told))
}

/** Stores the answer and wakes the run; false when the step does not wait for it, or no longer. */
export async function bringAnswer(
  services: EngineServices,
  address: AnswerAddress,
  answer: Answer,
): Promise<boolean> {
  const { tenantId, runId } = address
  const wake = await answerStep(services.database.tenant(tenantId, 'job'), address, answer)
  if (!wake) return false
  await services.send(tenantId, wakeMessages(tenantId, runId, [wake]))
  services.live(tenantId, runId)
  return true
}

function answerOf({ status, header, body }: JobPayload<'answer'>): Answer {
  if (status < 100) {
    const message = 'No answer came: the host cannot be reached, or took too long.'
    return { problem: { code: 'unreachable', message, retryable: true } }
  }
  const headers: Record<string, string> = {}
  for (const [name, value] of Object.entries(header ?? {})) {
    const text = Array.isArray(value) ? value[0] : value
    if (text !== undefined && kept.includes(name.toLowerCase()))
      headers[name.toLowerCase()] = storableText(text.slice(0, mostHeader))
  }
  const text = textOf(body ?? '')
  if (status >= 300) {
    const excerpt = typeof text === 'string' ? storableText(text.slice(0, mostExcerpt)) : ''
    return { response: { status, headers, body: excerpt } }
  }
  if (typeof text === 'string') return { response: { status, headers, body: text } }
  return { problem: { ...text, retryable: false } }
}

function textOf(base64: string): string | { code: string; message: string } {
  const bytes = (base64.length * 3) / 4 - (/=*$/.exec(base64)?.[0].length ?? 0)
  if (bytes > mostAnswerBytes)
    return {
      code: 'answer_too_large',
      message: `The answer is larger than the ${mostAnswerBytes / 1024} KB that a step can keep; let it be stored and answer with its place.`,
    }
  try {
    const body = Uint8Array.from(atob(base64), (char) => char.charCodeAt(0))
    return storableText(new TextDecoder('utf-8', { fatal: true, ignoreBOM: false }).decode(body))
  } catch {
    return { code: 'answer_not_text', message: 'The answer is neither JSON nor text in UTF-8.' }
  }
}
