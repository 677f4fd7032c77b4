import { useEffect } from 'preact/hooks'

export function NotFoundPage() {
  useEffect(() => {
    document.title = 'Not found · Weir'
  }, [])
  return (
    <>
      <h1 tabIndex={-1}>There is no such page</h1>
      <p>
        <a href="/pipelines">Go to the pipelines</a>
      </p>
    </>
  )
}
