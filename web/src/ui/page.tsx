import type { ComponentChildren } from 'preact'
import { useRoute } from 'preact-iso'
import { useEffect, useRef } from 'preact/hooks'

/** Where the last page was shown: the first one keeps the browser's own focus. */
let shownAt: string | undefined

type PageProps = { title: string; children: ComponentChildren }

/** A page with its name in the window's title and in the heading, which announces it when it has been navigated to. */
export function Page({ title, children }: PageProps) {
  // The route's own: the location is the next page's already while that is being loaded.
  const { path } = useRoute()
  const heading = useRef<HTMLHeadingElement>(null)
  useEffect(() => {
    document.title = `${title} · Weir`
  }, [title])
  useEffect(() => {
    if (shownAt !== undefined && shownAt !== path) heading.current?.focus()
    shownAt = path
  }, [path])
  return (
    <>
      <h1 ref={heading} tabIndex={-1}>
        {title}
      </h1>
      {children}
    </>
  )
}
