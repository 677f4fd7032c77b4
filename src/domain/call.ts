import * as z from 'zod'

/** A request that QStash makes in a step's place. It stands in the outbox until it has been handed over. */
export const callRequest = z.object({
  /** The same for the same request: QStash takes it once. */
  id: z.string(),
  url: z.string(),
  method: z.string(),
  headers: z.record(z.string(), z.string()),
  body: z.string().optional(),
  timeoutMs: z.number(),
  /** Signed: whom the answer is for. */
  token: z.string(),
  /** Whether any answer ends the step, or only the news that the request failed. */
  tells: z.enum(['all', 'failure']),
})
export type CallRequest = z.output<typeof callRequest>

/** QStash will not make this request, however often it is asked. */
export class CallRefused extends Error {
  override readonly name = 'CallRefused'
}

/** What a step is told when it waits for an answer. */
export type Answer =
  | { response: { status: number; headers: Record<string, string>; body: string } }
  /** There is none, or none that can be kept. */
  | { problem: { code: string; message: string; retryable: boolean } }
  | { callback: { status: 'succeeded' | 'failed'; output?: unknown; error?: string } }
  | { approval: { approved: boolean; by: string; comment?: string } }

/** Bytes of an answer that a step's output may hold. */
export const mostAnswerBytes = 64 * 1024
