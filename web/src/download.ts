import { api } from './browser.ts'

/** Follows a link to a file of the API. A request in the session goes first: browsers renew none for links. */
export async function download(href: string): Promise<void> {
  await api.v1.me.$get().catch(() => undefined)
  location.assign(href)
}

/** Saves an answer as a file. */
export async function save(response: Response, name: string): Promise<void> {
  const url = URL.createObjectURL(await response.blob())
  const link = document.createElement('a')
  link.href = url
  link.download = name
  link.click()
  URL.revokeObjectURL(url)
}
