/** Weir's public API, as anybody with a key uses it. */
export type Api = {
  url: string
  get<T>(path: string): Promise<T>
  post<T>(path: string, body: unknown): Promise<T>
  /** A pipeline's definition goes as it stands in its file. */
  postYaml<T>(path: string, text: string): Promise<T>
  /** Server-sent events after the one with this id. */
  events(path: string, after: string | undefined, signal: AbortSignal): Promise<Response>
}

export function openApi(url: string, credential?: string): Api {
  const authorization = credential === undefined ? {} : { Authorization: `Bearer ${credential}` }
  const ask = async <T>(method: string, path: string, type?: string, body?: string): Promise<T> => {
    const reply = await fetch(url + path, {
      method,
      headers: { ...authorization, ...(type === undefined ? {} : { 'Content-Type': type }) },
      ...(body === undefined ? {} : { body }),
    })
    const text = await reply.text()
    if (!reply.ok) throw new Error(`${method} ${path} was answered ${reply.status}: ${text}`)
    return JSON.parse(text) as T
  }
  return {
    url,
    get: (path) => ask('GET', path),
    post: (path, body) => ask('POST', path, 'application/json', JSON.stringify(body)),
    postYaml: (path, text) => ask('POST', path, 'application/yaml', text),
    events: (path, after, signal) =>
      fetch(url + path, {
        headers: {
          ...authorization,
          Accept: 'text/event-stream',
          ...(after === undefined ? {} : { 'Last-Event-ID': after }),
        },
        signal,
      }),
  }
}

export type StepJson = {
  key: string
  kind: string
  state: string
  attempt: number
  rowsIn: number
  rowsOut: number
  rowsRejected: number
  error?: { code: string; message: string }
  startedAt?: string
  finishedAt?: string
}

export type RunJson = {
  id: string
  state: string
  createdAt: string
  startedAt?: string
  finishedAt?: string
  steps: StepJson[]
}

export type QualityJson = {
  stepKey: string
  rule: string
  column?: string
  onFail: string
  checked: number
  failed: number
  passed: boolean
}

export type DatasetJson = { id: string; name: string; versionId?: string; rows?: number }
