import { useEffect, useState } from 'preact/hooks'

/** What a link in a mail brought, behind the # that no server sees. */
export type MailLink = { token: string; purpose: string }

/** Reads the link, and takes it out of the address before anything else sees it. */
export function takeMailLink(
  place: Pick<Location, 'hash' | 'pathname' | 'search'>,
  history: Pick<History, 'replaceState' | 'state'>,
): MailLink | undefined {
  const brought = new URLSearchParams(place.hash.slice(1))
  const token = brought.get('token')
  if (token === null) return undefined
  history.replaceState(history.state, '', `${place.pathname}${place.search}`)
  return { token, purpose: brought.get('for') ?? '' }
}

/** The link that was opened last: also when that was in the tab that has this page already, which does not load it again. */
export function useMailLink(): MailLink | undefined {
  const [link, setLink] = useState(() => takeMailLink(location, history))
  useAnotherLink(() => setLink((before) => takeMailLink(location, history) ?? before))
  return link
}

/** Calls when a link to the page that is shown was opened in its own tab. */
export function useAnotherLink(look: () => void): void {
  useEffect(() => {
    addEventListener('hashchange', look)
    return () => removeEventListener('hashchange', look)
  }, [])
}
