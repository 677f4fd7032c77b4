import type { ComponentChildren } from 'preact'
import { useEffect, useId, useRef } from 'preact/hooks'

type SectionProps = {
  title: string
  /** It came up by what somebody has just done, so it is there that they go on. */
  next?: boolean
  children: ComponentChildren
}

/** A part of a page under its own heading. */
export function Section({ title, next = false, children }: SectionProps) {
  const id = useId()
  const heading = useRef<HTMLHeadingElement>(null)
  useEffect(() => {
    if (next) heading.current?.focus()
  }, [next])
  return (
    <section aria-labelledby={id}>
      <h2 id={id} ref={heading} {...(next ? { tabIndex: -1 } : {})}>
        {title}
      </h2>
      {children}
    </section>
  )
}
