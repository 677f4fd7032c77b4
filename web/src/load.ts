export type Problem = {
  status: number
  code: string
  detail: string
  requestId?: string
  fields?: { path: string; message: string; line?: number }[]
}

/** One union for "not there yet", "there" and "not to be had". */
export type Load<T> = { state: 'loading' } | { state: 'ready'; value: T } | { state: 'failed'; problem: Problem }

export const loading = { state: 'loading' } as const
