export type FieldProblem = { path: string; message: string; line?: number }
export type ApiProblem = {
  status: number
  code: string
  detail: string
  requestId?: string
  fields?: readonly FieldProblem[]
}

export type Loading = { state: 'loading' }
export type Answered<T> = { state: 'ready'; value: T } | { state: 'failed'; problem: ApiProblem }
/** One union for "not there yet", "there" and "not to be had". */
export type Load<T> = Loading | Answered<T>

export const loading: Loading = { state: 'loading' }
