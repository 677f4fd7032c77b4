import { Page } from '../../ui/page.tsx'

export function NotFoundPage() {
  return (
    <Page title="There is no such page">
      <p>
        <a href="/pipelines">Go to the pipelines</a>
      </p>
    </Page>
  )
}
